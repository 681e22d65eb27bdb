"""Bringing to the disk what was written: a power cut takes the rest."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_WINDOW = 16 * 1024 * 1024
"""Bytes of a file that go to the disk while more of it comes."""

# Of a folder, or of anything: there is nothing to be done then.
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}


def sync(path: Path) -> None:
    """Return when a file, or a folder's list of names, is on the disk, where its file system can tell.

    An `OSError` if it does not get there.
    """
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)


def write_behind(file: BinaryIO, size: int) -> None:
    """Let the disk begin with what was written, the last `size` bytes now, once it fills a further window.

    The sync at the end is short then.
    """
    if not hasattr(os, "posix_fadvise"):
        return
    end = file.tell()
    start = (end - size) // _WINDOW * _WINDOW
    if end - start >= _WINDOW:
        # Memory can forget only what is on the disk; so Linux begins with what is not, and mostly leaves it at that.
        with suppress(OSError):
            os.posix_fadvise(file.fileno(), start, end - start, os.POSIX_FADV_DONTNEED)
