"""Dependencies for tests: wheels of other projects, in the store, and layers to look into."""

from __future__ import annotations

import gzip
import io
import posixpath
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hatch_oci.layers.entry import Entry, file_entry
from hatch_oci.layers.layer import Layer
from hatch_oci.layers.venv import Compiler, Venv
from hatch_oci.lock.build import add_file
from hatch_oci.lock.dependencies import Dependency, depend_on
from hatch_oci.lock.layers import dependency_layer
from hatch_oci.store.blobs import BlobStore
from tests.unit.wheels import VENV, write_wheel

Files = Mapping[str, bytes]


def package_wheel(
    folder: Path,
    name: str,
    files: Files | None = None,
    *,
    version: str = "1.0",
    tag: str = "py3-none-any",
    requires: Sequence[str] = (),
    **parts: Any,
) -> Path:
    """Write a wheel of a project `name`, by default with a package of that name."""
    escaped = name.replace("-", "_")
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    return write_wheel(
        folder,
        {f"{escaped}/__init__.py": f"name = {name!r}\n".encode()} if files is None else files,
        filename=f"{escaped}-{version}-{tag}.whl",
        info=f"{escaped}-{version}.dist-info",
        metadata="\n".join([*lines, ""]),
        **parts,
    )


def dependency(store: BlobStore, path: Path) -> Dependency:
    """Take a wheel into the store."""
    return depend_on(path.name, add_file(path, store), store)


def members(layer: Layer, store: BlobStore) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """Return the members of a layer by their paths, in their order, each with its content."""
    data = store.path(layer.descriptor.digest).read_bytes()
    if layer.descriptor.media_type.endswith("gzip"):
        data = gzip.decompress(data)
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for info in tar.getmembers():
            file = tar.extractfile(info) if info.isfile() else None
            found[info.name] = (info, file.read() if file else b"")
            if file:
                file.close()
        assert len(found) == len(tar.getnames())
    return found


def contents(layer: Layer, store: BlobStore) -> dict[str, bytes]:
    """Return the files of a layer."""
    return {path: data for path, (info, data) in members(layer, store).items() if info.isfile()}


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and date of every file below a folder."""
    stats = {str(path.relative_to(folder)): path.stat() for path in folder.rglob("*") if path.is_file()}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


def made(
    dependencies: list[Dependency],
    store: BlobStore,
    venv: Venv = VENV,
    compression: str = "gzip",
    compiler: tuple[str, Compiler] | None = None,
) -> Layer:
    """Return the layer of some dependencies."""
    return dependency_layer("dependencies", dependencies, venv, compression, store, compiler)


def compiling_to(data: bytes) -> Compiler:
    """Return what makes the same bytecode of every module."""

    def compile_to(_source: bytes, path: str) -> Entry:
        return file_entry(f"{posixpath.dirname(path)}/__pycache__/{posixpath.basename(path)}c", data)

    return compile_to
