"""What a build must know of a base's content: its files' outline and its Python; looked up once, then remembered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hatch_oci.base.outline import Outline, outline_of
from hatch_oci.base.packages import find_packages
from hatch_oci.base.python import Libc, Python, find_python
from hatch_oci.base.resolve import Base
from hatch_oci.errors import BaseError
from hatch_oci.image.document import encode_json
from hatch_oci.store.blobs import BlobStore, StoredBlob

if TYPE_CHECKING:
    from hatch_oci.base.tree import Tree

_FORMAT = 3
"""Raised when what is remembered changes its form or its meaning."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The outline of a base's files, and its Python, or else why none was found."""

    outline: Outline
    python: Python | None
    problem: str
    packages: Mapping[str, str] = field(default_factory=dict)
    """The versions of the packages that Python finds there, by their normalised names."""

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        python = self.python.to_json() if self.python else None
        return {
            "outline": self.outline.to_json(),
            "python": python,
            "problem": self.problem,
            "packages": dict(self.packages),
        }

    @classmethod
    def from_json(cls, value: Any) -> Contents:
        """Return what `to_json` wrote down."""
        python = value["python"]
        return cls(
            Outline.from_json(value["outline"]),
            Python.from_json(python) if python else None,
            str(value["problem"]),
            dict(value["packages"]),
        )


def look_into(
    base: Base, blobs: tuple[StoredBlob, ...], store: BlobStore, python: str | None, libc: Libc | None
) -> Contents:
    """Return what the base holds; `python` (a path) and `libc` are taken as given where they are set."""
    found = recall_contents(base, blobs, store, python, libc)
    if found is None:
        # Not above: mostly no layer is read, and so none of what unpacks them is needed.
        from hatch_oci.base.tree import read_tree

        tree = read_tree([blob.path for blob in blobs], base.config.diff_ids)
        found = _contents(tree, _env(base), python, libc)
        store.remember("contents", _key(base, blobs, python, libc), found.to_json())
        found = replace(found, problem=f"{base.name}: {found.problem}")
    return found


def recall_contents(
    base: Base, blobs: tuple[StoredBlob, ...], store: BlobStore, python: str | None, libc: Libc | None
) -> Contents | None:
    """Return what was found in a base before, None if it was not looked into; the blobs themselves need not be there."""
    found: Contents | None = store.recall("contents", _key(base, blobs, python, libc), Contents.from_json)
    return replace(found, problem=f"{base.name}: {found.problem}") if found else None


def _key(base: Base, blobs: tuple[StoredBlob, ...], python: str | None, libc: Libc | None) -> str:
    # Also the blobs' own digests: that one blob fits a diff_id says nothing of another.
    layers = [(str(blob.digest), str(diff_id)) for blob, diff_id in zip(blobs, base.config.diff_ids, strict=True)]
    return hashlib.sha256(encode_json([_FORMAT, layers, _env(base), python, str(libc)])).hexdigest()


def _env(base: Base) -> dict[str, str]:
    return {name: base.config.env[name] for name in ("PATH", "PYTHON_VERSION") if name in base.config.env}


def _contents(tree: Tree, env: Mapping[str, str], python: str | None, libc: Libc | None) -> Contents:
    try:
        found = find_python(tree, env, python, libc)
    except BaseError as error:
        return Contents(outline_of(tree), None, str(error))
    return Contents(outline_of(tree), found, "", find_packages(tree, found))
