"""Which distribution a base is of, and which of its packages are installed, by the package manager's own database."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hatch_oci.base.tree import Tree

_RELEASE = "/etc/os-release"
_DPKG = "/var/lib/dpkg/status"
_DPKG_FOLDER = "/var/lib/dpkg/status.d"
"""Of distroless images: a file a package."""

_APK = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
_RPM = ("/var/lib/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite")
_UNREAD = (
    *("/var/lib/rpm/Packages", "/var/lib/rpm/Packages.db", "/usr/lib/sysimage/rpm/Packages.db"),
    "/var/lib/pacman/local",
)
"""What others keep, and what is not read here."""

_MOST = 32 * 1024 * 1024
"""Bytes of a database."""


@dataclass(frozen=True, slots=True)
class SystemPackage:
    """An installed package, as its package manager calls it."""

    name: str
    version: str
    architecture: str
    licence: str = ""


@dataclass(frozen=True, slots=True)
class System:
    """A distribution, as far as the base says which; `kind` is the type of its packages in a package URL."""

    id: str = ""
    version: str = ""
    kind: str = ""
    packages: tuple[SystemPackage, ...] = ()
    unread: str = ""
    """A database that is there, but of a form that is not read."""

    def to_json(self) -> list[Any]:
        """Return all of it as JSON."""
        packages = [[one.name, one.version, one.architecture, one.licence] for one in self.packages]
        return [self.id, self.version, self.kind, packages, self.unread]

    @classmethod
    def from_json(cls, value: Any) -> System:
        """Return what `to_json` wrote down."""
        name, version, kind, packages, unread = value
        return cls(name, version, kind, tuple(SystemPackage(*one) for one in packages), unread)


def find_system(tree: Tree) -> System:
    """Return the distribution and its packages, in the order of their names."""
    single = _single_files(tree)
    # All at once: each layer is gone through as often as something is read.
    read = tree.read([_RELEASE, _DPKG, *single, *_APK, *_RPM], _MOST)
    release = dict(_assignments(_text(read.get(_RELEASE, b""))))
    unread = next((path for path in _UNREAD if tree.find(path)), "")
    debian = [text for path in (_DPKG, *single) for text in _text(read.get(path, b"")).split("\n\n")]
    alpine = [text for path in _APK for text in _text(read.get(path, b"")).split("\n\n")]
    packages, kind = set(_debian(debian)), "deb"
    if not packages:
        packages, kind = set(_alpine(alpine)), "apk"
    for path in _RPM:
        if path in read and not packages:
            try:
                packages, kind = set(_rpm(read[path])), "rpm"
            except (ValueError, ImportError):
                # There are Pythons without SQLite, too.
                unread = path
    ordered = sorted(packages, key=lambda one: (one.name, one.architecture, one.version))
    return System(
        release.get("ID", ""), release.get("VERSION_ID", ""), kind if packages else "", tuple(ordered), unread
    )


def database_files(tree: Tree) -> list[str]:
    """Return the paths of the databases that `find_system` reads."""
    paths = [_DPKG, *_single_files(tree), *_APK, *_RPM]
    return [path for path in paths if (found := tree.find(path)) and found[1].kind == "file"]


def _single_files(tree: Tree) -> list[str]:
    folder = tree.find(_DPKG_FOLDER)
    names = sorted(folder[1].children) if folder else []
    # What dpkg unpacked of each package lies beside it as NAME.md5sums.
    return [f"{_DPKG_FOLDER}/{name}" for name in names if not name.endswith(".md5sums")]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _rpm(database: bytes) -> Iterator[SystemPackage]:
    # Not above: few have such a database.
    from hatch_oci.base.rpm import read_headers

    return (SystemPackage(*fields) for fields in read_headers(database))


def _debian(paragraphs: Iterable[str]) -> Iterator[SystemPackage]:
    for fields in map(_fields, paragraphs):
        # What was removed may have left its configuration, and its paragraph.
        there = not fields.get("Status", "").endswith((" config-files", " not-installed"))
        if there and fields.get("Package") and fields.get("Version"):
            yield SystemPackage(fields["Package"], fields["Version"], fields.get("Architecture", ""))


def _alpine(paragraphs: Iterable[str]) -> Iterator[SystemPackage]:
    for fields in map(_fields, paragraphs):
        if fields.get("P") and fields.get("V"):
            yield SystemPackage(fields["P"], fields["V"], fields.get("A", ""), fields.get("L", ""))


def _fields(paragraph: str) -> Mapping[str, str]:
    """Return the fields of a paragraph with the first line of each."""
    pairs = (line.partition(":") for line in paragraph.splitlines() if not line.startswith((" ", "\t")))
    return {key: value.strip() for key, _, value in pairs}


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    """Yield what a shell would set that reads os-release."""
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            try:
                yield key, "".join(shlex.split(value))
            except ValueError:
                continue
