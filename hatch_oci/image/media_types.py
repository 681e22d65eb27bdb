"""Media types, and how Docker's become OCI's (image-spec, media-types.md)."""

from __future__ import annotations

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
    "application/vnd.docker.image.rootfs.diff.tar": OCI_LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": OCI_LAYER_GZIP,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": OCI_LAYER_ZSTD,
    "application/vnd.docker.image.rootfs.foreign.diff.tar": _OCI_NONDISTRIBUTABLE,
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": _OCI_NONDISTRIBUTABLE + "+gzip",
    **{kind: kind for kind in (OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD)},
    **{_OCI_NONDISTRIBUTABLE + suffix: _OCI_NONDISTRIBUTABLE + suffix for suffix in ("", "+gzip", "+zstd")},
}


def essence(content_type: str) -> str:
    """Return a Content-Type header's media type, without parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def oci_layer(media_type: str) -> str | None:
    """Return the OCI type of a layer whose type is OCI's or Docker's, None for any other."""
    return _LAYER_TO_OCI.get(media_type)
