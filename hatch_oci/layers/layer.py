"""Layers: entries packed into the store, hashed on both sides of the compressor in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hatch_oci.image import media_types
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.layers import tar
from hatch_oci.layers.compress import Compressor, Gzip, Plain
from hatch_oci.layers.entry import Entry
from hatch_oci.store.blobs import BlobStore

COMPRESSIONS = ("gzip", "none")

_BATCH = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer in the store."""

    descriptor: Descriptor
    diff_id: Digest
    summary: str
    """What it holds, for people: it is the layer's line in the image's history."""


def write_layer(entries: Iterable[Entry], summary: str, compression: str, store: BlobStore) -> Layer:
    """Pack entries, which come complete and in order, with one of `COMPRESSIONS`.

    A `SourceError` where a file has not the size its entry says.
    """
    compressor: Compressor = Gzip() if compression == "gzip" else Plain()
    plain = hashlib.sha256()
    with store.create() as writer:
        for batch in _batches(tar.pack(entries)):
            plain.update(batch)
            writer.write(compressor.compress(batch))
        writer.write(compressor.finish())
    descriptor = Descriptor(media_type_of(compression), writer.digest, writer.size)
    return Layer(descriptor, Digest("sha256", plain.hexdigest()), summary)


def media_type_of(compression: str) -> str:
    """Return the media type of a layer with one of `COMPRESSIONS`."""
    return media_types.OCI_LAYER_GZIP if compression == "gzip" else media_types.OCI_LAYER


def _batches(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join pieces: hashing and compressing a thousand small files' headers one by one costs more than the work."""
    pending = bytearray()
    for piece in pieces:
        pending += piece
        if len(pending) >= _BATCH:
            yield bytes(pending)
            pending.clear()
    yield bytes(pending)
