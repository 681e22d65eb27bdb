"""A new version of a wheel, as far as a layer is concerned: one byte of it is another."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import TYPE_CHECKING

from hatch_oci.layers.wheel import record_hash
from hatch_oci.lock.build import add_file
from hatch_oci.lock.dependencies import Dependency, depend_on

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_oci.store.blobs import BlobStore


def bump(dependency: Dependency, folder: Path, store: BlobStore) -> Dependency:
    """Return a wheel like `dependency`, but for the last byte of its largest module, and what RECORD says of that."""
    path = folder / dependency.filename
    with zipfile.ZipFile(dependency.blob.path) as old, zipfile.ZipFile(path, "w") as new:
        infos = old.infolist()
        changed = max(infos, key=lambda info: (info.filename.endswith(".py"), info.file_size))
        data = old.read(changed)
        data = data[:-1] + (b" " if data[-1:] != b" " else b"\n")
        for info in infos:
            content = data if info is changed else old.read(info)
            if info.filename.endswith(".dist-info/RECORD"):
                content = _mended(content, changed.filename, data)
            # As fast as can be: a layer is compressed anew, whatever the wheel is.
            new.writestr(info, content, zipfile.ZIP_DEFLATED, 1)
    bumped = depend_on(path.name, add_file(path, store), store, dependency.upload_time)
    path.unlink()
    return bumped


def _mended(record: bytes, path: str, data: bytes) -> bytes:
    rows = list(csv.reader(io.StringIO(record.decode("utf-8"), newline="")))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [path, record_hash(data), str(len(data))] if row and row[0] == path else row for row in rows
    )
    return text.getvalue().encode("utf-8")
