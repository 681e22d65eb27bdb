"""Compression of layers, the same bytes on every machine."""

from __future__ import annotations

import struct
import zlib
from importlib.metadata import version
from typing import Protocol

try:
    from zlib_ng import zlib_ng
except ImportError:
    zlib_ng = None  # type: ignore[assignment]  # no wheel of it for this machine

GZIP_IS_REPRODUCIBLE = zlib_ng is not None
"""False where only the standard library's zlib is at hand, whose bytes depend on how it was built."""

BACKEND = f"zlib-ng {version('zlib-ng')}" if zlib_ng else f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
"""Whose bytes compressed layers are."""

_LEVEL = 6
# zlib-ng's output depends on how its input is cut, so it is cut here, at fixed places.
_BLOCK = 256 * 1024
# RFC 1952: no name, no time, no hint about speed, an unknown system.
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


class Compressor(Protocol):
    """Takes in bytes, gives out compressed ones."""

    def compress(self, data: bytes) -> bytes:
        """Take in more; return what is ready."""

    def finish(self) -> bytes:
        """Return the rest."""


class Gzip:
    """One gzip member."""

    def __init__(self) -> None:
        """Begin a member."""
        library = zlib_ng or zlib
        self._deflate = library.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc32 = library.crc32
        self._crc = 0
        self._size = 0
        self._pending = bytearray()
        self._head = _GZIP_HEADER

    def compress(self, data: bytes) -> bytes:
        """Take in more; return what is ready."""
        self._crc = self._crc32(data, self._crc)
        self._size += len(data)
        self._pending += data
        ready = bytearray(self._head)
        self._head = b""
        whole = len(self._pending) // _BLOCK * _BLOCK
        with memoryview(self._pending) as view:
            for start in range(0, whole, _BLOCK):
                ready += self._deflate.compress(view[start : start + _BLOCK])
        del self._pending[:whole]
        return bytes(ready)

    def finish(self) -> bytes:
        """Return the rest, with the trailer."""
        rest = self._deflate.compress(bytes(self._pending)) + self._deflate.flush()
        return bytes(self._head + rest + struct.pack("<II", self._crc, self._size & 0xFFFFFFFF))


class Plain:
    """No compression."""

    @staticmethod
    def compress(data: bytes) -> bytes:
        """Return `data`."""
        return data

    @staticmethod
    def finish() -> bytes:
        """Return nothing."""
        return b""
