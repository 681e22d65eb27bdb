"""An image that is ready to be written, and the files that it is written as."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_oci.image.artifact import Artifact
from hatch_oci.image.digest import Digest
from hatch_oci.image.manifest import Index, Manifest

if TYPE_CHECKING:
    from hatch_oci.image.attestation import Attestation

Files = Mapping[str, bytes | Path]
"""Contents, or the files that hold them, by paths relative to the output, in the order in which they are written."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image for one platform, or one for several under an index."""

    top: Manifest | Index
    manifests: Sequence[Manifest]
    configs: Sequence[bytes]
    """One a manifest."""

    layers: Mapping[Digest, Path]
    """Files with the content of all layers."""

    repository: str
    tags: Sequence[str]
    artifacts: Sequence[Artifact] = ()
    """The documents that go with it."""

    attestations: Sequence[Attestation] = ()
    """What the index names beside the images."""

    @property
    def blobs(self) -> Iterator[tuple[Digest, bytes | Path]]:
        """All that has a digest."""
        for document in (*self.configs, *(manifest.raw for manifest in self.manifests), self.top.raw):
            yield Digest.of(document), document
        yield from self.layers.items()
        for artifact in self.artifacts:
            yield artifact.digest, artifact.raw
            yield from artifact.blobs.items()
        for attestation in self.attestations:
            yield from attestation.blobs.items()
