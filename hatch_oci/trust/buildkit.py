"""The documents about an image as BuildKit keeps them, for tools that look for nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hatch_oci.image.artifact import Artifact
from hatch_oci.image.attestation import Attestation, make_attestation
from hatch_oci.image.media_types import IN_TOTO
from hatch_oci.trust.provenance import PREDICATE, make_statement
from hatch_oci.trust.subject import Subject

_PREDICATES = {
    "application/vnd.cyclonedx+json": "https://cyclonedx.org/bom",
    "application/spdx+json": "https://spdx.dev/Document",
    IN_TOTO: PREDICATE,
}


def attest(subject: Subject, artifacts: Sequence[Artifact]) -> Attestation:
    """Return the documents as statements in one manifest."""
    return make_attestation(
        subject.manifest, [(_PREDICATES[one.artifact_type], _statement(subject, one)) for one in artifacts]
    )


def _statement(subject: Subject, one: Artifact) -> bytes:
    if one.artifact_type == IN_TOTO:
        return one.content
    kind = _PREDICATES[one.artifact_type]
    return make_statement(subject.settings.repository, subject.manifest.digest, kind, json.loads(one.content))
