"""What several wheels put where, and the errors for two that cannot both have a path."""

from __future__ import annotations

import hashlib

from hatch_oci.errors import LockError
from hatch_oci.layers.entry import Entry, folders_above
from hatch_oci.layers.member import shown


class Placed:
    """The files of some wheels, by path; the same bytes at one path are one file."""

    def __init__(self) -> None:
        """Begin with no file."""
        self._files: dict[str, tuple[Entry, str, str]] = {}
        self._folders: dict[str, str] = {}

    @property
    def entries(self) -> list[Entry]:
        """All that was put, each path once."""
        return [entry for entry, _, _ in self._files.values()]

    def put(self, entry: Entry, digest: str, filename: str) -> None:
        """Put a file of the wheel `filename`, whose hash is `digest` as RECORD has it.

        A `LockError` where another wheel puts other bytes there, a folder, or a file where this one needs a folder.
        """
        path = entry.path
        if path in self._folders:
            raise _clash(self._folders[path], filename, path)
        for folder in folders_above(path):
            if folder in self._files:
                raise _clash(self._files[folder][2], filename, folder)
            self._folders.setdefault(folder, filename)
        other, its_digest, its_filename = self._files.setdefault(path, (entry, digest, filename))
        if other is not entry and not _is_same(other, its_digest, entry, digest):
            raise _clash(its_filename, filename, path)


def _is_same(one: Entry, its_digest: str, other: Entry, digest: str) -> bool:
    if its_digest.partition("=")[0] == digest.partition("=")[0]:
        return its_digest == digest
    # RECORD may use one algorithm here and another there.
    return _hash(one) == _hash(other)


def _hash(entry: Entry) -> bytes:
    hasher = hashlib.sha256()
    for piece in entry.content() if entry.content else ():
        hasher.update(piece)
    return hasher.digest()


def _clash(one: str, other: str, path: str) -> LockError:
    return LockError(f"{one} and {other} put different files at /{shown(path)}: exclude one of them")
