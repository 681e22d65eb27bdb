"""Which packages of its distribution an image says that it has: Debian's and Alpine's databases are text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hatch_oci.base.tree import Tree

_DPKG = "/var/lib/dpkg/status"
_DPKG_PARTS = "/var/lib/dpkg/status.d"
"""A file a package, in images that have no dpkg of their own (distroless)."""

_APK = "/lib/apk/db/installed"
_MAX_DATABASE = 64 * 1024 * 1024


def database_files(tree: Tree) -> list[str]:
    """Return the paths of the databases that an image has."""
    parts = tree.find(_DPKG_PARTS)
    names = sorted(parts[1].children) if parts else []
    # What dpkg unpacked of each package lies beside it as NAME.md5sums.
    paths = [_DPKG, _APK, *(f"{_DPKG_PARTS}/{name}" for name in names if not name.endswith(".md5sums"))]
    return [path for path in paths if (found := tree.find(path)) and found[1].kind == "file"]


def find_system_packages(tree: Tree) -> Iterator[tuple[str, str, str]]:
    """Yield the kind (`deb` or `apk`), the name and the version of each package that is installed."""
    for path, data in tree.read(database_files(tree), _MAX_DATABASE).items():
        # Whatever it is, it is not more than a name and a version here.
        text = data.decode("utf-8", "replace")
        if path == _APK:
            yield from (("apk", name, version) for name, version in _read(text, "P", "V"))
        else:
            yield from (("deb", name, version) for name, version in _read(text, "Package", "Version"))


def _read(text: str, name: str, version: str) -> Iterator[tuple[str, str]]:
    """Yield what paragraphs of `KEY: VALUE` lines say under two keys, those of packages that were removed excepted."""
    for paragraph in text.split("\n\n"):
        fields = dict(line.split(":", 1) for line in paragraph.splitlines() if ":" in line and line[0] not in " \t")
        state = fields.get("Status", "installed").split()
        if name in fields and version in fields and state[-1:] == ["installed"]:
            yield fields[name].strip(), fields[version].strip()
