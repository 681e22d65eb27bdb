"""What was laid down, judged by the specifications rather than by the code that did it."""

import base64
import csv
import gzip
import hashlib
import io
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

VENV = "app/.venv"


class Tree(NamedTuple):
    """An image of the index, unpacked."""

    architecture: str
    bundle: Path

    @property
    def root(self) -> Path:
        """Answer the folder that is `/` in the image."""
        return self.bundle / "rootfs"


class Row(NamedTuple):
    """A row of a RECORD: the file that it is about, and what it says of it."""

    file: Path
    hash: str
    size: str


def site_packages(root: Path) -> Path:
    """Answer the venv's folder of packages in an unpacked image."""
    [folder] = (root / VENV / "lib").glob("python3.*/site-packages")
    return folder


def rows(root: Path) -> list[Row]:
    """Answer the rows of every RECORD."""
    site = site_packages(root)
    return [
        Row(site / path, digest, size)
        for record in sorted(site.glob("*.dist-info/RECORD"))
        for path, digest, size in csv.reader(record.read_text().splitlines())
    ]


def assert_holds(row: Row) -> None:
    """See that the file is as its row says; RECORD itself has no hash (binary distribution format)."""
    content = row.file.read_bytes()
    if row.file.name == "RECORD" and not row.hash:
        return
    algorithm, _, expected = row.hash.partition("=")
    found = base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).rstrip(b"=").decode()
    assert (found, str(len(content))) == (expected, row.size), row.file


def machine_of(binary: Path) -> int:
    """Answer for which architecture an ELF file of 64 bits is, by its header's e_machine."""
    head = binary.read_bytes()[:20]
    assert head[:5] == b"\x7fELF\x02", binary
    machine: int = struct.unpack_from("<H", head, 18)[0]
    return machine


def files_in(blob: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the paths and contents of a layer's files, and the targets of its symlinks."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob.read_bytes()))) as archive:
        for entry in archive:
            content = archive.extractfile(entry) if entry.isreg() else None
            yield entry.name, content.read() if content else entry.linkname.encode()
