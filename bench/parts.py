"""What the time of the cases goes into: their parts, each on one core, by the plugin's own code."""

from __future__ import annotations

import hashlib
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.files import write_code
from bench.projects import Project
from bench.stack import PLATFORMS, VENV, gather, lock, say
from bench.table import markdown
from bench.timing import Command, Side
from hatch_oci.base.outline import Outline
from hatch_oci.ground import Ground
from hatch_oci.layers import tar
from hatch_oci.layers.compress import BLOCK, COMPRESSIONS
from hatch_oci.layers.entry import complete
from hatch_oci.layers.folder import Copy, copy_entries
from hatch_oci.layers.venv import wheel_entries
from hatch_oci.store.blobs import BlobStore, cache_folder

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_oci.layers.entry import Entry
    from hatch_oci.lock.dependencies import Dependency

_TIMES = 5


def parts(folder: Path) -> Iterator[str]:
    """Measure in an empty folder; yield the lines of a table."""
    yield from markdown(_rows(folder))


def _rows(folder: Path) -> Iterator[Sequence[str]]:
    yield "Part", "Seconds on one core"
    say("Starting programs")
    project = Project(folder, 'base-image = "scratch"', "wheel = false")
    yield "a build of nothing, from start to end", _started(project.build())
    yield "Python that imports httpcore", _started(Command([sys.executable, "-c", "import httpcore"], folder))
    yield "Python that imports nothing", _started(Command([sys.executable, "-c", "pass"], folder))
    say("Packing files")
    write_code(folder / "files", 10_000, 12_500)
    yield from _packed("`files`: ", lambda: _laid(folder))
    say("Packing wheels")
    (stack := folder / "stack").mkdir()
    lock(stack)
    wheels = gather(stack, BlobStore(cache_folder()))[PLATFORMS[0]]
    with ExitStack() as opened:
        yield from _packed("`wheels`: ", lambda: _installed(wheels, opened))


def _packed(of: str, lay: Callable[[], Sequence[Entry]]) -> Iterator[Sequence[str]]:
    """Yield the rows of one layer's parts."""
    yield f"{of}listed and laid out", _timed(lay)
    entries = lay()
    yield f"{of}read, unpacked and checked, with headers of tar", _timed(lambda: deque(tar.pack(entries), 0))
    data = b"".join(tar.pack(entries))
    yield f"{of}SHA-256 of the tar, {len(data) / 1e6:.0f} MB", _timed(lambda: hashlib.sha256(data))
    for name in ("gzip", "zstd"):
        work = partial(_compress, data, name)
        yield f"{of}compressed by {name} to {len(work()) / 1e6:.1f} MB", _timed(work)


def _laid(folder: Path) -> list[Entry]:
    return Ground(Outline()).lay(copy_entries(Copy("files", "/srv"), folder), "files")


def _installed(wheels: Iterable[Dependency], opened: ExitStack) -> list[Entry]:
    found = (opened.enter_context(one.opened()) for one in wheels)
    return complete(
        (entry for wheel in found for entry in wheel_entries(wheel, VENV, requested=False)), lambda _: False
    )


def _compress(data: bytes, name: str) -> bytes:
    view = memoryview(data)
    blocks = (view[start : start + BLOCK] for start in range(0, len(data), BLOCK))
    return b"".join(job() for job in COMPRESSIONS[name].jobs(blocks))


def _started(command: Command) -> str:
    """Time a whole process."""
    side = Side([command])
    side.run()
    return f"{median(side.run().seconds for _ in range(_TIMES)):.2f}"


def _timed(work: Callable[[], Any]) -> str:
    """Time what is done in this thread."""
    seconds = []
    for _ in range(_TIMES):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return f"{median(seconds):.2f}"
