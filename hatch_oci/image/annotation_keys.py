"""Keys of annotations and labels (image-spec, annotations.md)."""

from __future__ import annotations

REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"
"""What containerd and Docker call the image that they load from a layout."""

TITLE = "org.opencontainers.image.title"
VERSION = "org.opencontainers.image.version"
DESCRIPTION = "org.opencontainers.image.description"
AUTHORS = "org.opencontainers.image.authors"
URL = "org.opencontainers.image.url"
SOURCE = "org.opencontainers.image.source"
DOCUMENTATION = "org.opencontainers.image.documentation"
LICENSES = "org.opencontainers.image.licenses"
CREATED = "org.opencontainers.image.created"
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"

PREDICATE_TYPE = "in-toto.io/predicate-type"
ATTESTATION_TYPE = "vnd.docker.reference.type"
ATTESTATION_SUBJECT = "vnd.docker.reference.digest"
SIGNED = "hatch-oci-image.signed"
