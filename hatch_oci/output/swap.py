"""Moving things into place: folders and files that are exchanged at once, files that are shared instead of copied.

What is moved is on the disk before: a power cut, too, leaves the old or the new.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from hatch_oci.errors import OutputError
from hatch_oci.store.syncing import sync
from hatch_oci.store.temporaries import sweep, temporary_file

if sys.platform != "win32":
    import fcntl

_FICLONE = 0x40049409
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_RENAME_SWAP = 2

ASIDE = ".aside"
"""What the name of an output ends with while it waits for its successor."""


def replace_file(target: Path, chunks: Iterable[bytes]) -> None:
    """Write the file `target`, which takes the place of an older one when it is whole; an `OutputError` if it fails."""
    prefix = f".{target.name}."
    try:
        sweep(target.parent, prefix)
        with temporary_file(target.parent, prefix) as file:
            file.writelines(chunks)
            # Some file systems say only now that there is no room.
            file.flush()
            sync(Path(file.name))
            file.close()
            Path(file.name).chmod(0o644)
            Path(file.name).replace(target)
    except OSError as error:
        message = f"cannot write {target}: {error.strerror or error}"
        raise OutputError(message) from error


def put_in_place(made: Path, target: Path) -> None:
    """Move `made` to `target`; what was there goes to where `made` was, in one step where the system can do that."""
    # What is linked from elsewhere, too.
    for path in (*made.rglob("*"), made):
        sync(path)
    _exchange(made, target)
    # Before the old one goes. The new one is there, whatever this says.
    with suppress(OSError):
        sync(target.parent)


def _exchange(made: Path, target: Path) -> None:
    if not os.path.lexists(target):
        try:
            made.rename(target)
        except OSError:
            # Another build may have been quicker, by a moment.
            if not os.path.lexists(target):
                raise
        else:
            return
    if not _exchange_at_once(os.fsencode(made), os.fsencode(target)):
        _exchange_in_steps(made, target)


def put_back(target: Path) -> None:
    """Undo what a killed process left between two steps: what it moved aside belongs at `target`, or is old."""
    aside = _aside(target)
    if not os.path.lexists(aside):
        return
    if not os.path.lexists(target):
        aside.rename(target)
    else:
        shutil.rmtree(aside) if aside.is_dir() and not aside.is_symlink() else aside.unlink()


def _exchange_in_steps(made: Path, target: Path) -> None:
    aside = _aside(target)
    put_back(target)
    try:
        target.rename(aside)
        made.rename(target)
    except BaseException:
        # Also a Ctrl-C: whatever happens here, there is an image afterwards.
        put_back(target)
        raise
    aside.rename(made)


def _aside(target: Path) -> Path:
    """Return where an old output waits: beside its place, under a name that no temporary has."""
    return target.with_name(target.name + ASIDE)


def link_or_copy(source: Path, target: Path) -> bool:
    """Make `target` a file with the content of `source`; tell whether it shares its blocks or its inode.

    It does so where that is possible.
    """
    if _reflink(source, target):
        return True
    try:
        target.hardlink_to(source)
    except OSError:
        # Another file system, or one without links.
        shutil.copyfile(source, target)
        return False
    return True


def _exchange_at_once(first: bytes, second: bytes) -> bool:
    """Use the system's exchange; False where it, or this file system, has none."""
    # Not above: it is slow to import, and mostly there is nothing to exchange.
    import ctypes

    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            return bool(libc.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE) == 0)
        if sys.platform == "darwin":
            return bool(libc.renamex_np(first, second, _RENAME_SWAP) == 0)
    return False


def _reflink(source: Path, target: Path) -> bool:
    if sys.platform != "linux":
        return False
    with source.open("rb") as old, target.open("xb") as new, suppress(OSError):
        fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
        return True
    target.unlink()
    return False
