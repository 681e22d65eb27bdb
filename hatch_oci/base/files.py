"""Where the files of an image on this machine lie: a folder, or a tar that is read in place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from hatch_oci.errors import BaseError
from hatch_oci.regular import open_regular

_CHUNK = 1024 * 1024


class Files(Protocol):
    """Files by their paths, which are relative and have `/` between their parts."""

    def __contains__(self, path: str) -> bool:
        """Tell whether there is such a file."""

    def read(self, path: str, most: int) -> Iterator[bytes]:
        """Yield the bytes of a file, at most one more than `most`, which its reader then refuses."""


def read_small(files: Files, path: str, most: int, where: str) -> bytes:
    """Return the bytes of a document, which `where` names in errors; a `BaseError` where it has more than `most`."""
    raw = b"".join(files.read(path, most))
    if len(raw) > most:
        message = f"{where} has more than the {most} bytes that are read"
        raise BaseError(message)
    return raw


class Folder:
    """The files of a folder; `name` is what messages call it."""

    def __init__(self, folder: Path, name: str) -> None:
        """Read below `folder`, and nothing yet."""
        self._folder = folder
        self._name = name

    def __contains__(self, path: str) -> bool:
        return (self._folder / path).is_file()

    def read(self, path: str, most: int) -> Iterator[bytes]:
        try:
            with open_regular(self._folder / path) as file:
                yield from pieces(file, most + 1)
        except OSError as error:
            message = f"{self._name}: cannot read {self._folder / path}: {error.strerror or error}"
            raise BaseError(message) from error


def pieces(file: BinaryIO, count: int) -> Iterator[bytes]:
    """Yield the next `count` bytes of a file, or as many as there are."""
    while count and (chunk := file.read(min(_CHUNK, count))):
        count -= len(chunk)
        yield chunk
