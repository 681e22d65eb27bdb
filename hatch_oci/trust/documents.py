"""All documents that go with an image, as artifacts that refer to it."""

from __future__ import annotations

from hatch_oci.image.annotation_keys import CREATED
from hatch_oci.image.artifact import Artifact, make_artifact
from hatch_oci.store.blobs import BlobStore
from hatch_oci.trust.sbom import make_sboms
from hatch_oci.trust.subject import Subject

_SBOMS = {
    "cyclonedx": ("application/vnd.cyclonedx+json", "sbom.cdx.json"),
    "spdx": ("application/spdx+json", "sbom.spdx.json"),
}


def make_documents(subject: Subject, store: BlobStore) -> tuple[Artifact, ...]:
    """Return what goes with an image."""
    annotations = {CREATED: subject.settings.created}
    return tuple(
        make_artifact(subject.manifest, _SBOMS[name][0], content, _SBOMS[name][1], annotations)
        for name, content in make_sboms(subject, store).items()
    )
