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
    file = open(path, "rb", opener=lambda name, _flags: os.open(name, READ_FLAGS))  # noqa: SIM115 - it is returned
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
    return file
