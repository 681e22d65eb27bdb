"""The build's record: a JSON file beside the image that says what was built, out of what."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hatch_oci.counts import Counts
from hatch_oci.image.artifact import Artifact
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.manifest import Manifest
from hatch_oci.image.platform import Platform
from hatch_oci.output.swap import replace_file


class LayerRecord(NamedTuple):
    """A layer of the image and what it holds."""

    descriptor: Descriptor
    diff_id: Digest
    holds: str


class ImageRecord(NamedTuple):
    """The image for one platform."""

    platform: Platform
    manifest: Manifest
    layers: Sequence[LayerRecord]
    base_digest: Digest | None
    """Of the base's manifest for this platform; None for scratch."""

    wheel: str | None
    wheel_sha256: str | None
    packages: Mapping[str, str]
    """The versions of what was installed, by name, the project's own included."""

    missing: Sequence[Digest] = ()
    """The base's layers that are not in the layout, which is sparse."""

    artifacts: Sequence[Artifact] = ()
    """The documents that go with it."""

    def to_json(self) -> dict[str, Any]:
        """Return the part of the record about this platform."""
        return {
            "digest": str(self.manifest.digest),
            "config-digest": str(self.manifest.config.digest),
            "base-digest": _text(self.base_digest),
            "layers": [
                {
                    "digest": str(layer.descriptor.digest),
                    "diff-id": str(layer.diff_id),
                    "size": layer.descriptor.size,
                    "holds": layer.holds,
                }
                for layer in self.layers
            ],
            "missing": list(map(str, self.missing)),
            "packages": dict(sorted(self.packages.items())),
            "wheel": {"filename": self.wheel, "sha256": self.wheel_sha256} if self.wheel else None,
            "referrers": [
                {"type": one.artifact_type, "digest": str(one.digest), "document-digest": str(one.document.digest)}
                for one in self.artifacts
            ],
        }


class Record(NamedTuple):
    """All that a pipeline may want to know of a build."""

    repository: str
    tags: Sequence[str]
    top: Descriptor
    """Of the manifest, or of the index of several."""

    images: Sequence[ImageRecord]
    base_reference: str
    base_digest: Digest | None
    """Of the index, or else the manifest, that the reference leads to; None for scratch."""

    lock: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the record as it is written."""
        return {
            "repository": self.repository,
            "tags": list(self.tags),
            "digest": str(self.top.digest),
            "media-type": self.top.media_type,
            "platforms": {str(image.platform): image.to_json() for image in self.images},
            "base": {"reference": self.base_reference, "digest": _text(self.base_digest)},
            "lock": self.lock,
        }


def write_record(target: Path, record: Record, counts: Counts) -> None:
    """Write the record to the file `target`, replacing it at once; an `OutputError` where that fails.

    It is written each time: `counts` are those of this very build, also where the image is the same as before.
    """
    document = {**record.to_json(), "work": counts.to_json()}
    replace_file(target, [(json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode("utf-8")])


def _text(digest: Digest | None) -> str | None:
    return str(digest) if digest else None
