"""Taking blobs into the store, several at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
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


def take_in(arriving: Sequence[Arriving], store: BlobStore, advance: Callable[[int], None]) -> dict[Digest, StoredBlob]:
    """Take in blobs, and call `advance` with each number of bytes that came; the first failure ends the others."""
    stop = threading.Event()

    def chunks(one: Arriving) -> Iterator[bytes]:
        for chunk in one.read():
            stopping.check()
            advance(len(chunk))
            yield chunk

    def take(one: Arriving) -> StoredBlob:
        with stopping.stoppable(stop):
            return store.put(chunks(one), one.digest, one.size)

    with ThreadPoolExecutor(_PARALLEL) as pool:
        futures = {one.digest: pool.submit(take, one) for one in arriving}
        try:
            for future in as_completed(futures.values()):
                future.result()
        except BaseException:
            # The first failure, or the user's Ctrl-C, is the one to report.
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
        return {digest: future.result() for digest, future in futures.items()}
