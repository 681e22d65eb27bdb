"""Taking blobs into the store, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hatch_oci import stopping
from hatch_oci.image.digest import Digest
from hatch_oci.store.blobs import BlobStore, StoredBlob

_PARALLEL = 4


@dataclass(frozen=True, slots=True)
class Arriving:
    """A blob that is still elsewhere; `size` in bytes, where it is known."""

    digest: Digest
    size: int | None
    read: Callable[[], Iterator[bytes]]


def take_in(
    arriving: Sequence[Arriving],
    store: BlobStore,
    advance: Callable[[int], None],
    arrived: Callable[[StoredBlob], None] = lambda _blob: None,
) -> dict[Digest, StoredBlob]:
    """Take in blobs; the first failure ends the others.

    `advance` is called with each number of bytes that came, and `arrived` with each blob, while others still come.
    """

    def chunks(one: Arriving) -> Iterator[bytes]:
        for chunk in one.read():
            stopping.check()
            advance(len(chunk))
            yield chunk

    def take(one: Arriving) -> StoredBlob:
        stored = store.put(chunks(one), one.digest, one.size)
        arrived(stored)
        return stored

    taken = stopping.work_on(arriving, take, _PARALLEL)
    return {one.digest: stored for one, stored in zip(arriving, taken, strict=True)}
