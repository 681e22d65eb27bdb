"""Layers that are made of the same parts as once before, and so need not be made again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from typing import Any

from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.document import encode_json
from hatch_oci.layers.compress import COMPRESSIONS
from hatch_oci.layers.entry import Entry
from hatch_oci.layers.layer import Layer, write_layer
from hatch_oci.store.blobs import BlobStore

_FORMAT = 3
"""Raised when the same parts make other bytes."""


def cached_layer(
    parts: Sequence[Any], summary: str, compression: str, make: Callable[[], Collection[Entry]], store: BlobStore
) -> Layer:
    """Return the layer that `make` gives the entries of, which depend on `parts` (as JSON) and on nothing else."""
    if known := recall_layer(parts, summary, compression, store):
        return known
    layer = write_layer(make(), summary, compression, store)
    value = {"digest": str(layer.descriptor.digest), "diff-id": str(layer.diff_id)}
    store.remember("layers", _key(parts, compression), value)
    return layer


def recall_layer(parts: Sequence[Any], summary: str, compression: str, store: BlobStore) -> Layer | None:
    """Return the layer of `parts`, None where none was made, or it is not in the store any more."""
    known: tuple[Digest, Digest] | None = store.recall("layers", _key(parts, compression), _read)
    blob = store.find(known[0]) if known else None
    if known is None or blob is None:
        return None
    return Layer(Descriptor(COMPRESSIONS[compression].media_type, blob.digest, blob.size), known[1], summary)


def _key(parts: Sequence[Any], compression: str) -> str:
    made_with = [_FORMAT, COMPRESSIONS[compression].backend, compression]
    return hashlib.sha256(encode_json([*made_with, list(parts)])).hexdigest()


def _read(value: Any) -> tuple[Digest, Digest]:
    return Digest.parse(value["digest"]), Digest.parse(value["diff-id"])
