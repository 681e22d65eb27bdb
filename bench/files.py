"""Files to be put into images: Python code as it is, and large ones that compress by half."""

from __future__ import annotations

import itertools
import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path

_BLOCK = 32 * 1024
_SLACK = 64
"""How many files of the mean size the modules may be ahead, or behind: else no large one would be taken."""


def code(mean: int) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of modules without end, of so many bytes in the mean.

    They are taken out of this Python, its library and its packages; again when those are through, each time with
    another first line.
    """
    sources = _sources()
    ahead = _SLACK * mean
    # One that is too large or too small now may be taken in the next round.
    for number in itertools.count():
        for path, source in sources.items():
            data = f"# {number}\n".encode() + source.read_bytes()
            least = mean if ahead > 2 * _SLACK * mean else 0
            if least <= len(data) <= ahead + mean:
                ahead += mean - len(data)
                yield f"{number}/{path}", data


def write_code(folder: Path, count: int, mean: int) -> None:
    """Write so many modules, of so many bytes in the mean."""
    for path, data in itertools.islice(code(mean), count):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def write_half_random(path: Path, size: int, seed: int = 0) -> None:
    """Write a file of so many bytes, of which compressors keep about a half; the same seed gives the same bytes."""
    source = random.Random(seed)  # noqa: S311 - no secret
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for start in range(0, size, _BLOCK):
            length = min(_BLOCK, size - start)
            file.write(source.randbytes(length) if start // _BLOCK % 2 else bytes(length))


def _sources() -> dict[str, Path]:
    """Return the modules of this Python by their paths below its library, or its packages' folder."""
    roots = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")]
    found = {path.relative_to(root).as_posix(): path for root in roots for path in root.rglob("*.py") if path.is_file()}
    return dict(sorted(found.items()))
