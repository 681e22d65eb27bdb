"""Tars whose members are read where they lie (POSIX.1-2017, pax, "ustar Interchange Format"; GNU's long names).

The standard library's reader believes what headers say: it takes as much memory as a name claims to need, and in many
versions of Python in use a negative size makes it read the same header for ever.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from hatch_oci.base.files import pieces
from hatch_oci.errors import BaseError
from hatch_oci.regular import open_regular

_BLOCK = 512
_MAX_MEMBERS = 20_000
_MAX_EXTENSION = 64 * 1024
"""Bytes of a name, or of a pax header."""

_MAX_LINKS = 8
_FILES = (b"0", b"\0", b"7")
_HARD_LINK, _SYMLINK, _FOLDER = _EMPTY = (b"1", b"2", b"5")
_PAX, _PAX_FOR_ALL, _GNU_NAME, _GNU_LINK = b"x", b"g", b"L", b"K"
_PAX_KEYS = (b"path", b"linkpath", b"size")
_MAGICS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}
LONGEST_MAGIC = max(map(len, _MAGICS))


def find_compression(start: bytes) -> str | None:
    """Return what a file that begins like this is compressed with; None where nothing tells that it is."""
    return next((name for magic, name in _MAGICS.items() if start.startswith(magic)), None)


class _Malformed(Exception):  # noqa: N818 - never leaves this file
    """What is wrong with a tar."""


@dataclass(frozen=True, slots=True)
class _File:
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _Link:
    target: str


class Tarball:
    """The files of a plain tar, links to them included; `name` is what messages call it."""

    def __init__(self, path: Path, name: str) -> None:
        """Look through the headers; a `BaseError` for what is no tar, and for one that no honest tool has written."""
        self.path = path
        self.name = name
        try:
            with open_regular(path) as file:
                found = os.fstat(file.fileno())
                self._members = _read_members(file)
        except _Malformed as error:
            message = f"{name}: {error}"
            raise BaseError(message) from None
        except OSError as error:
            self._fail(error)
        self.identity = (str(path.resolve()), found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        """What changes with the file's content."""

    def __contains__(self, path: str) -> bool:
        return self._find(path) is not None

    def read(self, path: str, most: int) -> Iterator[bytes]:
        """Yield the bytes of a file, at most one more than `most`; a `BaseError` where it is missing."""
        found = self._find(path)
        if found is None:
            message = f"{self.name}: {path[:200]!r} is missing in the archive; is it cut short?"
            raise BaseError(message)
        try:
            with open_regular(self.path) as file:
                file.seek(found.offset)
                yield from pieces(file, min(found.size, most + 1))
        except OSError as error:
            self._fail(error)

    def resolve(self, path: str) -> str:
        """Return where the links at `path`, if there are any, lead to."""
        for _ in range(_MAX_LINKS):
            member = self._members.get(path)
            if not isinstance(member, _Link):
                break
            path = member.target
        return path

    def size(self, path: str) -> int:
        """Return how many bytes a file has, 0 where there is none."""
        found = self._find(path)
        return found.size if found else 0

    def _find(self, path: str) -> _File | None:
        member = self._members.get(self.resolve(path))
        return member if isinstance(member, _File) else None

    def _fail(self, error: OSError) -> NoReturn:
        message = f"{self.name}: cannot read {self.path}: {error.strerror or error}"
        raise BaseError(message) from error


def _read_members(file: BinaryIO) -> dict[str, _File | _Link]:
    members: dict[str, _File | _Link] = {}
    for header, offset, extended in _headers(file):
        kind = header[156:157]
        path = _plain_path(extended.get("path") or _name_in(header))
        if path is None or kind == _FOLDER:
            continue
        if kind in _FILES:
            member: _File | _Link = _File(offset, _size(header, extended))
        elif kind in (_HARD_LINK, _SYMLINK):
            member = _Link(_target(path, extended.get("linkpath") or _text(header[157:257]), kind))
        else:
            message = f"{path!r} is neither a file, a folder nor a link"
            raise _Malformed(message)
        if members.setdefault(path, member) is not member:
            message = f"the archive has two files by the name {path!r}"
            raise _Malformed(message)
    return members


def _headers(file: BinaryIO) -> Iterator[tuple[bytes, int, dict[str, str]]]:
    """Yield the headers of members, each with where its content begins and what the headers before it say of it."""
    extended: dict[str, str] = {}
    end = file.seek(0, 2)
    position = count = 0
    while header := _header_at(file, position):
        count += 1
        if count > _MAX_MEMBERS:
            message = f"it has more than {_MAX_MEMBERS} members, which no image has"
            raise _Malformed(message)
        kind, position = header[156:157], position + _BLOCK
        size = _size(header, extended if kind in _FILES else {}) if kind not in _EMPTY else 0
        if position + size > end:
            message = "the archive is cut short"
            raise _Malformed(message)
        if kind in (_PAX, _GNU_NAME, _GNU_LINK):
            extended |= _extension(kind, _content(file, size))
        elif kind != _PAX_FOR_ALL:
            yield header, position, extended
            extended = {}
        position += size + -size % _BLOCK


def _header_at(file: BinaryIO, position: int) -> bytes | None:
    """Return the header at `position`, None at the end."""
    file.seek(position)
    header = file.read(_BLOCK)
    if position == 0 and (compression := find_compression(header)):
        message = f"compressed with {compression}, which cannot be read in place: unpack it to a plain tar first"
        raise _Malformed(message)
    if len(header) == _BLOCK and not any(header):
        return None
    # The checksum is of the block with eight spaces in its place.
    total = sum(header[:148]) + sum(header[156:]) + 8 * 0x20
    if len(header) < _BLOCK or header[148:156].strip(b" \0").lstrip(b"0") != b"%o" % total:
        message = "not a tar" if position == 0 else "the archive is damaged, or cut short"
        raise _Malformed(message)
    return header


def _content(file: BinaryIO, size: int) -> bytes:
    if size > _MAX_EXTENSION:
        message = f"a name in the archive takes more than {_MAX_EXTENSION} bytes"
        raise _Malformed(message)
    return file.read(size)


def _extension(kind: bytes, content: bytes) -> dict[str, str]:
    """Return what a header says of the next one."""
    if kind != _PAX:
        return {"path" if kind == _GNU_NAME else "linkpath": _text(content)}
    records = {}
    while content:
        length, _, _ = content.partition(b" ")
        if not length.isdigit() or len(length) > 6 or not len(length) + 3 <= int(length) <= len(content):
            message = "the archive has a damaged pax header"
            raise _Malformed(message)
        key, _, value = content[len(length) + 1 : int(length) - 1].partition(b"=")
        if key.startswith(b"GNU.sparse."):
            message = "the archive holds sparse files: pack it without them"
            raise _Malformed(message)
        # The others may be anything, such as extended attributes.
        if key in _PAX_KEYS:
            records[key.decode("ascii")] = _text(value)
        content = content[int(length) :]
    return records


def _size(header: bytes, extended: dict[str, str]) -> int:
    text = extended.get("size")
    if text is None:
        return _number(header[124:136])
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        message = f"{text[:20]!r} is no size"
        raise _Malformed(message)
    return int(text)


def _number(field: bytes) -> int:
    """Read a number as octal digits, or in GNU's binary form, whose negative half is refused."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        message = "the archive has a number that is none"
        raise _Malformed(message)
    return int(digits or b"0", 8)


def _name_in(header: bytes) -> str:
    name = _text(header[:100])
    # GNU's own format, whose magic ends otherwise, has other fields in the place of the prefix.
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    try:
        return field.partition(b"\0")[0].decode("utf-8")
    except UnicodeDecodeError:
        message = f"a name in the archive is not UTF-8: {field[:60]!r}"
        raise _Malformed(message) from None


def _plain_path(name: str) -> str | None:
    """Return a member's path without what says nothing in it; None for a folder's name."""
    if name.startswith("/") or ".." in name.split("/"):
        message = f"the archive has a member outside of itself: {name[:200]!r}"
        raise _Malformed(message)
    path = posixpath.normpath(name) if name else "."
    return None if path == "." or name.endswith("/") else path


def _target(path: str, link: str, kind: bytes) -> str:
    """Return which member a link leads to: a symlink starts where it lies, a hard link at the top."""
    start = posixpath.dirname(path) if kind == _SYMLINK else ""
    target = posixpath.normpath(posixpath.join(start, link))
    if not link or target.startswith("/") or target.split("/")[0] == "..":
        message = f"{path[:200]!r} in the archive is a link that leads out of it: {link[:200]!r}"
        raise _Malformed(message)
    return target
