"""Documents that refer to an image: its referrers (image-spec, manifest.md, "Guidelines for Artifact Usage")."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from hatch_oci.errors import ContentError
from hatch_oci.image import media_types
from hatch_oci.image.annotation_keys import TITLE
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.document import encode_json, parse_json

EMPTY = b"{}"
"""The config of what is no image."""

EMPTY_CONFIG = Descriptor("application/vnd.oci.empty.v1+json", Digest.of(EMPTY), len(EMPTY))


class Artifact(NamedTuple):
    """A document, and the manifest that says which image it is about."""

    raw: bytes
    """The manifest."""

    digest: Digest
    artifact_type: str
    subject: Descriptor
    document: Descriptor
    content: bytes
    """The document."""

    annotations: Mapping[str, str]

    @property
    def blobs(self) -> dict[Digest, bytes]:
        """What the manifest names."""
        return {EMPTY_CONFIG.digest: EMPTY, self.document.digest: self.content}

    def entry(self) -> dict[str, Any]:
        """Return it as it stands in a list of referrers (distribution-spec, "Listing Referrers")."""
        fields = {**Descriptor(media_types.OCI_MANIFEST, self.digest, len(self.raw)).to_json()}
        fields["artifactType"] = self.artifact_type
        return {**fields, "annotations": dict(self.annotations)} if self.annotations else fields


def make_artifact(
    subject: Descriptor, artifact_type: str, content: bytes, title: str, annotations: Mapping[str, str]
) -> Artifact:
    """Return a document about `subject`; `title` is what its file would be called."""
    document = Descriptor(artifact_type, Digest.of(content), len(content), annotations={TITLE: title})
    # What else is known of it is no part of what it refers to.
    about = Descriptor(subject.media_type, subject.digest, subject.size)
    fields = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": EMPTY_CONFIG.to_json(),
        "layers": [document.to_json()],
        "subject": about.to_json(),
        "annotations": dict(annotations),
    }
    raw = encode_json(fields)
    return Artifact(raw, Digest.of(raw), artifact_type, about, document, content, annotations)


def read_artifact(raw: bytes, read: Callable[[Digest], Iterable[bytes]], where: str) -> Artifact:
    """Return what `make_artifact` wrote, with the document that `read` gives; a `DocumentError` for another form.

    A `ContentError` where the document is another one.
    """
    node = parse_json(raw, where)
    layers, annotations = node.get("layers").items(), node.find("annotations")
    if len(layers) != 1:
        node.get("layers").fail("must hold one document")
    document = Descriptor.read(layers[0])
    content = b"".join(read(document.digest))
    if not document.digest.matches(content):
        message = f"{where}: its document is not what its digest says: build the image anew"
        raise ContentError(message)
    return Artifact(
        raw,
        Digest.of(raw),
        node.get("artifactType").text(),
        Descriptor.read(node.get("subject")),
        document,
        content,
        annotations.text_table() if annotations else {},
    )


def list_referrers(entries: Iterable[Mapping[str, Any]]) -> bytes:
    """Return a list of referrers, which is an index."""
    return encode_json({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": list(entries)})
