"""Layers and layouts for the bases, made with tar and gzip rather than with the code under test."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .registries import digest_of
from .shell import run

OCI = "application/vnd.oci.image"


class Layer(NamedTuple):
    """A gzipped tar on disk, and what manifest and config say about it."""

    path: Path
    digest: str
    diff_id: str
    size: int


def pack(root: Path, target: Path, *, members: Sequence[str] = (".",), without: Sequence[str] = ()) -> Layer:
    """Pack the `members` of `root`, leaving out some paths, as a layer beside `target`."""
    excludes = [f"--exclude={path}" for path in without]
    run("tar", "-C", root, "--numeric-owner", "--sort=name", *excludes, "-cf", target, *members)
    diff_id = _file_digest(target)
    # Level 1: the base is read a few times only, and every second of a test run counts.
    run("gzip", "-1n", target)
    packed = target.with_name(f"{target.name}.gz")
    return Layer(packed, _file_digest(packed), diff_id, packed.stat().st_size)


def small_layer(files: Mapping[str, str]) -> tuple[bytes, str]:
    """Answer a gzipped layer of a few small files, and its diff_id."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue(), mtime=0), digest_of(buffer.getvalue())


def write_layout(folder: Path, layers: Sequence[Layer], config: Mapping[str, Any]) -> None:
    """Write an OCI layout of one image, tagged `base`, moving the layers into it."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for layer in layers:
        layer.path.rename(blobs / layer.digest.removeprefix("sha256:"))
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": _blob(blobs, config, f"{OCI}.config.v1+json"),
        "layers": [
            {"mediaType": f"{OCI}.layer.v1.tar+gzip", "digest": layer.digest, "size": layer.size} for layer in layers
        ],
    }
    descriptor = _blob(blobs, manifest, f"{OCI}.manifest.v1+json")
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": "base"}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor]}))
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))


def _blob(blobs: Path, document: Mapping[str, Any], media_type: str) -> dict[str, Any]:
    content = json.dumps(document).encode()
    digest = digest_of(content)
    (blobs / digest.removeprefix("sha256:")).write_bytes(content)
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
