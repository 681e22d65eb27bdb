"""From a lock to wheels in the store that fit together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from packaging.utils import parse_wheel_filename

from hatch_oci.errors import LockError
from hatch_oci.lock.build import build_sdist
from hatch_oci.lock.closure import active, check_closure
from hatch_oci.lock.dependencies import Dependency, depend_on
from hatch_oci.lock.facts import WheelFacts
from hatch_oci.lock.fetch import fetch_pinned
from hatch_oci.lock.lockfile import Lock, read_lock
from hatch_oci.lock.needs import Choices, Needs, Provided
from hatch_oci.lock.selection import Pinned, select
from hatch_oci.lock.target import Target
from hatch_oci.registry.remote import Remote
from hatch_oci.store.blobs import BlobStore


def gather(
    path: Path,
    needs: Needs,
    choices: Choices,
    root: Path,
    target: Target,
    base_packages: Mapping[str, str] | None,
    build_member: Callable[[Path], Dependency],
    store: BlobStore,
    remote: Remote,
) -> Provided:
    """Return what the lock at `path` gives; the rest is as `provide` has it."""
    major, minor = target.python.minor
    offline = remote.options.offline
    lock = read_lock(path, root, needs.wanted, f"{major}.{minor}", store, offline=offline)
    chosen = select(lock, target, needs.name, choices.excluded, choices.sdists)
    dependencies = _wheels_of(chosen.pinned, lock, store, remote)
    for member in chosen.members:
        if not (lock.folder / member.path).is_dir():
            message = f"{lock.name} wants {member.name} from the folder {member.path}, which is not there"
            raise LockError(message)
    members = [build_member(lock.folder / member.path) for member in chosen.members]
    _check_built([*dependencies, *members], target)
    needed = [("the project", one) for one in needs.requirements if active(one, target.environment)]
    there = {} if base_packages is None else {name: base_packages.get(name) for name in choices.excluded}
    ignored: Collection[str] = () if base_packages is not None else choices.excluded
    itself = WheelFacts(needs.name, needs.version, (), pure=True, modules=(), scripts=(), data=())
    facts = [itself, *(one.facts for one in (*dependencies, *members))]
    check_closure(needed, facts, there, ignored, target.environment, lock.name)
    return Provided(tuple(dependencies), tuple(members), lock.name)


def _wheels_of(pinned: Sequence[Pinned], lock: Lock, store: BlobStore, remote: Remote) -> list[Dependency]:
    """Return what a lock pins as wheels in the store: fetched, or built of their sources where that is allowed."""
    blobs = fetch_pinned(pinned, lock.folder, store, remote)
    found = []
    for one in pinned:
        filename, blob = one.filename, blobs[one.digest]
        if not one.is_wheel:
            remote.reporter.warn(f"{one.name} {one.version} has no wheel: it is built here, of its source distribution")
            filename, blob = build_sdist(one.filename, blob, store, offline=remote.options.offline)
        found.append(depend_on(filename, blob, store, one.upload_time, built=not one.is_wheel))
    return found


def _check_built(wheels: Sequence[Dependency], target: Target) -> None:
    """Refuse wheels for another machine: those that were built here, since the lock's own were chosen."""
    tags = frozenset(target.tags)
    for one in wheels:
        if parse_wheel_filename(one.filename)[-1].isdisjoint(tags):
            message = f"{one.filename} does not run on {target}: {one.facts.name} has to be built there"
            raise LockError(message)
