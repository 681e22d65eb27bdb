"""A layer's tar, read as a stream out of whatever compression it has."""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from hatch_oci import stopping
from hatch_oci.errors import ContentError
from hatch_oci.image.digest import Digest, Hasher

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

try:
    from zlib_ng import gzip_ng, zlib_ng
except ImportError:
    _GZIP: type[gzip.GzipFile] = gzip.GzipFile
    _GZIP_ERROR: type[Exception] = zlib.error
else:
    # It takes half the time.
    _GZIP = gzip_ng.GzipNGFile
    _GZIP_ERROR = cast(type[Exception], zlib_ng.error)

_PIECE = 256 * 1024
# ValueError: what tarfile raises over some malformed headers.
# RecursionError: it calls itself for each header that is about the next one.
_BROKEN = (tarfile.TarError, zstd.ZstdError, _GZIP_ERROR, gzip.BadGzipFile, EOFError, ValueError, RecursionError)
_MAX_RATIO = 200
_MAX_SMALL = 256 * 1024 * 1024
_MAX_HEADERS = 1024 * 1024
"""Bytes of all that stands before one member's content: names, extended attributes, where a sparse file has holes."""

_ZSTD: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 25}
"""32 MiB, more than what any builder of images writes: what is said to be needed is allocated."""


@contextmanager
def open_layer(path: Path, diff_id: Digest | None) -> Iterator[tarfile.TarFile]:
    """Open a layer; at the end its uncompressed bytes must have the digest `diff_id`, if one is given.

    A `ContentError` for what is no tar, has another digest, or unpacks to a size no honest layer has.
    """
    try:
        with path.open("rb") as raw:
            limit = max(_MAX_SMALL, path.stat().st_size * _MAX_RATIO)
            stream = _Forwards(_decompress(raw), diff_id.hasher() if diff_id else None, limit)
            # Not tarfile's own streaming, which copies all that it skips, in blocks of 10 kB.
            with tarfile.open(fileobj=cast(BinaryIO, stream), mode="r:", errorlevel=2) as tar:
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
        # Reads all members of a gzip stream, unlike tarfile.
        return cast(BinaryIO, _GZIP(fileobj=raw, mode="rb"))
    if start == b"\x28\xb5\x2f\xfd":
        return cast(BinaryIO, zstd.ZstdFile(raw, mode="rb", options=_ZSTD))
    return raw


def members_of(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield a layer's members without keeping them."""
    stream = cast(_Forwards, tar.fileobj)
    while info := tar.next():
        stream.headers = None
        # tarfile would remember each of them, which is most of what a large base takes in memory.
        tar.members.clear()  # type: ignore[attr-defined]  # not documented, but since ever
        # Nor what is said of all that follow, which engines do not heed.
        tar.pax_headers.clear()  # type: ignore[attr-defined]
        yield info
        stream.headers = 0


def read_member(tar: tarfile.TarFile, info: tarfile.TarInfo, most: int) -> bytes:
    """Return the first `most` bytes of a file, which is the member that `members_of` yielded last."""
    stream = cast(_Forwards, tar.fileobj)
    stream.seek(info.offset_data)
    data = io.BytesIO()
    # In pieces, not joined at the end: a library may take half of the memory that there is for all.
    while piece := stream.content(min(most, info.size, data.tell() + _PIECE) - data.tell()):
        data.write(piece)
    return data.getvalue()


class _Forwards:
    """A file that is read and skipped through, never backwards; all that goes by is hashed and counted."""

    def __init__(self, stream: BinaryIO, hasher: Hasher | None, limit: int) -> None:
        self.headers: int | None = 0
        """Bytes that were read since the last member; None while its content is read."""

        self._stream = stream
        self._hasher = hasher
        self._left = limit
        self._piece = io.BytesIO()
        self._ahead = 0
        self._end = 0

    def tell(self) -> int:
        return self._end - self._ahead

    def read(self, count: int) -> bytes:
        if self.headers is not None:
            self.headers += count
            if self.headers > _MAX_HEADERS:
                message = f"more than {_MAX_HEADERS} bytes of headers for one member"
                raise ValueError(message)
        return self.content(count)

    def content(self, count: int) -> bytes:
        parts = [self._take(count)]
        while (count := count - len(parts[-1])) and self._next():
            parts.append(self._take(count))
        return b"".join(parts)

    def seek(self, position: int) -> None:
        if position < self.tell():
            message = "a header leads backwards"
            raise ValueError(message)
        while position > self._end:
            if not self._next():
                message = "it ends before its content does"
                raise EOFError(message)
        self._piece.seek(position - self._end, io.SEEK_END)
        self._ahead = self._end - position

    def check(self, diff_id: Digest, name: str) -> None:
        while self._next():
            pass
        if self._hasher and self._hasher.hexdigest() != diff_id.hex:
            message = f"the layer {name} of the base unpacks to other bytes than its diff_id {diff_id} says"
            raise ContentError(message)

    def _take(self, count: int) -> bytes:
        data = self._piece.read(count)
        self._ahead -= len(data)
        return data

    def _next(self) -> bool:
        """Go on to the next piece; False at the end."""
        stopping.check()
        data = self._stream.read(_PIECE)
        self._left -= len(data)
        if self._left < 0:
            message = f"a layer of the base unpacks to more than {_MAX_RATIO} times its size"
            raise ContentError(message)
        if self._hasher:
            self._hasher.update(data)
        if data:
            self._piece = io.BytesIO(data)
            self._ahead = len(data)
            self._end += len(data)
        return bool(data)
