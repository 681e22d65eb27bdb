"""What a build must know of a base's content: its folders and its Python; looked up once, then remembered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hatch_oci.base.python import Libc, Python, find_python
from hatch_oci.base.resolve import Base
from hatch_oci.base.tree import Tree, read_tree
from hatch_oci.errors import BaseError
from hatch_oci.image.document import encode_json
from hatch_oci.store.blobs import BlobStore, StoredBlob

_FORMAT = 1
"""Raised when what is remembered changes its form or its meaning."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Which folders a base has, and which of its symlinks lead to one; paths are absolute."""

    real: frozenset[str] = frozenset({"/"})
    links: Mapping[str, str] | None = None

    def has(self, path: str) -> bool:
        """Tell whether `path`, relative to the root, is a folder there, be it through symlinks."""
        real = ""
        for part in path.split("/"):
            real = f"{real}/{part}" if real != "/" else f"/{part}"
            real = (self.links or {}).get(real, real)
            if real not in self.real:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Contents:
    """The folders of a base, and its Python, or else why none was found."""

    folders: Folders
    python: Python | None
    problem: str


def look_into(
    base: Base, blobs: tuple[StoredBlob, ...], store: BlobStore, python: str | None, libc: Libc | None
) -> Contents:
    """Return what the base holds; `python` (a path) and `libc` are taken as given where they are set."""
    env = {name: base.config.env[name] for name in ("PATH", "PYTHON_VERSION") if name in base.config.env}
    asked = [_FORMAT, list(map(str, base.config.diff_ids)), env, python, str(libc)]
    key = hashlib.sha256(encode_json(asked)).hexdigest()
    known = store.recall("contents", key)
    if known is None:
        tree = read_tree([blob.path for blob in blobs], base.config.diff_ids)
        known = _folders(tree) | _python(tree, env, python, libc)
        store.remember("contents", key, known)
    found = known["python"]
    return Contents(
        Folders(frozenset(known["folders"]), known["links"]),
        Python.from_json(found) if found else None,
        f"{base.name}: {known['problem']}",
    )


def _folders(tree: Tree) -> dict[str, Any]:
    walked = [(path, entry.kind) for path, entry in tree.walk()]
    targets = {path: tree.find(path) for path, kind in walked if kind == "link"}
    return {
        "folders": ["/", *(path for path, kind in walked if kind == "folder")],
        "links": {path: to[0] for path, to in targets.items() if to and to[1].kind == "folder"},
    }


def _python(tree: Tree, env: Mapping[str, str], python: str | None, libc: Libc | None) -> dict[str, Any]:
    try:
        return {"python": find_python(tree, env, python, libc).to_json(), "problem": ""}
    except BaseError as error:
        return {"python": None, "problem": str(error)}
