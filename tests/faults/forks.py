"""Commands in processes that have imported everything: hundreds of them can be started, and all they do is their work.

Python and its modules take most of the time of a small build: a fault at a random moment would hit nothing else.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.faults.trial import Trial

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "hatchling.cli",
        "hatch_oci.builder",
        "hatch_oci.cli",
        "hatch_oci.registry.transport",
        "hatch_oci.base.tree",
        "hatch_oci.lock.gather",
        __name__,
    ]
)
_ACCESSES = {"open", "os.rename", "os.mkdir", "os.link", "os.remove", "os.rmdir", "os.chmod", "os.utime"}
"""The audit events of all that reads or changes a file or a folder."""


def nothing() -> None:
    """Do nothing."""


@contextmanager
def started(
    module: str,
    *words: str | Path,
    folder: Path,
    env: Mapping[str, str],
    log: Path,
    first: Callable[[], None] = nothing,
) -> Iterator[BaseProcess]:
    """Start `python -m module` in `folder` with nothing but `env`; what it prints goes to `log`.

    `first` is called there before; the process ends with the block.
    """
    arguments = (module, list(map(str, words)), folder, dict(env), log, first)
    process = _CONTEXT.Process(target=_run, args=arguments)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def run(module: str, *words: str | Path, folder: Path, env: Mapping[str, str], deadline: float = 60) -> Trial:
    """Run `python -m module` to its end; what memory it took is not known."""
    log = Path(env["TMPDIR"]).parent / "said"
    with started(module, *words, folder=folder, env=env, log=log) as process:
        begun = time.monotonic()
        process.join(deadline)
        assert process.exitcode is not None, f"not done after {deadline} s: {log.read_text()}"
    return Trial(process.exitcode, log.read_text(), time.monotonic() - begun, 0)


def killed_before_access(number: int) -> Callable[[], None]:
    """Return what lets a process end, as with `kill -9`, before its access number `number` to a file or a folder."""
    return partial(_count_down, number)


def _count_down(number: int) -> None:
    left = number

    def watch(event: str, _arguments: object) -> None:
        nonlocal left
        # The kill is an event, too.
        if event in _ACCESSES:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def _run(
    module: str, words: Sequence[str], folder: Path, env: Mapping[str, str], log: Path, first: Callable[[], None]
) -> None:
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    sys.argv[1:] = words
    first()
    runpy.run_module(module, run_name="__main__", alter_sys=True)
