"""Folders that are full or closed, which takes root's rights to arrange; without them a test skips."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.requirements import missing, require, require_root
from tests.e2e.shell import run


@contextmanager
def small_disk(folder: Path, **options: int) -> Iterator[None]:
    """Mount an empty file system of its own at `folder`; `options` are those of tmpfs, such as its `size` in bytes."""
    _mount("-t", "tmpfs", "-o", _written(options), "tmpfs", folder)
    try:
        yield
    finally:
        run("umount", folder)


def resize(folder: Path, **options: int) -> None:
    """Change the options of a small disk, whatever is on it."""
    run("mount", "-o", f"remount,{_written(options)}", folder)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nobody write to a folder, not even root."""
    _mount("--bind", folder, folder)
    try:
        run("mount", "-o", "remount,bind,ro", folder)
        yield
    finally:
        run("umount", folder)


@contextmanager
def journalled(folder: Path, store: Path) -> Iterator[None]:
    """Mount the file system in a file, of which the disk knows nothing but what was synced, or written by chance.

    It is an ext4 without what it does for those who do not sync what they rename.
    """
    _mount("-o", "loop,noauto_da_alloc", store, folder)
    try:
        yield
    finally:
        run("umount", folder)


def make_journalled(store: Path, size: int) -> None:
    """Make a file that holds an empty ext4 file system of so many bytes."""
    require("mkfs.ext4")
    with store.open("wb") as file:
        file.truncate(size)
    run("mkfs.ext4", "-q", store)


def copy_at_rest(store: Path, copy: Path) -> None:
    """Copy a file that a file system lies in, as it is at one moment."""
    before = None
    while before != (before := store.stat().st_mtime_ns):
        time.sleep(0.05)
        run("cp", "--sparse=always", store, copy)


@contextmanager
def closed(folder: Path, rights: int = 0o555) -> Iterator[tuple[str, ...]]:
    """Leave a folder these rights alone; yield how a command begins that heeds it, which root's do not."""
    require("setpriv")
    require_root()
    mode = folder.stat().st_mode
    folder.chmod(rights)
    try:
        lacking = "-dac_override,-dac_read_search"
        yield "setpriv", f"--bounding-set={lacking}", f"--inh-caps={lacking}"
    finally:
        folder.chmod(mode)


def as_stranger() -> tuple[str, ...]:
    """Return how a command begins that runs as a user whom the system does not know, and who may write everywhere."""
    require("setpriv")
    require_root()
    rights = "+dac_override,+dac_read_search"
    return "setpriv", "--reuid=54321", f"--inh-caps={rights}", f"--ambient-caps={rights}"


def _mount(*words: str | Path) -> None:
    require("mount", "umount")
    require_root()
    try:
        run("mount", *words)
    except AssertionError as error:
        missing(f"the right to mount: {str(error).splitlines()[-1]}")


def _written(options: dict[str, int]) -> str:
    return ",".join(f"{key}={value}" for key, value in options.items())
