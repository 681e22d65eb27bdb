"""Taking blobs into the store, several at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from hatch_oci.errors import OCIError
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
            if stop.is_set():
                message = "another download failed"
                raise OCIError(message)
            advance(len(chunk))
            yield chunk

    with ThreadPoolExecutor(_PARALLEL) as pool:
        futures = {one.digest: pool.submit(store.put, chunks(one), one.digest, one.size) for one in arriving}
        try:
            for future in as_completed(futures.values()):
                future.result()
        except BaseException:
            # The first failure is the one to report: the other downloads end at their next piece.
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
        return {digest: future.result() for digest, future in futures.items()}
