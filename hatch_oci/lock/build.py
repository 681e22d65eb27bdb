"""Wheels built on this machine by uv: of source distributions that are allowed, and of a workspace's members."""

from __future__ import annotations

import hashlib
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from packaging.utils import parse_wheel_filename

from hatch_oci.errors import LockError
from hatch_oci.image.digest import Digest
from hatch_oci.lock.uv import run_uv
from hatch_oci.store.blobs import BlobStore, StoredBlob

_FORMAT = 1


def build_sdist(filename: str, blob: StoredBlob, store: BlobStore, *, offline: bool) -> tuple[str, StoredBlob]:
    """Return name and content of the wheel that a source distribution makes; it is built once and remembered."""
    # A wheel that is not pure is one for this very Python.
    key = f"{blob.digest.hex}-{sys.implementation.cache_tag}-{sysconfig.get_platform()}-{_FORMAT}"
    known: tuple[str, Digest] | None = store.recall("built", key, _read_built)
    if known and (found := store.find(known[1])):
        return known[0], found
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / filename
        shutil.copyfile(blob.path, source)
        wheel = build_wheel(source, Path(folder) / "wheel", offline=offline)
        built = add_file(wheel, store)
    store.remember("built", key, {"filename": wheel.name, "digest": str(built.digest)})
    return wheel.name, built


def _read_built(value: Any) -> tuple[str, Digest]:
    parse_wheel_filename(value["filename"])
    return value["filename"], Digest.parse(value["digest"])


def build_wheel(source: Path, folder: Path, *, offline: bool) -> Path:
    """Let uv build a wheel of a folder or a source distribution into `folder`; a `LockError` where that fails."""
    run_uv(["build", "--wheel", "--out-dir", str(folder), str(source)], source.parent, offline=offline)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        message = f"{source.name} makes {len(wheels)} wheels, not one"
        raise LockError(message)
    return wheels[0]


def add_file(path: Path, store: BlobStore) -> StoredBlob:
    """Take a file of this machine into the store."""
    with path.open("rb") as file:
        digest = Digest("sha256", hashlib.file_digest(file, "sha256").hexdigest())
    if found := store.find(digest):
        return found
    with path.open("rb") as file:
        return store.put(iter(lambda: file.read(1024 * 1024), b""), digest, None)
