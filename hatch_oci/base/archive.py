"""A layer's tar, read as a stream out of whatever compression it has."""

from __future__ import annotations

import gzip
import sys
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from hatch_oci.errors import ContentError
from hatch_oci.image.digest import Digest, Hasher

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_PIECE = 1024 * 1024
# ValueError: what tarfile raises over some malformed headers.
_BROKEN = (tarfile.TarError, zstd.ZstdError, zlib.error, gzip.BadGzipFile, EOFError, ValueError)
_MAX_RATIO = 200
_MAX_EMPTY = 16
_MAX_SMALL = 256 * 1024 * 1024


@contextmanager
def open_layer(path: Path, diff_id: Digest | None) -> Iterator[tarfile.TarFile]:
    """Open a layer; at the end its uncompressed bytes must have the digest `diff_id`, if one is given.

    A `ContentError` for what is no tar, has another digest, or unpacks to a size no honest layer has.
    """
    try:
        with path.open("rb") as raw:
            limit = max(_MAX_SMALL, path.stat().st_size * _MAX_RATIO)
            stream = _Checked(_decompress(raw), diff_id.hasher() if diff_id else None, limit)
            # Streaming mode: tar headers may lie anywhere, and nothing is kept of what went by.
            with tarfile.open(fileobj=cast(BinaryIO, stream), mode="r|", errorlevel=2) as tar:
                yield tar
            if diff_id:
                stream.check(diff_id, path.name)
    except _BROKEN as error:
        message = f"the layer {path.name} of the base cannot be unpacked: {error}"
        raise ContentError(message) from error


def _decompress(raw: BinaryIO) -> BinaryIO:
    """Return a reader of the uncompressed bytes; media types are not asked, since some lie."""
    start = raw.read(4)
    raw.seek(0)
    if start[:2] == b"\x1f\x8b":
        # Reads all members of a gzip stream, unlike tarfile's own streaming.
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw, mode="rb"))
    if start == b"\x28\xb5\x2f\xfd":
        return cast(BinaryIO, zstd.ZstdFile(raw, mode="rb"))
    return raw


class _Checked:
    """A reader that hashes and counts what goes through it."""

    def __init__(self, stream: BinaryIO, hasher: Hasher | None, limit: int) -> None:
        self._stream = stream
        self._hasher = hasher
        self._left = limit
        self._empty = 0

    def read(self, count: int) -> bytes:
        data = self._stream.read(count)
        self._left -= len(data)
        self._empty += not data
        # tarfile skips content by reading on, and on, for as long as a header says that it is.
        if self._empty > _MAX_EMPTY:
            message = "it ends before its content does"
            raise EOFError(message)
        if self._left < 0:
            message = f"a layer of the base unpacks to more than {_MAX_RATIO} times its size"
            raise ContentError(message)
        if self._hasher:
            self._hasher.update(data)
        return data

    def check(self, diff_id: Digest, name: str) -> None:
        while self.read(_PIECE):
            pass
        if self._hasher and self._hasher.hexdigest() != diff_id.hex:
            message = f"the layer {name} of the base unpacks to other bytes than its diff_id {diff_id} says"
            raise ContentError(message)
