"""What a layer is made of, whatever it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from hatch_oci.errors import SourceError
from hatch_oci.image.document import printable

Content = Callable[[], Iterable[bytes]]
"""Gives the bytes of a file in pieces, each time it is called."""


_LONGEST = 4096
"""Characters of a path in a message."""


class Kind(Enum):
    """The tar format's type flags that are written here."""

    FILE = b"0"
    LINK = b"2"
    FOLDER = b"5"


class Packed(NamedTuple):
    """A file's content as raw deflate data (RFC 1951), which unpack to what has this CRC-32."""

    crc32: int
    read: Callable[[], Iterator[tuple[bytes, bytes]]]
    """Gives the data in pieces, each with what it unpacks to."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, symlink or folder of a layer.

    `path` is relative to the root, with `/` between its parts and none at either end; `size` is in bytes, and
    `content`, which only files have, must give just as many.
    """

    path: str
    kind: Kind
    mode: int
    size: int = 0
    link: str = ""
    uid: int = 0
    gid: int = 0
    content: Content | None = None
    packed: Packed | None = None
    """The same content as an archive holds it."""

    @property
    def order(self) -> str:
        """What entries are ordered by: the parts of the path, one after the other. No name holds a NUL."""
        return self.path.replace("/", "\0")


def file_entry(path: str, data: bytes, mode: int = 0o644) -> Entry:
    """Return an entry for a file whose content is at hand."""
    return Entry(path, Kind.FILE, mode, len(data), content=lambda: (data,))


def link_entry(path: str, target: str) -> Entry:
    """Return an entry for a symlink."""
    return Entry(path, Kind.LINK, 0o777, link=target)


def folder_entry(path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Entry:
    """Return an entry for a folder."""
    return Entry(path, Kind.FOLDER, mode, uid=uid, gid=gid)


def complete(entries: Iterable[Entry], has_folder: Callable[[str], bool]) -> list[Entry]:
    """Return a layer's entries in their order, with the parent folders that are missing.

    A folder that is there already (`has_folder`) gets no entry: writing one would replace a symlink by that name,
    or its mode and owner. A `SourceError` for a name that means something else in a layer, and for two entries
    that want the same path.
    """
    placed: dict[str, Entry] = {}
    for entry in entries:
        check_entry(entry)
        other = placed.setdefault(entry.path, entry)
        if other is not entry and not (other.kind == entry.kind == Kind.FOLDER):
            message = f"two files of one layer want the path /{printable(entry.path, _LONGEST)}"
            raise SourceError(message)
    for entry in list(placed.values()):
        for parent in folders_above(entry.path):
            there = placed.get(parent)
            if there is None:
                placed[parent] = folder_entry(parent)
            elif there.kind != Kind.FOLDER:
                both = printable(parent, _LONGEST), printable(entry.path, _LONGEST)
                message = "/{} would be both a file and the folder of /{}".format(*both)
                raise SourceError(message)
            else:
                # Those above it have their turn with it, or had it.
                break
    kept = [entry for entry in placed.values() if entry.kind != Kind.FOLDER or not has_folder(entry.path)]
    # There may be a hundred thousand: what is not needed any more makes room.
    del placed
    kept.sort(key=lambda entry: entry.order)
    return kept


def check_entry(entry: Entry) -> None:
    """Raise a `SourceError` for a path that is none, or that means something else in a layer."""
    enclosed = f"/{entry.path}/"
    if "//" in enclosed or "/./" in enclosed or "/../" in enclosed or "\0" in enclosed:
        message = f"not a path to pack: {entry.path!r}"
        raise SourceError(message)
    if "/.wh." in enclosed:
        message = f"cannot pack {entry.path!r}: in a layer, names that begin with .wh. delete files"
        raise SourceError(message)
    try:
        (entry.path + entry.link).encode("utf-8")
    except UnicodeEncodeError:
        message = f"cannot pack {entry.path!r}: its name is not UTF-8"
        raise SourceError(message) from None


def folders_above(path: str) -> Iterator[str]:
    """Yield the folders that a path lies in, the nearest first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
