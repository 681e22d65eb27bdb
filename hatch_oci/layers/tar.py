"""Tars (POSIX.1-2017, pax, "ustar Interchange Format"), the same bytes on every machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from hatch_oci.errors import SourceError
from hatch_oci.layers.entry import Content, Entry, Kind

BLOCK = 512
END = bytes(2 * BLOCK)
"""What closes a tar."""

MTIME = 315532800
"""Seconds: 1980-01-01, the oldest date that zip files can hold. One date for all: a layer whose content is the same
is the same layer, whatever commit or day it was built on."""

# Magic, version, no names of owners, no device.
_USTAR = b"ustar\x0000" + bytes(64) + b"0000000\0" * 2
_MAX_OCTAL_7 = 0o7777777
_MAX_OCTAL_11 = 0o77777777777


def pack(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield a tar of `entries`, in their order; a `SourceError` where a file has not the size its entry says."""
    yield from members(entries)
    yield END


def members(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield a part of a tar: `pack` without what closes it."""
    for entry in entries:
        yield header(entry)
        if entry.content:
            yield from _exactly(entry, entry.content)
            yield padding(entry.size)


def _exactly(entry: Entry, content: Content) -> Iterator[bytes]:
    left = entry.size
    for chunk in content():
        left -= len(chunk)
        if left < 0:
            break
        yield chunk
    if left:
        message = f"/{entry.path} changed while it was packed: it is not {entry.size} bytes long any more"
        raise SourceError(message)


def header(entry: Entry) -> bytes:
    """Return the blocks that stand before an entry's content."""
    path = entry.path + "/" if entry.kind is Kind.FOLDER else entry.path
    prefix, name = _split(path)
    records: dict[str, str] = {}
    if name is None:
        records["path"] = path
    if len(entry.link) > 100 or not entry.link.isascii():
        records["linkpath"] = entry.link
    size = _number("size", entry.size, _MAX_OCTAL_11, records)
    uid = _number("uid", entry.uid, _MAX_OCTAL_7, records)
    gid = _number("gid", entry.gid, _MAX_OCTAL_7, records)
    name = path if name is None else name
    block = _block(name, prefix, entry.kind.value, entry.mode, entry.link, size=size, uid=uid, gid=gid)
    return (_pax(records) + block) if records else block


def _number(key: str, value: int, most: int, records: dict[str, str]) -> int:
    """Return what stands in the header itself: 0 for what is too large for it, which goes into a record."""
    if value <= most:
        return value
    records[key] = str(value)
    return 0


def padding(size: int) -> bytes:
    """Return what fills content of `size` bytes up to whole blocks."""
    return bytes(-size % BLOCK)


def _split(path: str) -> tuple[str, str | None]:
    """Return the header's prefix and name, whose last is None where the path fits only a pax record."""
    if not path.isascii() or len(path) > 256:
        return "", None
    if len(path) <= 100:
        return "", path
    # The slash between the two is left out; a folder's path ends with one that stays in the name.
    cut = path.find("/", len(path) - 101, min(156, len(path) - 1))
    return (path[:cut], path[cut + 1 :]) if cut > 0 else ("", None)


def _pax(records: dict[str, str]) -> bytes:
    body = b"".join(_record(key, records[key]) for key in sorted(records))
    return _block("././@PaxHeader", "", b"x", 0o644, size=len(body)) + body + padding(len(body))


def _record(key: str, value: str) -> bytes:
    """Return a pax record, whose length counts itself."""
    tail = f" {key}={value}\n".encode()
    length = len(tail)
    while len(str(length)) + len(tail) != length:
        length = len(str(length)) + len(tail)
    return str(length).encode() + tail


def _block(
    name: str, prefix: str, kind: bytes, mode: int, link: str = "", *, size: int = 0, uid: int = 0, gid: int = 0
) -> bytes:
    path = name.encode("utf-8")[:100]
    owner, date = b"%07o\0%07o\0%07o\0" % (mode, uid, gid), b"%011o\0%011o\0" % (size, MTIME)
    rest, total = _rest(kind, link, prefix)
    # The checksum is of the block with eight spaces in its place; what fills a field up does not count.
    total += sum(path) + sum(owner) + sum(date)
    return b"%s%s%s%06o\0 %s" % (path.ljust(100, b"\0"), owner, date, total, rest)


@lru_cache(64)
def _rest(kind: bytes, link: str, prefix: str) -> tuple[bytes, int]:
    """Return what follows the checksum, the same for most files, and its part of that, that of the spaces included."""
    rest = kind + _text(link, 100) + _USTAR + _text(prefix, 155) + bytes(12)
    return rest, sum(rest) + 8 * 0x20


def _text(text: str, width: int) -> bytes:
    return text.encode("utf-8")[:width].ljust(width, b"\0")
