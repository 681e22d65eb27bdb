"""Descriptors: type, digest and size of content that lies elsewhere (image-spec, descriptor.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hatch_oci.errors import DigestError
from hatch_oci.image.digest import Digest
from hatch_oci.image.document import Node
from hatch_oci.image.platform import Platform


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What is known of a blob or manifest before it is fetched; `size` in bytes."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, node: Node) -> Descriptor:
        """Read a descriptor; unknown fields are ignored, a broken one is a `DocumentError`."""
        platform, urls, annotations = (node.find(key) for key in ("platform", "urls", "annotations"))
        return cls(
            media_type=node.get("mediaType").text(),
            digest=read_digest(node.get("digest")),
            size=node.get("size").size(),
            platform=Platform.read(platform) if platform else None,
            urls=tuple(urls.texts()) if urls else (),
            annotations=annotations.text_table() if annotations else {},
        )

    def to_json(self) -> dict[str, Any]:
        """Return the descriptor as it stands in a manifest or an index."""
        fields: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.platform:
            fields["platform"] = self.platform.to_json()
        if self.urls:
            fields["urls"] = list(self.urls)
        if self.annotations:
            fields["annotations"] = dict(self.annotations)
        return fields


def read_digest(node: Node) -> Digest:
    """Read a digest, with the place in the document in the error."""
    try:
        return Digest.parse(node.text())
    except DigestError as error:
        node.fail(str(error))
