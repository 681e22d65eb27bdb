"""A lock, read into the standard form (the pylock.toml specification)."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.pylock import Package, Pylock, PylockValidationError, is_valid_pylock_path
from packaging.utils import canonicalize_name

from hatch_oci.errors import LockError
from hatch_oci.image.document import printable
from hatch_oci.lock.find import HASH, hashes_of, inputs_of, name_of, read_text, workspace_lock
from hatch_oci.lock.needs import Wanted
from hatch_oci.lock.uv import run_uv, settings
from hatch_oci.store.blobs import BlobStore

_FORMAT = 2
_LONGEST = 300
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*==\s*[^\s;\\]+")


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock, as it is to be selected from."""

    name: str
    """The file, relative to the project, for messages."""

    folder: Path
    """Where its relative paths start."""

    content: Pylock
    extras: frozenset[str]
    """What is to be asked of it; what uv has already put in is not."""

    groups: frozenset[str]


def read_lock(path: Path, root: Path, wanted: Wanted, python: str, store: BlobStore, *, offline: bool) -> Lock:
    """Read a lock for a project at `root`, whose image has the Python `python` (`3.13`).

    A `LockError` where it is no lock, is stale, or knows no such extra or group.
    """
    name = name_of(path, root)
    if path.name == "uv.lock":
        options = [*_pairs("--extra", wanted.extras), *_pairs("--group", wanted.groups)]
        arguments = [
            "export",
            "--locked",
            "--format",
            "pylock.toml",
            "--no-emit-project",
            "--no-default-groups",
            *options,
        ]
        if path.resolve() not in {(root / name).resolve() for name in ("uv.lock", workspace_lock(root) or "uv.lock")}:
            message = f"{name}: uv reads its lock beside the project only; make a pylock.toml of it with `uv export`"
            raise LockError(message)
        text = _exported(
            arguments, inputs_of(path, root), root, store, offline=offline, stale=f"{name} is stale: run `uv lock`"
        )
        return Lock(name, root, _parse(text, name), frozenset(), frozenset())
    if is_valid_pylock_path(path):
        content = _parse(read_text(path), name)
        _check_known(name, "extra", wanted.extras, content.extras or ())
        _check_known(
            name,
            "dependency group",
            wanted.groups,
            (*(content.dependency_groups or ()), *(content.default_groups or ())),
        )
        return Lock(name, path.parent, content, frozenset(wanted.extras), frozenset(wanted.groups))
    if wanted.extras or wanted.groups:
        message = (
            f"{name} cannot tell extras and groups apart: `extras` and `dependency-groups` need uv.lock or pylock.toml"
        )
        raise LockError(message)
    hashes = _read_hashes(path, name)
    arguments = ["pip", "compile", "--universal", "--no-deps", "--no-header", "--format", "pylock.toml"]
    arguments += ["--python-version", python, path.name]
    content = _parse(_exported(arguments, inputs_of(path, root), path.parent, store, offline=offline), name)
    return Lock(name, path.parent, _only_hashed(content, hashes, name), frozenset(), frozenset())


def _exported(
    arguments: Sequence[str], inputs: Sequence[Path], folder: Path, store: BlobStore, *, offline: bool, stale: str = ""
) -> str:
    """Return what uv makes of a lock, remembered for the same bytes of `inputs`."""
    contents = hashes_of(inputs)
    asked = [_FORMAT, os.path.relpath(folder, inputs[0].parent), list(arguments), contents, settings()]
    # In ASCII, which holds also paths that are not UTF-8.
    keys = (json.dumps(key, sort_keys=True).encode("ascii") for key in (asked, [*asked, str(folder)]))
    anywhere, here = (hashlib.sha256(key).hexdigest() for key in keys)
    for key in (anywhere, here):
        if isinstance(known := store.recall("locks", key), str):
            return known
    try:
        text = run_uv(arguments, folder, offline=offline)
    except LockError as error:
        if stale and "needs to be updated" in str(error):
            raise LockError(stale) from error
        if "--locked" not in arguments or "No interpreter found" not in str(error):
            raise
        # To see whether its lock is stale uv wants a Python of the project's; to read it, none.
        text = run_uv(["--frozen" if one == "--locked" else one for one in arguments], folder, offline=offline)
    # Wheels that lie on this machine are named by where they do.
    store.remember("locks", here if "file:" in text else anywhere, text)
    return text


def _parse(text: str, name: str) -> Pylock:
    try:
        return Pylock.from_dict(tomllib.loads(text))
    except (ValueError, PylockValidationError, RecursionError) as error:
        # It may quote the lock, over several lines.
        message = f"{name} is no lock: {printable(' '.join(str(error).split()), _LONGEST)}"
        raise LockError(message) from None


def _pairs(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def _check_known(name: str, kind: str, wanted: Sequence[str], known: Collection[str]) -> None:
    if unknown := [one for one in wanted if canonicalize_name(one) not in map(canonicalize_name, known)]:
        there = ", ".join(sorted(known)) or "none"
        message = f"{name} has no {kind} {', '.join(unknown)}; it has: {there}"
        raise LockError(message)


def _read_hashes(path: Path, name: str) -> Mapping[str, frozenset[str]]:
    """Return the hashes that a requirements.txt allows for each of its packages."""
    hashes: dict[str, set[str]] = {}
    for line in re.sub(r"\\\r?\n", " ", read_text(path)).splitlines():
        if match := _PIN.match(line.strip()):
            found = {value for _, value in HASH.findall(line)}
            if not found:
                message = (
                    f"{name}: {match[1]} has no hash: make the file with `uv pip compile --universal --generate-hashes`"
                )
                raise LockError(message)
            hashes.setdefault(canonicalize_name(match[1]), set()).update(found)
    return {package: frozenset(found) for package, found in hashes.items()}


def _only_hashed(content: Pylock, hashes: Mapping[str, frozenset[str]], name: str) -> Pylock:
    """Return the lock with those files alone whose hashes stand in the requirements.txt."""

    def keep(found: Mapping[str, str], allowed: frozenset[str]) -> bool:
        return not allowed.isdisjoint(found.values())

    packages: list[Package] = []
    for package in content.packages:
        allowed = hashes.get(package.name, frozenset())
        wheels = [wheel for wheel in package.wheels or () if keep(wheel.hashes, allowed)]
        sdist = package.sdist if package.sdist and keep(package.sdist.hashes, allowed) else None
        if not wheels and sdist is None:
            message = f"{name}: no file of {package.name} {package.version} has one of its hashes"
            raise LockError(message)
        packages.append(replace(package, wheels=wheels, sdist=sdist))
    return replace(content, packages=packages)
