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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl

_GRACE = 60.0
"""Seconds; younger temporaries are left alone, since their maker may not have locked them yet."""


@contextmanager
def temporary_file(folder: Path, prefix: str) -> Iterator[BinaryIO]:
    """Open a new file in `folder` for writing; it is removed at the end unless it was renamed by then."""
    file = tempfile.NamedTemporaryFile(prefix=prefix, dir=folder, delete=False)  # noqa: SIM115 - closed below
    try:
        _lock(file.fileno())
        yield file  # type: ignore[misc]  # a wrapper that is a BinaryIO in all but its type
    finally:
        Path(file.name).unlink(missing_ok=True)
        # What is kept was flushed; what a full disk did not take would fail once more, and hide the first error.
        with suppress(OSError):
            file.close()


@contextmanager
def temporary_folder(folder: Path, prefix: str) -> Iterator[Path]:
    """Make a new folder in `folder`; it is removed at the end, with all in it, if it is still there."""
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
    descriptor = None
    try:
        if sys.platform != "win32":
            descriptor = os.open(made, os.O_RDONLY)
            _lock(descriptor)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def sweep(folder: Path, prefix: str) -> None:
    """Remove the temporaries in `folder` whose names begin with `prefix` and whose makers are dead."""
    for path in folder.glob(f"{prefix}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _GRACE and _is_abandoned(path):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _is_abandoned(path: Path) -> bool:
    if sys.platform == "win32":
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _lock(descriptor: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_EX)
