"""The programs that are measured against, and Debian's packages of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable

from bench import BenchError

GIB = 1024**3


def check_tools(names: Iterable[str]) -> None:
    """Raise a `BenchError` that says what to install where programs are missing; packages are called like them."""
    missing = sorted({name for name in names if not shutil.which(name)})
    if missing:
        names = " ".join(missing)
        message = f"not installed: {', '.join(missing)}; on Debian: apt-get install {names}"
        raise BenchError(message)


def check_room(needed: int) -> None:
    """Raise a `BenchError` where the temporary folder has no room for so many bytes."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < needed:
        message = (
            f"{needed / GIB:.1f} GiB are needed in {folder}, where {free / GIB:.1f} GiB are free: "
            "set TMPDIR to another folder, or name fewer cases"
        )
        raise BenchError(message)
