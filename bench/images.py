"""Images in layouts: bases that are made, and the layers of what was built."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from demo.base import CONFIG_TYPE, EPOCH, LAYER_TYPE, MANIFEST_TYPE, encode, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from typing_extensions import Buffer

_CHUNK = 1024 * 1024
_LEVEL = 6
_GZIP = 31
"""What zlib calls a gzip header and the largest window."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of an image in a layout."""

    digest: str
    size: int
    path: Path


class _Hashing(io.BufferedIOBase):
    """Passes on what is written, and hashes it."""

    def __init__(self, sink: io.BufferedIOBase) -> None:
        self._sink = sink
        self._hasher = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        return f"sha256:{self._hasher.hexdigest()}"

    def write(self, data: Buffer) -> int:
        self._hasher.update(data)
        written = self._sink.write(data)
        self.size += written
        return written


def write_image(layout: Path, layers: Iterable[Path], env: Sequence[str] = ()) -> None:
    """Write a layout with an image for linux/amd64, tagged `1`; each folder of `layers` is packed into one."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    written = [_write_layer(blobs, folder) for folder in layers]
    config = {
        "created": EPOCH,
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": list(env)},
        "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in written]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _write_document(blobs, config, CONFIG_TYPE),
        "layers": [descriptor for descriptor, _ in written],
    }
    named = _write_document(blobs, manifest, MANIFEST_TYPE)
    named["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    (layout / "index.json").write_bytes(encode({"schemaVersion": 2, "manifests": [named]}))
    (layout / "oci-layout").write_bytes(encode({"imageLayoutVersion": "1.0.0"}))


def digest_of(layout: Path) -> str:
    """Return the digest of the only image in a layout."""
    (named,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    return str(named["digest"])


def layers_of(layout: Path) -> list[Layer]:
    """Return the layers of the only image in a layout, the lowest first."""
    manifest = json.loads(_path(layout, digest_of(layout)).read_bytes())
    return [Layer(one["digest"], one["size"], _path(layout, one["digest"])) for one in manifest["layers"]]


def size_by_zlib(layer: Layer) -> int:
    """Return how many bytes zlib makes of a layer's tar at its level 6."""
    compressor = zlib.compressobj(_LEVEL, wbits=_GZIP)
    size = 0
    with gzip.open(layer.path) as tar:
        while data := tar.read(_CHUNK):
            size += len(compressor.compress(data))
    return size + len(compressor.flush())


def _path(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


def _write_layer(blobs: Path, folder: Path) -> tuple[dict[str, Any], str]:
    temporary = blobs / "incoming"
    with temporary.open("wb") as blob:
        packed = _Hashing(blob)
        # The least work: what is measured does not depend on how well it is compressed.
        with gzip.GzipFile("", "wb", compresslevel=1, fileobj=packed, mtime=0) as compressor:
            content = _Hashing(compressor)
            with tarfile.open(fileobj=content, mode="w|") as tar:
                for path in sorted(folder.iterdir()):
                    tar.add(path, path.name, filter=plain)
    temporary.rename(_path(blobs.parents[1], packed.digest))
    return {"mediaType": LAYER_TYPE, "digest": packed.digest, "size": packed.size}, content.digest


def _write_document(blobs: Path, document: Mapping[str, Any], media_type: str) -> dict[str, Any]:
    data = encode(document)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    _path(blobs.parents[1], digest).write_bytes(data)
    return {"mediaType": media_type, "digest": digest, "size": len(data)}
