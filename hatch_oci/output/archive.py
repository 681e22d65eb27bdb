"""An image as one file: a tar whose bytes depend on its content alone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from hatch_oci.layers import tar
from hatch_oci.layers.entry import Entry, Kind, file_entry
from hatch_oci.output.image import Files
from hatch_oci.output.swap import replace_file

_CHUNK = 1024 * 1024


def write_archive(target: Path, files: Files) -> int:
    """Write a tar of `files`, in their order, to the file `target`, which is replaced at once.

    None of its bytes are linked, so 0 is returned. An `OutputError` where it cannot be written.
    """
    replace_file(target, archive_pieces(files))
    return 0


def archive_pieces(files: Files) -> Iterator[bytes]:
    """Yield a tar of `files`, in their order."""
    return tar.pack(_entry(path, content) for path, content in files.items())


def _entry(path: str, content: bytes | Path) -> Entry:
    if isinstance(content, bytes):
        return file_entry(path, content)
    return Entry(path, Kind.FILE, 0o644, content.stat().st_size, content=partial(_read, content))


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
