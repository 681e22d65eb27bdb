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

_FORMAT = 2
"""Raised when the same parts make other bytes."""


def cached_layer(
    parts: Sequence[Any], summary: str, compression: str, make: Callable[[], Collection[Entry]], store: BlobStore
) -> Layer:
    """Return the layer that `make` gives the entries of, which depend on `parts` (as JSON) and on nothing else."""
    key = hashlib.sha256(
        encode_json([_FORMAT, COMPRESSIONS[compression].backend, compression, list(parts)])
    ).hexdigest()
    known: tuple[Digest, Digest] | None = store.recall("layers", key, _read)
    if known and (blob := store.find(known[0])):
        return Layer(Descriptor(COMPRESSIONS[compression].media_type, blob.digest, blob.size), known[1], summary)
    layer = write_layer(make(), summary, compression, store)
    store.remember("layers", key, {"digest": str(layer.descriptor.digest), "diff-id": str(layer.diff_id)})
    return layer


def _read(value: Any) -> tuple[Digest, Digest]:
    return Digest.parse(value["digest"]), Digest.parse(value["diff-id"])
