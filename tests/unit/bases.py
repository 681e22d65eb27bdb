"""Small base images for tests, and registries that serve them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demo.base import Image, Layer, digest, image
from demo.registry import Handler, Manifest, Registry, Repository, serve
from hatch_oci.base.resolve import Base, resolve
from hatch_oci.image.media_types import OCI_MANIFEST
from hatch_oci.image.platform import Platform
from hatch_oci.registry.options import Patience
from hatch_oci.registry.remote import Remote
from hatch_oci.store.blobs import BlobStore

AMD64 = {"os": "linux", "architecture": "amd64"}
QUICK = Patience(connect=5, stall=0.5, answer=1, first_wait=0.01, longest_wait=0.02, longest_retry_after=0.05)
"""So that a test that makes a registry fail is over soon."""

ARM64 = {"os": "linux", "architecture": "arm64"}


def layer(files: Mapping[str, bytes]) -> Layer:
    """Return a layer with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return Layer(gzip.compress(buffer.getvalue(), mtime=0), digest(buffer.getvalue()))


def small_image(name: str = "etc/name", target: Mapping[str, str] = AMD64, **settings: Any) -> Image:
    """Return an image of two layers, which differs by `name`."""
    return image([layer({name: b"content"}), layer({"etc/second": name.encode()})], settings, target)


def index_of(children: Sequence[tuple[bytes, Mapping[str, Any]]]) -> bytes:
    """Return an OCI index of manifests, each with more fields of its entry, such as its platform."""
    entries = [
        {"mediaType": OCI_MANIFEST, "digest": digest(raw), "size": len(raw), **fields} for raw, fields in children
    ]
    media_type = "application/vnd.oci.image.index.v1+json"
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": entries}).encode()


def manifest_of(raw: bytes) -> Manifest:
    """Return a manifest to serve, with the media type that it gives itself."""
    return Manifest(json.loads(raw)["mediaType"], raw)


@contextmanager
def served(*images: Image, **tags: bytes) -> Iterator[Registry]:
    """Serve the blobs and manifests of images in the repository `app`; the first has the tag `1`."""
    blobs = {key: blob for one in images for key, blob in one.blobs.items()}
    manifests = {"1": images[0].manifest, **tags} | {digest(one.manifest): one.manifest for one in images}
    served_manifests = {reference: manifest_of(raw) for reference, raw in manifests.items()}
    with serve({"app": Repository(blobs, served_manifests)}) as registry:
        yield registry


def wanted_start(request: Handler) -> int:
    """Return from which byte on a blob is asked for."""
    return int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))


def resolve_with(text: str, store: BlobStore, root: Path = Path(), platform: str = "linux/amd64") -> Base:
    """Resolve a base with connections of its own."""
    remote = Remote(patience=QUICK)
    try:
        return resolve(text, Platform.parse(platform), root, store, remote)
    finally:
        remote.close()
