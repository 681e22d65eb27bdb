"""The content-addressed store of blobs in the user's cache folder.

v1/blobs/ALGORITHM/HEX    manifests, configs and layers, read-only
v1/facts/KIND/KEY         what was found out about content, at some cost: JSON, below a line with its SHA-256
v1/incoming/              temporaries; a blob is renamed out of here when it is whole and checked
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from hatch_oci.counts import Counts
from hatch_oci.errors import ContentError, DigestError, OutputError
from hatch_oci.image.digest import Digest
from hatch_oci.store.syncing import sync, write_behind
from hatch_oci.store.temporaries import sweep, temporary_file

CACHE_VARIABLE = "HATCH_OCI_CACHE_DIR"

_CHUNK = 1024 * 1024
_LARGE = 1024 * 1024
"""Bytes of a blob that are worth a sync of their own."""

_MAX_UNKNOWN = 4 * 1024**3
"""Bytes of a blob whose size nobody knows."""
# What reading JSON of another form than expected ends in.
_MISSHAPEN = (ValueError, TypeError, KeyError, AttributeError, RecursionError, DigestError)


def cache_folder() -> Path:
    """Return the folder for the store: `$HATCH_OCI_CACHE_DIR`, else one in the user's cache folder.

    An `OutputError` for a user who has neither.
    """
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    # Not above: it is slow to import.
    from platformdirs import user_cache_path

    # For whom has no home, it raises this, or (older ones) names a folder below the current one.
    with suppress(RuntimeError):
        if (folder := user_cache_path("hatch-oci", appauthor=False)).is_absolute():
            return folder
    message = f"there is no home folder to keep a cache in: set {CACHE_VARIABLE} to a folder"
    raise OutputError(message)


class StoredBlob(NamedTuple):
    """A blob in the store: whole, checked, and not to be written to; `size` in bytes."""

    digest: Digest
    size: int
    path: Path


class BlobWriter:
    """Takes in a new blob whose digest is known only at its end."""

    def __init__(self, write: Callable[[bytes | memoryview], None]) -> None:
        """Pass the bytes on to `write`."""
        self._write = write
        self._hasher = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`."""
        self._hasher.update(data)
        self._write(data)
        self.size += len(data)

    @property
    def digest(self) -> Digest:
        """The digest of what has been written so far."""
        return Digest("sha256", self._hasher.hexdigest())


class BlobStore:
    """Blobs by digest. Safe for several threads and processes: whole files are renamed into place."""

    def __init__(self, folder: Path, counts: Counts | None = None) -> None:
        """Use `folder`, which is made if need be; an `OutputError` where that is not possible."""
        self.counts = counts or Counts()
        self.folder = folder / "v1"
        self._boot = _boot()
        self._incoming = self.folder / "incoming"
        with self._writing():
            self._incoming.mkdir(parents=True, exist_ok=True)
        sweep(self._incoming, "")

    def path(self, digest: Digest) -> Path:
        """Return where a blob lies, or would lie."""
        return self.folder / "blobs" / digest.algorithm / digest.hex

    def find(self, digest: Digest, size: int | None = None) -> StoredBlob | None:
        """Return a blob whose bytes were hashed; a damaged one is dropped.

        It is hashed again where its size, date or inode are not those that it had when it was hashed before, or where
        the machine was started since: a power cut may have taken what was not on the disk. A `ContentError` where it
        is whole, but has not the `size` that somebody claims.
        """
        path = self.path(digest)
        try:
            seen = _look_of(path)
            if self.recall("hashed", digest.hex) != [*seen, self._boot]:
                if not self._is_whole(path, digest):
                    return None
                self._remember_look(digest, seen)
        except FileNotFoundError:
            return None
        if size not in (None, seen[0]):
            message = f"{digest} has {seen[0]} bytes, not the {size} that it should have"
            raise ContentError(message)
        return StoredBlob(digest, seen[0], path)

    def _is_whole(self, path: Path, digest: Digest) -> bool:
        hasher = digest.hasher()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                hasher.update(chunk)
            self.counts.add("hashed", file.tell())
        if hasher.hexdigest() == digest.hex:
            return True
        with self._writing():
            path.unlink(missing_ok=True)
        return False

    def _remember_look(self, digest: Digest, look: list[int]) -> None:
        # What is lost of this costs a hash: an unwritable cache is no reason to fail here.
        with suppress(OutputError):
            self.remember("hashed", digest.hex, [*look, self._boot])

    def read(self, digest: Digest, size: int | None = None) -> bytes | None:
        """Return the bytes of a small blob, as `find` finds it, or None."""
        blob = self.find(digest, size)
        return blob.path.read_bytes() if blob else None

    def put(self, chunks: Iterable[bytes], digest: Digest, size: int | None) -> StoredBlob:
        """Take in a blob; a `ContentError`, and nothing kept, unless it is what `checked` lets pass."""
        found = 0
        with self._temporary() as file:
            for chunk in checked(chunks, digest, size):
                found += len(chunk)
                self._write(file, chunk)
            return self._keep(file, digest, found)

    def add(self, data: bytes) -> StoredBlob:
        """Take in a small blob of our own."""
        with self.create() as writer:
            writer.write(data)
        return StoredBlob(writer.digest, writer.size, self.path(writer.digest))

    @contextmanager
    def create(self) -> Iterator[BlobWriter]:
        """Open a new blob; it is kept when the block ends without an error."""
        with self._temporary() as file:
            writer = BlobWriter(partial(self._write, file))
            yield writer
            self._keep(file, writer.digest, writer.size)

    def recall(self, kind: str, key: str, read: Callable[[Any], Any] = lambda value: value) -> Any:
        """Return what `read` makes of the JSON value that was remembered under `key`.

        None where there is none, or where it is damaged, or of another form than `read` takes.
        """
        try:
            seal, _, raw = self._fact(kind, key).read_bytes().partition(b"\n")
            return read(json.loads(raw)) if seal == _seal(raw) else None
        except (FileNotFoundError, *_MISSHAPEN):
            return None

    def remember(self, kind: str, key: str, value: Any) -> None:
        """Keep a JSON value under `key`, which is safe as a file name; what was there is replaced."""
        # In ASCII, which holds also the names of files that are not UTF-8.
        raw = json.dumps(value).encode("ascii")
        with self._temporary() as file:
            self._write(file, b"%s\n%s" % (_seal(raw), raw))
            self._rename(file, self._fact(kind, key), durable=False)

    def _fact(self, kind: str, key: str) -> Path:
        return self.folder / "facts" / kind / key

    def _keep(self, file: BinaryIO, digest: Digest, size: int) -> StoredBlob:
        self.counts.add("hashed", size)
        path = self.path(digest)
        # What is large is on its way to the disk while others are made: an output would have to wait for it.
        self._rename(file, path, durable=self._boot is None or size > _LARGE)
        self._remember_look(digest, _look_of(path))
        return StoredBlob(digest, size, path)

    def _rename(self, file: BinaryIO, path: Path, *, durable: bool) -> None:
        with self._writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            file.flush()
            # Read-only for everyone: outputs may be hard links to this file.
            Path(file.name).chmod(0o444)
            if durable:
                sync(Path(file.name))
            Path(file.name).replace(path)

    def _write(self, file: BinaryIO, data: bytes | memoryview) -> None:
        with self._writing():
            file.write(data)
            write_behind(file, len(data))

    @contextmanager
    def _temporary(self) -> Iterator[BinaryIO]:
        with ExitStack() as stack:
            # Only the making: an error of the body has its own story to tell.
            with self._writing():
                file = stack.enter_context(temporary_file(self._incoming, ""))
            yield file

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = (
                f"cannot write to the cache {self.folder}: {error.strerror or error}; "
                f"make room, or set {CACHE_VARIABLE} to another folder"
            )
            raise OutputError(message) from error


def _seal(raw: bytes) -> bytes:
    """Return what tells these bytes from damaged ones, in which a name may be another and all else look right."""
    return hashlib.sha256(raw).hexdigest().encode("ascii")


def checked(chunks: Iterable[bytes], digest: Digest, size: int | None) -> Iterator[bytes]:
    """Pass a blob on; a `ContentError`, at the latest at its end, unless it has this digest and this size, if known."""
    hasher = digest.hasher()
    found, most = 0, _MAX_UNKNOWN if size is None else size
    for chunk in chunks:
        found += len(chunk)
        if found > most:
            message = f"{digest} goes on after the {most} bytes it should have"
            raise ContentError(message)
        hasher.update(chunk)
        yield chunk
    if size is not None and found < size:
        message = f"{digest} ended after {found} of {size} bytes"
        raise ContentError(message)
    if hasher.hexdigest() != digest.hex:
        message = f"{digest} was asked for, but what came has the digest {hasher.hexdigest()}"
        raise ContentError(message)


def _boot() -> str | None:
    """Return what tells one start of this machine from another, None where nothing does."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return None


def _look_of(path: Path) -> list[int]:
    """Return what changes when a file does: its size in bytes, date and inode."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]
