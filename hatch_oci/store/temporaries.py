"""Temporary files and folders beside what they will replace, locked while their maker lives.

A maker that was killed leaves its temporary behind, but not its lock: that tells `sweep` what may go.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl

_GRACE = 60.0
"""Seconds; younger temporaries are left alone, since their maker may not have locked them yet."""


@contextmanager
def temporary_file(folder: Path, prefix: str) -> Iterator[BinaryIO]:
    """Open a new file in `folder` for writing; it is removed at the end unless it was renamed by then."""
    with ExitStack() as stack:
        file = None
        # Somebody whose clock is wrong may have taken it for one that was left behind, before it was locked.
        while file is None or not _is_there(file.fileno()):
            file = stack.enter_context(_new_file(folder, prefix))
            _lock(file.fileno())
        yield file


@contextmanager
def _new_file(folder: Path, prefix: str) -> Iterator[BinaryIO]:
    file = tempfile.NamedTemporaryFile(prefix=prefix, dir=folder, delete=False)  # noqa: SIM115 - closed below
    try:
        yield file  # type: ignore[misc]  # a wrapper that is a BinaryIO in all but its type
    finally:
        Path(file.name).unlink(missing_ok=True)
        # What is kept was flushed; what a full disk did not take would fail once more, and hide the first error.
        with suppress(OSError):
            file.close()


@contextmanager
def temporary_folder(folder: Path, prefix: str) -> Iterator[Path]:
    """Make a new folder in `folder`; it is removed at the end, with all in it, if it is still there."""
    with ExitStack() as stack:
        made = None
        while made is None or not made.exists():
            made = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
            stack.callback(shutil.rmtree, made, ignore_errors=True)
            if sys.platform != "win32":
                # Gone again already, as above.
                with suppress(FileNotFoundError):
                    descriptor = os.open(made, os.O_RDONLY)
                    stack.callback(os.close, descriptor)
                    _lock(descriptor)
        yield made


def sweep(folder: Path, prefix: str) -> None:
    """Remove the temporaries in `folder` whose names begin with `prefix` and whose makers are dead."""
    for path in folder.glob(f"{prefix}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _GRACE:
                _remove_abandoned(path)


def _remove_abandoned(path: Path) -> None:
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        # Held until it is gone: its maker may be about to lock it.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


def _is_there(descriptor: int) -> bool:
    return os.fstat(descriptor).st_nlink > 0


def _lock(descriptor: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_EX)
