"""All documents that go with an image, as artifacts that refer to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from hatch_oci.image.annotation_keys import CREATED, PREDICATE_TYPE, SIGNED
from hatch_oci.image.artifact import Artifact, make_artifact
from hatch_oci.image.media_types import IN_TOTO
from hatch_oci.store.blobs import BlobStore
from hatch_oci.trust.provenance import PREDICATE, Sources, describe_build, make_statement
from hatch_oci.trust.sbom import make_sboms
from hatch_oci.trust.subject import Subject

if TYPE_CHECKING:
    from hatch_oci.image.attestation import Attestation

_SBOMS = {
    "cyclonedx": ("application/vnd.cyclonedx+json", "sbom.cdx.json"),
    "spdx": ("application/spdx+json", "sbom.spdx.json"),
}


class Documents(NamedTuple):
    """What goes with an image."""

    artifacts: tuple[Artifact, ...]
    attestation: Attestation | None
    """The same in BuildKit's form, where it is asked for."""


def make_documents(subject: Subject, sources: Sources | None, store: BlobStore) -> Documents:
    """Return what goes with an image; without `sources` nothing is said of how it came to be."""
    artifacts = tuple(_artifacts(subject, sources, store))
    if subject.settings.trust.attestations != "buildkit":
        return Documents(artifacts, None)
    # Not above: few want it.
    from hatch_oci.trust.buildkit import attest

    return Documents(artifacts, attest(subject, artifacts))


def _artifacts(subject: Subject, sources: Sources | None, store: BlobStore) -> Iterator[Artifact]:
    annotations = {CREATED: subject.settings.created}
    for name, content in make_sboms(subject, store).items():
        yield make_artifact(subject.manifest, _SBOMS[name][0], content, _SBOMS[name][1], annotations)
    if sources:
        predicate = describe_build(subject, sources)
        statement = make_statement(subject.settings.repository, subject.manifest.digest, PREDICATE, predicate)
        # Who takes it for more than the word of who built the image would be mistaken.
        labels = {**annotations, PREDICATE_TYPE: PREDICATE, SIGNED: "false"}
        yield make_artifact(subject.manifest, IN_TOTO, statement, "provenance.json", labels)
