"""Which files of a lock go into an image: for its Python, its C library and its architecture."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast
from urllib.parse import unquote, urlsplit

from packaging.markers import Environment, UndefinedComparison, UndefinedEnvironmentName
from packaging.pylock import Package, PackageArchive, PackageDirectory, PackageSdist, PackageWheel, PylockSelectError
from packaging.tags import Tag
from packaging.utils import NormalizedName, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from hatch_oci.errors import DigestError, LockError
from hatch_oci.image.digest import Digest
from hatch_oci.layers.fit import allows
from hatch_oci.lock.lockfile import Lock
from hatch_oci.lock.target import Target

# Stands in for the source distribution that a package lacks, so that `select` goes on to the next one.
_NONE = PackageSdist(name="none-0.tar.gz", path="none", hashes={"none": ""})
_ALGORITHMS = ("sha256", "sha512")
_SHOWN = 6
_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_(\w+)")
_LEGACY = {"manylinux1": "manylinux_2_5", "manylinux2010": "manylinux_2_12", "manylinux2014": "manylinux_2_17"}


@dataclass(frozen=True, slots=True)
class Pinned:
    """A file that a lock pins by its hash: a wheel, or a source distribution that is allowed."""

    name: NormalizedName
    version: Version
    filename: str
    digest: Digest
    url: str | None
    path: str | None
    """Relative to the lock's folder."""

    size: int | None
    """In bytes, where the lock knows it."""

    upload_time: datetime | None

    @property
    def is_wheel(self) -> bool:
        """Whether it can be installed as it is."""
        return self.filename.endswith(".whl")


@dataclass(frozen=True, slots=True)
class Member:
    """A package of the same workspace, in a folder relative to the lock's."""

    name: NormalizedName
    path: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What a lock gives for a target."""

    pinned: tuple[Pinned, ...]
    members: tuple[Member, ...]


def select(
    lock: Lock, target: Target, project: NormalizedName, excluded: Collection[str], sdists: Collection[str]
) -> Selection:
    """Select from a lock for `target`, without the project itself and what is `excluded`.

    `sdists` are the packages that may come as source distributions. A `LockError` with a line for each package that
    has nothing for the target.
    """
    packages = [_with_sdist(package) for package in lock.content.packages if package.name not in {project, *excluded}]
    # What the project itself needs of Python was checked with its wheel.
    content = replace(lock.content, packages=packages)
    pinned: list[Pinned] = []
    members: list[Member] = []
    problems: list[str] = []
    try:
        for package, source in content.select(
            environment=cast(Environment, target.environment),
            tags=target.tags,
            extras=lock.extras,
            dependency_groups={*(content.default_groups or ()), *lock.groups} if lock.groups else None,
            prefer_sdist_predicate=lambda _name: False,
        ):
            try:
                if isinstance(source, PackageDirectory):
                    members.append(Member(package.name, f"{source.path}/{source.subdirectory or ''}".rstrip("/")))
                else:
                    pinned.append(_pin(package, source, target, sdists))
            except LockError as error:
                problems.append(str(error))
            except ValueError as error:
                # The name of a wheel that is none.
                problems.append(f"{package.name}: {error}")
    except (UndefinedComparison, UndefinedEnvironmentName, InvalidVersion, TypeError) as error:
        problems.append(f"a marker of {lock.name} cannot be evaluated: {error}")
    except PylockSelectError as error:
        problems.append(_explain(lock, target, error))
    if problems:
        raise LockError("\n".join(problems))
    return Selection(tuple(pinned), tuple(members))


def _with_sdist(package: Package) -> Package:
    return replace(package, sdist=_NONE) if package.wheels and package.sdist is None else package


def _pin(package: Package, source: object, target: Target, sdists: Collection[str]) -> Pinned:
    if (
        isinstance(source, PackageArchive)
        and source.subdirectory is None
        and (name := _name_of(source)).endswith(".whl")
    ):
        hashes, size, uploaded = source.hashes, source.size, source.upload_time
        source = PackageWheel(
            name=name, url=source.url, path=source.path, hashes=hashes, size=size, upload_time=uploaded
        )
    if not isinstance(source, PackageWheel | PackageSdist):
        kind = "an archive" if package.archive else "a version control system"
        message = f"{package.name} comes from {kind}: only wheels with a hash go into an image; lock a release of it"
        raise LockError(message)
    if isinstance(source, PackageSdist) and (source is _NONE or package.name not in sdists):
        raise LockError(_no_wheel(package, source, target))
    if not isinstance(source, PackageSdist):
        _, version, _, tags = parse_wheel_filename(source.filename)
        if tags.isdisjoint(target.tags):
            raise LockError(_no_wheel(replace(package, wheels=[source]), _NONE, target))
    elif package.version is None:
        message = f"{package.name} has no version in the lock"
        raise LockError(message)
    else:
        version = package.version
    return Pinned(
        name=package.name,
        version=version,
        filename=source.filename,
        digest=_digest(package.name, source),
        url=source.url,
        path=source.path,
        size=source.size,
        upload_time=source.upload_time,
    )


def _name_of(archive: PackageArchive) -> str:
    return unquote(urlsplit(archive.url or archive.path or "").path.rpartition("/")[2])


def _digest(name: str, source: PackageWheel | PackageSdist) -> Digest:
    for algorithm in _ALGORITHMS:
        if algorithm in source.hashes:
            try:
                return Digest.parse(f"{algorithm}:{source.hashes[algorithm].lower()}")
            except DigestError as error:
                message = f"{name}: the lock's hash of {source.filename} is {error}"
                raise LockError(message) from None
    message = f"{name}: {source.filename} has no sha256 or sha512 hash in the lock, only {', '.join(source.hashes)}"
    raise LockError(message)


def _no_wheel(package: Package, source: PackageSdist, target: Target) -> str:
    """Tell why no wheel of a package runs there, with the nearest that there are."""
    name = f"{package.name} {package.version or ''}".strip()
    wheels = list(package.wheels or ())
    allow = "" if source is _NONE else f', or allow-sdist = ["{package.name}"]'
    if not wheels:
        return f"{name} has no wheel in the lock, only a source distribution: choose another version{allow}"
    offered = {tag for wheel in wheels for tag in parse_wheel_filename(wheel.filename)[-1]}
    if needed := _oldest_glibc(offered, target):
        there = target.python.libc
        return f"{name} needs glibc ≥ {needed[0]}.{needed[1]}, the base has {there.major}.{there.minor}"
    near = _nearest(offered, target)
    listed = ", ".join(near[:_SHOWN]) + (", …" if len(near) > _SHOWN else "")
    return (
        f"{name} has no wheel for {target}; the lock offers {len(wheels)}: {listed}. "
        f"Add a wheel, choose another base{allow}"
    )


def _oldest_glibc(offered: Iterable[Tag], target: Target) -> tuple[int, int] | None:
    """Return the oldest glibc that a wheel would take which fits but for that; None where it is not that."""
    if target.python.libc.name != "glibc":
        return None
    fitting = {(tag.interpreter, tag.abi) for tag in target.tags}
    machine = target.environment["platform_machine"]
    found = []
    for tag in offered:
        family, _, arch = tag.platform.partition("_")
        platform = f"{_LEGACY[family]}_{arch}" if family in _LEGACY else tag.platform
        match = _MANYLINUX.fullmatch(platform)
        if match and match[3] == machine and (tag.interpreter, tag.abi) in fitting:
            found.append((int(match[1]), int(match[2])))
    return min(found, default=None)


def _nearest(offered: Iterable[Tag], target: Target) -> list[str]:
    """Return what wheels are offered for, in short: the platforms for this Python, else all tags."""
    fitting = {(tag.interpreter, tag.abi) for tag in target.tags}
    platforms = {tag.platform for tag in offered if (tag.interpreter, tag.abi) in fitting}
    machine = f"_{target.environment['platform_machine']}"

    def distance(platform: str) -> tuple[bool, bool, str]:
        return not platform.endswith(machine), "linux" not in platform, platform

    return sorted(platforms, key=distance) if platforms else sorted(map(str, offered))


def _explain(lock: Lock, target: Target, error: PylockSelectError) -> str:
    if lock.content.environments and "environments" in str(error):
        made_for = " or ".join(map(str, lock.content.environments))
        return (
            f"{lock.name} was made for {made_for}, and cannot serve {target}: "
            "make one for all platforms, e.g. with `uv lock`"
        )
    requires = lock.content.requires_python
    if requires and not allows(requires, target.python.version):
        return f"{lock.name} is for Python {requires}, the base has {target.python.full_version}"
    return f"{lock.name} cannot be selected from for {target}: {error}"
