"""What a project gets out of its lock for a target: worked out once, then remembered for the same lock and needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import packaging

from hatch_oci.errors import LockError
from hatch_oci.image.digest import Digest
from hatch_oci.lock.dependencies import Dependency
from hatch_oci.lock.facts import WheelFacts
from hatch_oci.lock.find import find_lock, hashes_of, inputs_of, name_of
from hatch_oci.lock.needs import Choices, Needs, Provided
from hatch_oci.lock.target import Target
from hatch_oci.lock.uv import settings
from hatch_oci.registry.remote import Remote
from hatch_oci.store.blobs import BlobStore

_FORMAT = 1
"""Raised when the same lock and needs give something else, or what is remembered changes its form."""


def provide(
    needs: Needs,
    choices: Choices,
    root: Path,
    target: Target,
    base_packages: Mapping[str, str] | None,
    build_member: Callable[[Path], Dependency],
    store: BlobStore,
    remote: Remote,
) -> Provided:
    """Return the wheels that the lock of the project at `root` gives for `target`.

    `base_packages` are the packages that the base has, for a venv that sees them, else None; `build_member` makes the
    wheel of another package of the workspace. A `LockError` where there is no lock, or what it has does not suffice.
    """
    path = find_lock(root, choices.lock)
    if path is None:
        names = ", ".join(requirement.name for requirement in needs.requirements)
        message = f"the project needs {names}, and has no lock: run `uv lock`, or set lock = false to leave them out"
        raise LockError(message)
    key = _key(path, needs, choices, root, target, base_packages)
    known = _recall(key, store)
    if known is not None:
        return Provided(known, (), name_of(path, root))
    # Not above: reading a lock takes long, and so does importing what reads it.
    from hatch_oci.lock.gather import gather

    provided = gather(path, needs, choices, root, target, base_packages, build_member, store, remote)
    # What is built here is built again whenever its source changes, of which nothing is known here.
    if not provided.members and not choices.sdists:
        store.remember("provided", key, [_to_json(one) for one in provided.dependencies])
    return provided


def _key(
    path: Path, needs: Needs, choices: Choices, root: Path, target: Target, base_packages: Mapping[str, str] | None
) -> str:
    """Return what changes with all that `gather` goes by, where it builds nothing."""
    lock = [str(root), str(path), hashes_of(inputs_of(path, root)), settings()]
    wanted = [needs.wanted.extras, needs.wanted.groups, sorted(choices.excluded), sorted(choices.sdists)]
    project = [needs.name, needs.version, list(map(str, needs.requirements))]
    runs_on = [target.python.to_json(), str(target.platform), base_packages and dict(base_packages)]
    # What is chosen, and whether it suffices, is left to packaging.
    parts = [_FORMAT, packaging.__version__, lock, wanted, project, runs_on]
    # In ASCII, which holds also paths that are not UTF-8.
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("ascii")).hexdigest()


def _to_json(one: Dependency) -> dict[str, Any]:
    uploaded = one.upload_time.isoformat() if one.upload_time else None
    return {"filename": one.filename, "digest": str(one.blob.digest), "uploaded": uploaded, "facts": asdict(one.facts)}


def _recall(key: str, store: BlobStore) -> tuple[Dependency, ...] | None:
    """Return what was remembered; None where it was not, or where one of the wheels is not in the store any more."""

    def read(value: Any) -> tuple[Dependency, ...] | None:
        if not isinstance(value, list):
            message = "not a list of wheels"
            raise TypeError(message)
        found = [_from_json(one, store) for one in value]
        return tuple(one for one in found if one) if all(found) else None

    known: tuple[Dependency, ...] | None = store.recall("provided", key, read)
    return known


def _from_json(value: Any, store: BlobStore) -> Dependency | None:
    facts = WheelFacts.from_json(value["facts"])
    uploaded = datetime.fromisoformat(value["uploaded"]) if value["uploaded"] else None
    if not isinstance(value["filename"], str):
        message = "not a wheel"
        raise TypeError(message)
    blob = store.find(Digest.parse(value["digest"]))
    return Dependency(facts, value["filename"], blob, uploaded) if blob else None
