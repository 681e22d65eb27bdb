"""Which Python packages a base brings along, by the names of their folders (the recording installed projects spec)."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from hatch_oci.base.python import Python

if TYPE_CHECKING:
    from hatch_oci.base.tree import Tree

_INFO = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._]*[A-Za-z0-9])?)-(?P<version>[^-]+?)(?:-py[\d.]+)?\.(?:dist|egg)-info"
)


def read_info_name(name: str) -> tuple[str, str] | None:
    """Return the normalised name and the version that the folder of an installed package says; None for another one."""
    match = _INFO.fullmatch(name)
    return (canonicalize_name(match["name"]), match["version"]) if match else None


def find_packages(tree: Tree, python: Python) -> dict[str, str]:
    """Return the versions of the packages that `python` can import, by their normalised names."""
    found: dict[str, str] = {}
    for folder in _folders(python):
        there = tree.find(folder)
        for name in sorted(there[1].children) if there else ():
            if package := read_info_name(name):
                # The first folder on sys.path wins.
                found.setdefault(*package)
    return found


def _folders(python: Python) -> list[str]:
    """Return where packages lie for an interpreter; Debian's own lie elsewhere than everybody's."""
    prefix = posixpath.dirname(posixpath.dirname(python.executable))
    library = python.binary_name
    # What an administrator installs goes beside what the distribution does.
    prefixes = ["/usr/local", prefix] if prefix == "/usr" else [prefix]
    return [
        *(
            f"{one}/{lib}/{library}/{packages}"
            for one in prefixes
            for lib in ("lib", "lib64")
            for packages in ("dist-packages", "site-packages")
        ),
        f"{prefix}/lib/python3/dist-packages",
    ]
