"""Image layouts of small images, written without the code that is tested, and their way to a registry."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from demo.base import Image, digest
from hatch_oci.image.media_types import OCI_INDEX, OCI_MANIFEST
from hatch_oci.output.reading import read_layout
from hatch_oci.pushing import Pushed, push_image
from hatch_oci.registry.options import Patience, RegistryOptions
from hatch_oci.registry.transport import Transport
from hatch_oci.report import QUIET, Reporter
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import AMD64, ARM64, index_of, small_image
from tests.unit.uploads import BRIEF

REF_NAME = "org.opencontainers.image.ref.name"
BASE_NAME = "org.opencontainers.image.base.name"


def write_blobs(layout: Path, *contents: bytes) -> None:
    """Put blobs into a layout."""
    for content in contents:
        path = blob_path(layout, digest(content))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def blob_path(layout: Path, name: str) -> Path:
    """Return where a layout has a blob."""
    return layout / "blobs" / name.replace(":", "/")


def write_layout(
    layout: Path, images: Sequence[Image], name: str = "", tags: Sequence[str] = ("1",), top: bytes | None = None
) -> Path:
    """Write a layout of an image, or of an index of several unless another `top` is given, with an entry a tag."""
    raw = top or (images[0].manifest if len(images) == 1 else both(images))
    write_blobs(layout, raw, *(content for one in images for content in (one.manifest, *one.blobs.values())))
    entry = {"mediaType": json.loads(raw)["mediaType"], "digest": digest(raw), "size": len(raw)}
    annotations = [{REF_NAME: tag} | ({"io.containerd.image.name": f"{name}:{tag}"} if name else {}) for tag in tags]
    write_index(layout, [entry | {"annotations": found} for found in annotations] or [entry])
    return layout


def write_tagged(layout: Path, *tops: tuple[bytes, str | None], images: Sequence[Image]) -> Path:
    """Write a layout of images, with an entry for each of these manifests or indexes, under its tag if it has one."""
    write_blobs(
        layout, *(raw for raw, _ in tops), *(blob for one in images for blob in (one.manifest, *one.blobs.values()))
    )
    entries = [
        {
            "mediaType": OCI_INDEX if b'"manifests"' in raw else OCI_MANIFEST,
            "digest": digest(raw),
            "size": len(raw),
            "annotations": {REF_NAME: tag} if tag else {},
        }
        for raw, tag in tops
    ]
    write_index(layout, entries)
    return layout


def write_index(layout: Path, entries: Sequence[dict[str, Any]]) -> None:
    """Write what says which images a layout has."""
    layout.mkdir(parents=True, exist_ok=True)
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": list(entries)}))


def both(images: Sequence[Image]) -> bytes:
    """Return the index of an image for amd64 and one for arm64."""
    return index_of([(one.manifest, {"platform": on}) for one, on in zip(images, (AMD64, ARM64), strict=True)])


def image_on(base: str) -> Image:
    """Return an image whose config says on which base it stands."""
    return small_image(Labels={BASE_NAME: base})


def layers_of(image: Image) -> list[str]:
    """Return the digests of an image's layers."""
    return [layer["digest"] for layer in json.loads(image.manifest)["layers"]]


def config_of(image: Image) -> str:
    """Return the digest of an image's config."""
    return str(json.loads(image.manifest)["config"]["digest"])


def push(
    layout: Path,
    to: str | None,
    store: BlobStore,
    *tags: str,
    reporter: Reporter = QUIET,
    options: RegistryOptions | None = None,
    patience: Patience = BRIEF,
) -> Pushed:
    """Push the image of a layout over connections of its own."""
    with closing(Transport(options, reporter, patience)) as transport:
        return push_image(read_layout(layout), to, tags, transport, store)
