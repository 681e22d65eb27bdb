"""Which lock a project has, and which files say what is in it."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from hatch_oci.errors import LockError
from hatch_oci.regular import open_regular

AUTOMATIC = ("pylock.oci.toml", "pylock.toml", "uv.lock", "requirements.txt")
"""The names that are looked for, in this order."""

_MOST = 32 * 1024 * 1024
"""Bytes; locks of a thousand packages take five million."""

HASH = re.compile(r"--hash[= ](sha256|sha384|sha512):([0-9a-f]+)")
"""A hash in a requirements.txt."""

_FOLDER = re.compile(r'source = \{ (?:editable|virtual|directory) = "([^"]*)"')


def find_lock(root: Path, setting: str) -> Path | None:
    """Return the lock that `setting` means, a path or `auto`; None where `auto` finds none.

    A lock of uv's may lie above the project, at the root of its workspace. A `LockError` for a path that is not there.
    """
    if setting != "auto":
        path = root / setting
        if not path.is_file():
            message = f"lock = {setting!r}: there is no such file"
            raise LockError(message)
        return path
    for name in AUTOMATIC:
        path = root / name
        if path.is_file() and (name != "requirements.txt" or HASH.search(read_text(path))):
            return path
        if name == "uv.lock" and (above := workspace_lock(root)):
            return above
    return None


def name_of(lock: Path, root: Path) -> str:
    """Return what messages call a lock: its path in the project, if it lies there."""
    return str(lock.relative_to(root)) if lock.is_relative_to(root) else str(lock)


def inputs_of(lock: Path, root: Path) -> list[Path]:
    """Return the files that what a lock gives to the project at `root` depends on."""
    if lock.suffix == ".toml":
        # A pylock.toml says all of it itself.
        return [lock]
    projects = [root / "pyproject.toml", *_member_projects(lock)] if lock.name == "uv.lock" else []
    # What uv goes by itself: which indexes there are, and which of their files may be taken.
    settings = [path for name in ("pyproject.toml", "uv.toml") if (path := lock.parent / name).is_file()]
    return [lock, *dict.fromkeys((*projects, *settings))]


def hashes_of(paths: Sequence[Path]) -> list[str]:
    """Return what changes when one of the files does; a `LockError` where one cannot be read."""
    return [hashlib.sha256(_read(path)).hexdigest() for path in paths]


def read_text(path: Path) -> str:
    """Return the text of a lock; a `LockError` where it cannot be read."""
    try:
        return _read(path).decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"cannot read {path}: {error}"
        raise LockError(message) from error


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            raw = file.read(_MOST + 1)
    except OSError as error:
        message = f"cannot read {path}: {error}"
        raise LockError(message) from error
    if len(raw) > _MOST:
        message = f"{path} is larger than the {_MOST} bytes that are read of a lock"
        raise LockError(message)
    return raw


def workspace_lock(root: Path) -> Path | None:
    """Return the lock of the workspace that the project is a member of."""
    for folder in root.parents:
        if (folder / "uv.lock").is_file():
            return folder / "uv.lock" if _is_workspace(folder / "pyproject.toml") else None
    return None


def _member_projects(lock: Path) -> list[Path]:
    """Return the pyproject.toml files of the packages that a lock of uv's has from folders beside it."""
    folders = sorted(set(_FOLDER.findall(read_text(lock))))
    return [path for folder in folders if (path := lock.parent / folder / "pyproject.toml").is_file()]


def _is_workspace(path: Path) -> bool:
    try:
        tool = tomllib.loads(path.read_text("utf-8")).get("tool", {})
        return "workspace" in tool.get("uv", {})
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return False
