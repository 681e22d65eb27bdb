"""Pack a root file system into a base image: layers, configuration and manifest."""

from __future__ import annotations

import gzip
import io
import json
import os
import platform
import tarfile
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from demo import DemoError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"

EPOCH = "1970-01-01T00:00:00Z"

PLATFORMS = {
    "x86_64": {"os": "linux", "architecture": "amd64"},
    "aarch64": {"os": "linux", "architecture": "arm64", "variant": "v8"},
    "armv7l": {"os": "linux", "architecture": "arm", "variant": "v7"},
    "i686": {"os": "linux", "architecture": "386"},
    "ppc64le": {"os": "linux", "architecture": "ppc64le"},
    "riscv64": {"os": "linux", "architecture": "riscv64"},
    "s390x": {"os": "linux", "architecture": "s390x"},
}


@dataclass(frozen=True)
class Layer:
    """A layer: the compressed blob, and the digest of the tar inside it."""

    blob: bytes
    diff_id: str
    comment: str = ""


@dataclass(frozen=True)
class Image:
    """An image: the manifest's bytes, and by digest the blobs it names."""

    manifest: bytes
    blobs: dict[str, bytes]


def digest(content: bytes) -> str:
    """Return the digest of ``content`` as registries write it, ``sha256:…``."""
    return f"sha256:{sha256(content).hexdigest()}"


def host_platform() -> dict[str, str]:
    """Return this machine's platform, in the words of an image configuration."""
    try:
        return PLATFORMS[platform.machine()]
    except KeyError:
        message = f"no images are made for the machine type {platform.machine()}"
        raise DemoError(message) from None


def python_image(root: Path, version: str) -> Image:
    """Pack ``root``, as ``assemble_python`` left it, into two layers; ``version`` is what that returned."""
    entries = list(walk(root))
    python = {path for path in entries if is_python(path.relative_to(root))}
    layers = [
        pack(root, (path for path in entries if path not in python), "system libraries"),
        pack(root, (path for path in entries if path in python), f"Python {version}"),
    ]
    settings = {
        "Env": [
            "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG=C.UTF-8",
            f"PYTHON_VERSION={version}",
        ],
        "Cmd": ["python3"],
    }
    return image(layers, settings)


def is_python(path: Path) -> bool:
    """Tell whether an entry of the root file system belongs to the interpreter."""
    return path.is_relative_to("usr/local") or path.name.startswith("libpython")


def walk(root: Path) -> Iterator[Path]:
    """Return everything below ``root``, parents first, in an order that depends on the names alone."""
    for path in sorted(root.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from walk(path)


def pack(root: Path, paths: Iterable[Path], comment: str = "") -> Layer:
    """Pack ``paths``, which lie below ``root``, into a layer; the same content gives the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in paths:
            tar.add(path, str(path.relative_to(root)), recursive=False, filter=plain)
    content = buffer.getvalue()
    return Layer(gzip.compress(content, compresslevel=6, mtime=0), digest(content), comment)


def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Take out of a tar entry what tells about this machine: the time, and who runs this."""
    entry.mtime = 0
    entry.uname = entry.gname = ""
    if entry.uid == os.geteuid():
        entry.uid = entry.gid = 0
    return entry


def image(layers: Sequence[Layer], settings: Mapping[str, Any], target: Mapping[str, str] | None = None) -> Image:
    """Make an image of ``layers``; ``settings`` is the ``config`` part of its configuration.

    ``target`` says which platform it is for, in the words of ``host_platform``, which is the default.
    """
    configuration = encode(
        {
            "created": EPOCH,
            **(host_platform() if target is None else target),
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created": EPOCH, "created_by": layer.comment or "demo"} for layer in layers],
        }
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": descriptor(configuration, CONFIG_TYPE),
        "layers": [descriptor(layer.blob, LAYER_TYPE) for layer in layers],
    }
    blobs = [configuration, *(layer.blob for layer in layers)]
    return Image(encode(manifest), {digest(blob): blob for blob in blobs})


def descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    """Return the descriptor of ``content``."""
    return {"mediaType": media_type, "digest": digest(content), "size": len(content)}


def encode(document: Mapping[str, Any]) -> bytes:
    """Return ``document`` as JSON, as short as it gets."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
