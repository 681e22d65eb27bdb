"""What is asked of a lock, and what it gives."""

from __future__ import annotations

from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import NormalizedName

from hatch_oci.lock.dependencies import Dependency


class Wanted(NamedTuple):
    """What a project wants of its lock besides its plain dependencies; names are normalised."""

    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class Needs(NamedTuple):
    """What a project says that it needs."""

    name: NormalizedName
    requirements: tuple[Requirement, ...]
    """Of the project itself, and of the extras and groups that are wanted."""

    wanted: Wanted
    version: str = "0"
    """The project's own, for packages that need it in turn."""


class Choices(NamedTuple):
    """What a user says of the lock; names are normalised."""

    lock: str
    excluded: frozenset[str]
    sdists: frozenset[str]


class Provided(NamedTuple):
    """What goes into the image; `lock` is the file's name, None where the project needs nothing."""

    dependencies: tuple[Dependency, ...] = ()
    members: tuple[Dependency, ...] = ()
    lock: str | None = None
