"""What the registries hold: one image for two platforms, of three layers, as OCI's and as Docker's index."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from demo.base import Image, digest, image
from demo.registry import Manifest, Repository
from hatch_oci.image import media_types
from tests.unit.bases import AMD64, ARM64, index_of, layer, manifest_of, small_image

BULK = 256 * 1024
"""The least size of the one layer that takes long enough to be interrupted."""

WINDOWS = {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.2113"}
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
OCTETS = "application/octet-stream"


@dataclass(frozen=True)
class Content:
    """A repository, and what a client that pulls the tag `1` for linux/amd64 must end with."""

    repository: Repository
    top: str
    manifest: str
    layers: tuple[str, ...]
    elsewhere: Mapping[str, bytes] = field(default_factory=dict)
    """Blobs at URLs of their own, outside of any registry."""


@cache
def oci_content() -> Content:
    """Return the image with an OCI index, which has an entry for an attestation too."""
    return _content([_image(AMD64), _image(ARM64)], [AMD64, ARM64], attested=True)


@cache
def docker_content(config_type: str = media_types.DOCKER_CONFIG) -> Content:
    """Return the image with a Docker manifest list; `config_type` is what it calls its config."""
    return _content([_docker(_image(target), config_type) for target in (AMD64, ARM64)], [AMD64, ARM64])


@cache
def windows_content(url: str) -> Content:
    """Return a Windows image whose first layer is not in the registry, but at `url`."""
    plain = _docker(small_image("windows", WINDOWS), media_types.DOCKER_CONFIG)
    document = json.loads(plain.manifest)
    document["layers"][0] |= {"mediaType": FOREIGN, "urls": [url]}
    blobs = dict(plain.blobs)
    far = blobs.pop(document["layers"][0]["digest"])
    return _content([Image(json.dumps(document).encode(), blobs)], [WINDOWS], elsewhere={url: far})


def schema1(name: str, tag: str) -> Manifest:
    """Return what old registries send to a client that does not say what it understands."""
    document = {"schemaVersion": 1, "name": name, "tag": tag, "architecture": "amd64", "fsLayers": [], "history": []}
    return Manifest(media_types.DOCKER_SCHEMA1_SIGNED, json.dumps(document).encode())


def _image(target: Mapping[str, str]) -> Image:
    bulk = random.Random(target["architecture"]).randbytes(BULK)
    files = [{"etc/base": b"content"}, {"opt/bulk": bulk}, {"etc/last": b"the last"}]
    return image([layer(part) for part in files], {"Cmd": ["sh"]}, target)


def _docker(one: Image, config_type: str) -> Image:
    return Image(_in_docker_words(one.manifest, config_type), one.blobs)


def _in_docker_words(raw: bytes, config_type: str = "") -> bytes:
    words = {
        media_types.OCI_INDEX: media_types.DOCKER_LIST,
        media_types.OCI_MANIFEST: media_types.DOCKER_MANIFEST,
        media_types.OCI_CONFIG: config_type,
        media_types.OCI_LAYER_GZIP: "application/vnd.docker.image.rootfs.diff.tar.gzip",
    }
    for oci, docker in words.items():
        raw = raw.replace(f'"{oci}"'.encode(), f'"{docker}"'.encode())
    return raw


def _content(
    images: list[Image],
    targets: list[dict[str, str]],
    *,
    attested: bool = False,
    elsewhere: Mapping[str, bytes] | None = None,
) -> Content:
    children = [(one.manifest, {"platform": target}) for one, target in zip(images, targets, strict=True)]
    first = json.loads(images[0].manifest)
    if attested:
        annotations = {"vnd.docker.reference.type": "attestation-manifest"}
        attestation = {"platform": {"os": "unknown", "architecture": "unknown"}, "annotations": annotations}
        children.insert(0, (small_image("attestation").manifest, attestation))
    index = index_of(children)
    if first["mediaType"] == media_types.DOCKER_MANIFEST:
        index = _in_docker_words(index)
    manifests = {"1": index} | {digest(raw): raw for raw, _ in children}
    blobs = {key: blob for one in images for key, blob in one.blobs.items()}
    repository = Repository(blobs, {reference: manifest_of(raw) for reference, raw in manifests.items()})
    layers = tuple(entry["digest"] for entry in first["layers"])
    return Content(repository, digest(index), digest(images[0].manifest), layers, elsewhere or {})
