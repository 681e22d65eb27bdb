"""What a build must know of a base's content: files, Python and packages; looked up once, then remembered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hatch_oci.base.outline import Outline, outline_of
from hatch_oci.base.packages import find_packages
from hatch_oci.base.python import Libc, Python, find_python
from hatch_oci.base.resolve import Base, fetch_layers
from hatch_oci.errors import BaseError, ContentError
from hatch_oci.image.document import encode_json
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore, StoredBlob

if TYPE_CHECKING:
    from hatch_oci.base.tree import Listings, Tree

_FORMAT = 4
"""Raised when what is remembered changes its form or its meaning."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The outline of a base's files, and its Python, or else why none was found."""

    outline: Outline = field(default_factory=Outline)
    python: Python | None = None
    problem: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    """The versions of the packages that Python finds there, by their normalised names."""

    system: Sequence[Any] = ()
    """The distribution and its packages, as `base.system` writes them down; mostly they need not be read again."""

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        python = self.python.to_json() if self.python else None
        return {
            "outline": self.outline.to_json(),
            "python": python,
            "problem": self.problem,
            "packages": dict(self.packages),
            "system": list(self.system),
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
            list(value["system"]),
        )


def fetch_and_look(
    base: Base, store: BlobStore, reporter: Reporter, python: str | None, libc: Libc | None
) -> tuple[tuple[StoredBlob, ...], Contents]:
    """Return the base's layers, and what is in them; each is read when it has come, while others still come."""
    if known := recall_contents(base, store, python, libc):
        return fetch_layers(base, store, reporter), known
    # Not above: mostly no layer is read, and so none of what unpacks them is needed.
    from hatch_oci.base.tree import Allowance, list_layer

    listings: Listings = {}
    allowance = Allowance.of(sum(layer.size for layer in base.layers))

    def read(blob: StoredBlob) -> None:
        pairs = zip(base.layers, base.config.diff_ids, strict=True)
        for diff_id in {diff_id for layer, diff_id in pairs if layer.digest == blob.digest}:
            # What is wrong with it is told when all are there.
            with suppress(ContentError):
                listings[blob.path, diff_id] = list_layer(blob.path, diff_id, allowance)

    blobs = fetch_layers(base, store, reporter, read)
    return blobs, look_into(base, blobs, store, python, libc, listings)


def look_into(
    base: Base,
    blobs: tuple[StoredBlob, ...],
    store: BlobStore,
    python: str | None,
    libc: Libc | None,
    listings: Listings | None = None,
) -> Contents:
    """Return what the base holds; `python` (a path) and `libc` are taken as given where they are set."""
    found = _recall(base, blobs, store, python, libc)
    if found is None:
        from hatch_oci.base.tree import read_tree

        # Not in a variable: of a large base, the tree and the words for its outline would be much to hold at once.
        found = _contents(
            read_tree([blob.path for blob in blobs], base.config.diff_ids, listings), _env(base), python, libc
        )
        store.remember("contents", _key(base, blobs, python, libc), found.to_json())
        found = replace(found, problem=f"{base.name}: {found.problem}")
    return found


def recall_contents(base: Base, store: BlobStore, python: str | None, libc: Libc | None) -> Contents | None:
    """Return what was found in a base before, None if it was not looked into; its layers need not be there."""
    absent = tuple(StoredBlob(one.digest, one.size, store.path(one.digest)) for one in base.layers)
    return _recall(base, absent, store, python, libc)


def _recall(
    base: Base, blobs: tuple[StoredBlob, ...], store: BlobStore, python: str | None, libc: Libc | None
) -> Contents | None:
    found: Contents | None = store.recall("contents", _key(base, blobs, python, libc), Contents.from_json)
    return replace(found, problem=f"{base.name}: {found.problem}") if found else None


def _key(base: Base, blobs: tuple[StoredBlob, ...], python: str | None, libc: Libc | None) -> str:
    # Also the blobs' own digests: that one blob fits a diff_id says nothing of another.
    layers = [(str(blob.digest), str(diff_id)) for blob, diff_id in zip(blobs, base.config.diff_ids, strict=True)]
    return hashlib.sha256(encode_json([_FORMAT, layers, _env(base), python, str(libc)])).hexdigest()


def _env(base: Base) -> dict[str, str]:
    return {name: base.config.env[name] for name in ("PATH", "PYTHON_VERSION") if name in base.config.env}


def _contents(tree: Tree, env: Mapping[str, str], python: str | None, libc: Libc | None) -> Contents:
    # Not above: as `tree`.
    from hatch_oci.base.system import find_system

    system = find_system(tree).to_json()
    try:
        found = find_python(tree, env, python, libc)
    except BaseError as error:
        return Contents(outline_of(tree), None, str(error), system=system)
    return Contents(outline_of(tree), found, "", find_packages(tree, found), system)
