"""The standard library of a base's Python: its sources, to be compiled."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from hatch_oci.base.python import Python
from hatch_oci.base.resolve import Base
from hatch_oci.store.blobs import StoredBlob

_MAX_SOURCE = 16 * 1024 * 1024
_NOT_ITS_OWN = ("site-packages", "dist-packages")


def read_stdlib(base: Base, blobs: Sequence[StoredBlob], python: Python) -> Iterator[tuple[str, bytes]]:
    """Yield path (relative to the root) and content of each module that has no bytecode yet, in the paths' order."""
    # Not above: see `look`.
    from hatch_oci.base.tree import read_tree

    tree = read_tree([blob.path for blob in blobs], base.config.diff_ids)
    prefix = posixpath.dirname(posixpath.dirname(python.executable)).rstrip("/")
    places = [f"{prefix}/{lib}/{python.binary_name}/" for lib in ("lib", "lib64")]
    folder = next((place for place in places if tree.find(f"{place}os.py")), places[0])
    left_out = tuple(f"{folder}{name}/" for name in _NOT_ITS_OWN)
    there = {path for path, entry in tree.walk() if entry.kind == "file" and path.startswith(folder)}
    paths = sorted(
        path
        for path in there
        if path.endswith(".py") and not path.startswith(left_out) and _compiled_path(path, python) not in there
    )
    contents = tree.read(paths, _MAX_SOURCE)
    for path in paths:
        if path in contents:
            yield path[1:], contents[path]


def _compiled_path(path: str, python: Python) -> str:
    major, minor = python.minor
    folder, name = posixpath.split(path)
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.cpython-{major}{minor}.pyc"
