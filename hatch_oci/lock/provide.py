"""What a project gets out of its lock for a target: from the file's name to wheels that fit together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, parse_wheel_filename

from hatch_oci.errors import LockError
from hatch_oci.lock.closure import active, check_closure
from hatch_oci.lock.dependencies import Dependency, gather
from hatch_oci.lock.facts import WheelFacts
from hatch_oci.lock.lockfile import Wanted, find_lock, read_lock
from hatch_oci.lock.selection import select
from hatch_oci.lock.target import Target
from hatch_oci.registry.remote import Remote
from hatch_oci.store.blobs import BlobStore


@dataclass(frozen=True, slots=True)
class Needs:
    """What a project says that it needs."""

    name: NormalizedName
    requirements: tuple[Requirement, ...]
    """Of the project itself, and of the extras and groups that are wanted."""

    wanted: Wanted
    version: str = "0"
    """The project's own, for packages that need it in turn."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a user says of the lock; names are normalised."""

    lock: str
    excluded: frozenset[str]
    sdists: frozenset[str]


@dataclass(frozen=True, slots=True)
class Provided:
    """What goes into the image; `lock` is the file's name, None where the project needs nothing."""

    dependencies: tuple[Dependency, ...] = ()
    members: tuple[Dependency, ...] = ()
    lock: str | None = None


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
    wheel of another package of the workspace. A `LockError` where there is no lock, or where what it has does not suffice.
    """
    path = find_lock(root, choices.lock)
    if path is None:
        names = ", ".join(requirement.name for requirement in needs.requirements)
        message = f"the project needs {names}, and has no lock: run `uv lock`, or set lock = false to leave them out"
        raise LockError(message)
    major, minor = target.python.minor
    offline = remote.options.offline
    lock = read_lock(path, root, needs.wanted, f"{major}.{minor}", store, offline=offline)
    chosen = select(lock, target, needs.name, choices.excluded, choices.sdists)
    dependencies = gather(chosen.pinned, lock, store, remote)
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


def _check_built(wheels: Sequence[Dependency], target: Target) -> None:
    """Refuse wheels for another machine: those that were built here, since the lock's own were chosen."""
    tags = frozenset(target.tags)
    for one in wheels:
        if parse_wheel_filename(one.filename)[-1].isdisjoint(tags):
            message = f"{one.filename} does not run on {target}: {one.facts.name} has to be built there"
            raise LockError(message)
