"""The members of a zip, read as they lie there and unpacked (APPNOTE.TXT, sections 4.3.7 and 4.4)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BufferedReader
from itertools import pairwise
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

from hatch_oci.image.document import printable
from hatch_oci.layers.compress import LIBRARY

ERRORS = (BadZipFile, zlib.error, LIBRARY.error, struct.error, RuntimeError, EOFError, ValueError, AssertionError)
"""All that was seen over damaged archives, also of zipfile; RuntimeError covers encryption and unknown methods."""

_HEADER = struct.Struct("<4s2xH18xHH")
_MAGIC = b"PK\x03\x04"
_UTF8 = 0x800
_SEALED = 0x1 | 0x20 | 0x40
"""Flags of what is encrypted, or is a patch."""

_MAX_DIRECTORY = 8 * 1024 * 1024
"""Bytes of what a zip says of its members: it is read at once, and takes ten times as much in memory."""

_MAX_RATIO = 200
_MAX_SMALL = 256 * 1024 * 1024
_READ = 256 * 1024
_UNPACKED = 1024 * 1024
"""Bytes of the largest piece that is unpacked at once."""


class ZipReader(BufferedReader):
    """A file that holds a zip, of which zipfile reads nothing large at once but a directory that is none."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_DIRECTORY:
            message = f"its directory takes {size} bytes"
            raise BadZipFile(message)
        return super().read(size)


def check_sizes(archive: ZipFile) -> None:
    """Raise a `BadZipFile` for one that unpacks to far more than it is, as members that share their data do."""
    # Where the directory begins: not documented, but since ever.
    size: int = archive.start_dir
    if sum(info.file_size for info in archive.infolist()) > max(_MAX_SMALL, size * _MAX_RATIO):
        message = f"it unpacks to more than {_MAX_RATIO} times its size"
        raise BadZipFile(message)
    for one, following in pairwise(sorted(archive.infolist(), key=lambda info: info.header_offset)):
        if following.header_offset < one.header_offset + one.compress_size:
            message = f"{shown(one.filename)} lies over another member"
            raise BadZipFile(message)


def shown(path: str) -> str:
    """Return a member's path as it may stand in a message."""
    return printable(path, 200)


def read_member(file: BinaryIO, info: ZipInfo) -> Iterator[tuple[bytes, bytes]]:
    """Yield a member in pieces: as it is in the zip (stored or deflated), and what is in it.

    One of `ERRORS` where it is not what the zip's directory says, also after the last piece.
    """
    _seek(file, info)
    crc = size = 0
    for packed, plain in _inflated(file, info) if info.compress_type == ZIP_DEFLATED else _stored(file, info):
        crc = LIBRARY.crc32(plain, crc)
        size += len(plain)
        if size > info.file_size:
            break
        yield packed, plain
    if size != info.file_size or crc != info.CRC:
        message = "its size or its CRC-32 is another one"
        raise BadZipFile(message)


def read_text(file: BinaryIO, info: ZipInfo) -> str:
    """Return a small member's text; a `UnicodeDecodeError` where it is none, else as `read_member`.

    zipfile unpacks up to 2 GiB of what is said to be a few bytes.
    """
    return b"".join(plain for _, plain in read_member(file, info)).decode("utf-8")


def _seek(file: BinaryIO, info: ZipInfo) -> None:
    """Go to where the data begin, behind a header that must be about the same member."""
    file.seek(info.header_offset)
    magic, flags, name_length, extra_length = _HEADER.unpack(file.read(_HEADER.size))
    if magic != _MAGIC:
        message = "it has no header"
        raise BadZipFile(message)
    if (flags | info.flag_bits) & _SEALED:
        message = "it is encrypted, or a patch"
        raise BadZipFile(message)
    name = file.read(name_length).decode("utf-8" if flags & _UTF8 else "cp437")
    if name != info.orig_filename:
        message = f"its header names {name[:100]!r}"
        raise BadZipFile(message)
    file.seek(extra_length, 1)


def _stored(file: BinaryIO, info: ZipInfo) -> Iterator[tuple[bytes, bytes]]:
    for data in _data(file, info.compress_size):
        yield data, data


def _inflated(file: BinaryIO, info: ZipInfo) -> Iterator[tuple[bytes, bytes]]:
    inflater = LIBRARY.decompressobj(-zlib.MAX_WBITS)
    for data in _data(file, info.compress_size):
        packed = data
        rest = data
        while rest:
            plain = inflater.decompress(rest, _UNPACKED)
            rest = inflater.unconsumed_tail
            yield packed, plain
            packed = b""
    yield b"", inflater.flush()
    if not inflater.eof or inflater.unused_data:
        message = "its data end too early, or too late"
        raise BadZipFile(message)


def _data(file: BinaryIO, size: int) -> Iterator[bytes]:
    left = size
    while left:
        data = file.read(min(left, _READ))
        if not data:
            message = "the wheel ends before it does"
            raise EOFError(message)
        left -= len(data)
        yield data
