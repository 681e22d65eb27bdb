"""Media types, and how Docker's become OCI's, and OCI's Docker's (image-spec, media-types.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"

IN_TOTO = "application/vnd.in-toto+json"

INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
SCHEMA1 = frozenset({DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED})

# Aliyun ACR serves configs as octet streams.
CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG, "application/octet-stream"})

# What a registry may call a manifest when it does not know better.
VAGUE = frozenset({"", "text/plain", "application/json", "application/octet-stream"})

ACCEPT = f"{OCI_INDEX}, {OCI_MANIFEST}, {DOCKER_LIST}, {DOCKER_MANIFEST}"

_OCI_NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar"
_LAYER_TO_OCI = {
    DOCKER_LAYER: OCI_LAYER,
    DOCKER_LAYER_GZIP: OCI_LAYER_GZIP,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": OCI_LAYER_ZSTD,
    "application/vnd.docker.image.rootfs.foreign.diff.tar": _OCI_NONDISTRIBUTABLE,
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": _OCI_NONDISTRIBUTABLE + "+gzip",
    **{kind: kind for kind in (OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD)},
    **{_OCI_NONDISTRIBUTABLE + suffix: _OCI_NONDISTRIBUTABLE + suffix for suffix in ("", "+gzip", "+zstd")},
}


@dataclass(frozen=True, slots=True)
class Family:
    """The types of one image: engines refuse what takes some of one family and some of another."""

    index: str
    manifest: str
    config: str
    layers: Mapping[str, str]
    """The layers' types by OCI's; what is missing, the family has no type for."""

    has_annotations: bool


OCI = Family(OCI_INDEX, OCI_MANIFEST, OCI_CONFIG, {kind: kind for kind in _LAYER_TO_OCI.values()}, has_annotations=True)
DOCKER = Family(
    DOCKER_LIST,
    DOCKER_MANIFEST,
    DOCKER_CONFIG,
    {OCI_LAYER: DOCKER_LAYER, OCI_LAYER_GZIP: DOCKER_LAYER_GZIP},
    has_annotations=False,
)
FAMILIES = {"oci": OCI, "docker": DOCKER}
"""By their names in the key `format`."""


def essence(content_type: str) -> str:
    """Return a Content-Type header's media type, without parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_distributable(media_type: str) -> bool:
    """Tell whether a layer of this type may be passed on, not only its descriptor (image-spec, layer.md)."""
    return not (_LAYER_TO_OCI.get(media_type) or "").startswith(_OCI_NONDISTRIBUTABLE)


def oci_layer(media_type: str) -> str | None:
    """Return the OCI type of a layer whose type is OCI's or Docker's, None for any other."""
    return _LAYER_TO_OCI.get(media_type)
