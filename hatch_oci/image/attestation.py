"""Statements about an image that stand beside it in its index, in the form in which BuildKit keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hatch_oci.errors import ContentError
from hatch_oci.image.annotation_keys import ATTESTATION_SUBJECT, ATTESTATION_TYPE, PREDICATE_TYPE
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.document import encode_json
from hatch_oci.image.manifest import Manifest, make_manifest
from hatch_oci.image.media_types import IN_TOTO, OCI, OCI_CONFIG
from hatch_oci.image.platform import Platform

_NOWHERE = Platform("unknown", "unknown")
"""So that nobody runs it."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """A manifest whose layers are statements."""

    entry: Descriptor
    """As it stands in the index."""

    manifest: Manifest
    blobs: Mapping[Digest, bytes]
    """The manifest, and what it names."""


def make_attestation(subject: Descriptor, statements: Sequence[tuple[str, bytes]]) -> Attestation:
    """Return in-toto statements about `subject`, each with the type of its predicate."""
    layers = [
        Descriptor(IN_TOTO, Digest.of(content), len(content), annotations={PREDICATE_TYPE: kind})
        for kind, content in statements
    ]
    rootfs = {"type": "layers", "diff_ids": [str(layer.digest) for layer in layers]}
    config = encode_json({"architecture": "unknown", "os": "unknown", "config": {}, "rootfs": rootfs})
    family = replace(OCI, layers={IN_TOTO: IN_TOTO})
    manifest = make_manifest(Descriptor(OCI_CONFIG, Digest.of(config), len(config)), layers, {}, family)
    labels = {ATTESTATION_TYPE: "attestation-manifest", ATTESTATION_SUBJECT: str(subject.digest)}
    entry = replace(manifest.descriptor, platform=_NOWHERE, annotations=labels)
    contents = {Digest.of(data): data for data in (manifest.raw, config, *(content for _, content in statements))}
    return Attestation(entry, manifest, contents)


def read_attestation(entry: Descriptor, manifest: Manifest, read: Callable[[Digest], Iterable[bytes]]) -> Attestation:
    """Return what `make_attestation` made, out of what `read` gives; a `ContentError` where that is something else."""
    blobs = {manifest.digest: manifest.raw}
    for descriptor in (manifest.config, *manifest.layers):
        blobs[descriptor.digest] = b"".join(read(descriptor.digest))
        if not descriptor.digest.matches(blobs[descriptor.digest]):
            message = f"{descriptor.digest}, a statement about the image, is something else: build the image anew"
            raise ContentError(message)
    return Attestation(entry, manifest, blobs)
