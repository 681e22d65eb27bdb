"""What is signed of an image: that it is meant, what is in it, and how it came to be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hatch_oci.image.artifact import Artifact
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.media_types import IN_TOTO, OCI_MANIFEST
from hatch_oci.trust.provenance import make_statement

SIGNED_IMAGE = "https://sigstore.dev/cosign/sign/v1"
"""The predicate of cosign's signatures of images, which is empty."""

_PREDICATES = {
    "application/vnd.cyclonedx+json": "https://cyclonedx.org/bom",
    "application/spdx+json": "https://spdx.dev/Document",
}


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing to be signed."""

    what: Descriptor
    """The manifest of the image, or of a document about it."""

    image: Descriptor
    """The image that it is about."""

    predicate_type: str
    statement: bytes
    """The same as an in-toto statement about the image."""


def claims_of(top: Descriptor, artifacts: Sequence[Artifact], repository: str) -> Iterator[Claim]:
    """Yield what is to be signed: the image that a tag leads to, and each document."""
    yield Claim(top, top, SIGNED_IMAGE, make_statement(repository, top.digest, SIGNED_IMAGE, {}))
    for one in artifacts:
        manifest = Descriptor(OCI_MANIFEST, one.digest, len(one.raw))
        document = json.loads(one.content)
        if one.artifact_type == IN_TOTO:
            yield Claim(manifest, one.subject, document["predicateType"], one.content)
        elif kind := _PREDICATES.get(one.artifact_type):
            yield Claim(manifest, one.subject, kind, make_statement(repository, one.subject.digest, kind, document))
