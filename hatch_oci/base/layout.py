"""OCI image layouts as bases, in folders and in archives (image-spec, image-layout.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hatch_oci.base.files import Files, read_small
from hatch_oci.base.source import Source
from hatch_oci.errors import BaseError
from hatch_oci.image.annotation_keys import REF_NAME
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.document import parse_json, printable
from hatch_oci.image.manifest import MAX_MANIFEST, Index, Manifest, check_pulled, read_manifest

MARKER = "oci-layout"
"""The file that makes it one."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of a layout; `name` is what messages call it."""

    files: Files
    name: str

    def entries(self) -> list[Descriptor]:
        """Return what its index lists."""
        where = f"index.json of {self.name}"
        raw = read_small(self.files, "index.json", MAX_MANIFEST, where)
        return [Descriptor.read(item) for item in parse_json(raw, where).get("manifests").items()]

    def top(self, entry: Descriptor) -> Manifest | Index:
        """Return the manifest or the index that an entry describes."""
        where = f"the manifest of {self.name}"
        raw = read_small(self.files, blob_path(entry), MAX_MANIFEST, where)
        return read_manifest(check_pulled(raw, entry.digest, self.name), where, expected=entry)

    def read(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Yield the bytes of a blob, which are not checked here, and not more than one too many."""
        return self.files.read(blob_path(descriptor), descriptor.size)


def blob_path(descriptor: Descriptor) -> str:
    """Return where a layout has a blob."""
    return f"blobs/{descriptor.digest.algorithm}/{descriptor.digest.hex}"


def open_layout(files: Files, name: str, tag: str | None) -> Source:
    """Find the image with this tag, or else the only one, in a layout."""
    layout = Layout(files, name)
    entries = layout.entries()
    chosen = {entry.digest: entry for entry in entries if tag in (None, entry.annotations.get(REF_NAME))}
    if len(chosen) != 1:
        tags = sorted({printable(entry.annotations.get(REF_NAME, "(no tag)")) for entry in entries})
        asked = "holds several images" if tag is None else f"has no image {tag!r}"
        form = f"{name.partition(':')[0]}:PATH:TAG"
        message = f"{name} {asked}; it has: {', '.join(tags) or 'none'}. Name one, as in {form}"
        raise BaseError(message)
    (entry,) = chosen.values()
    return Source(name, None, layout.top(entry), layout.read, layout.read)
