"""The files that a lock pins, fetched from where it says, and checked by its hashes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hatch_oci.errors import ContentError, LockError
from hatch_oci.image.digest import Digest
from hatch_oci.lock.selection import Pinned
from hatch_oci.registry.options import OFFLINE_VARIABLE
from hatch_oci.registry.remote import Remote
from hatch_oci.regular import open_regular
from hatch_oci.report import format_number
from hatch_oci.store.blobs import BlobStore, StoredBlob
from hatch_oci.store.intake import Arriving, take_in

_CHUNK = 1024 * 1024


def fetch_pinned(pinned: Sequence[Pinned], folder: Path, store: BlobStore, remote: Remote) -> dict[Digest, StoredBlob]:
    """Return the files in the store, after fetching those that are missing; `folder` is where relative paths start.

    A `LockError` for one that cannot be had, a `ContentError` for one that is not what its hash says.
    """
    found = {one.digest: store.find(one.digest, one.size) for one in pinned}
    missing = [one for one in pinned if found[one.digest] is None]
    if missing:
        if remote.options.offline and (elsewhere := [one.filename for one in missing if one.url]):
            message = f"{', '.join(elsewhere)}: not in the cache, and {OFFLINE_VARIABLE} is set: build once without it"
            raise LockError(message)
        total = sum(one.size or 0 for one in missing)
        arriving = [Arriving(one.digest, one.size, partial(_read, one, folder, remote)) for one in missing]
        try:
            with remote.reporter.transfer(f"Fetching {format_number(len(missing), 'wheel')}", total) as advance:
                found |= take_in(arriving, store, advance)
        except ContentError as error:
            names = {str(one.digest): one.filename for one in missing}
            name = next((name for digest, name in names.items() if digest in str(error)), "a file of the lock")
            message = f"{name} is not what the lock pins: {error}"
            raise ContentError(message) from error
    return {digest: blob for digest, blob in found.items() if blob}


def _read(one: Pinned, folder: Path, remote: Remote) -> Iterator[bytes]:
    if one.url is None:
        yield from _read_file(folder / (one.path or ""), one.filename)
        return
    parts = urlsplit(one.url)
    if parts.scheme == "file":
        yield from _read_file(Path(unquote(parts.path)), one.filename)
        return
    # Not above: most builds find all their wheels in the store, and importing what fetches them takes long.
    from hatch_oci.lock.index import read_url

    yield from read_url(one.url, one.filename, one.size, remote.transport)


def _read_file(path: Path, filename: str) -> Iterator[bytes]:
    try:
        with open_regular(path) as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        message = f"{filename}: cannot read {path}: {error.strerror or error}"
        raise LockError(message) from error
