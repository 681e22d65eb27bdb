"""Files of others, opened without waiting for what is none: a pipe may never give anything, a device never end."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

READ_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
"""What opens a file, and does not wait where it became a pipe."""


def open_regular(path: Path) -> BufferedReader:
    """Open a file to read it; an `OSError` where there is none, or something else."""
    descriptor = os.open(path, READ_FLAGS)
    try:
        _check(os.fstat(descriptor).st_mode, str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check(mode: int, path: str) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", path)
