"""What is compared: an image by a reference or in a layout, with its documents, for all of its platforms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hatch_oci.base.open import open_source
from hatch_oci.base.resolve import Base, platforms_of, resolve_source
from hatch_oci.base.source import Source
from hatch_oci.errors import BaseError, ContentError
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.document import parse_json
from hatch_oci.image.platform import Platform
from hatch_oci.registry.remote import Remote
from hatch_oci.store.blobs import BlobStore

_OURS = "hatch-oci-image: "


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """A layer of an image, and what is said to be in it."""

    descriptor: Descriptor
    diff_id: Digest
    holds: str


@dataclass(frozen=True, slots=True)
class OneImage:
    """The image for one platform."""

    base: Base
    """As one would build on it."""

    manifest: Mapping[str, Any]

    @property
    def layers(self) -> list[LayerFacts]:
        """Its layers, the lowest first."""
        config = self.base.config
        told = [""] * len(config.diff_ids)
        if config.history_fits:
            steps = [step for step in config.document.get("history") or [] if step.get("empty_layer") is not True]
            told = [str(step.get("created_by", "")).removeprefix(_OURS) for step in steps]
        return [LayerFacts(*facts) for facts in zip(self.base.layers, config.diff_ids, told, strict=True)]


@dataclass(frozen=True, slots=True)
class Subject:
    """An image that is compared."""

    name: str
    source: Source
    images: Mapping[Platform, OneImage]

    @property
    def digest(self) -> Digest:
        """What tells it from all others."""
        return self.source.top.digest


def open_subject(text: str, root: Path, store: BlobStore, remote: Remote) -> Subject:
    """Find what `text` names: the path of a layout, or all that `base-image` may be, except `scratch`."""
    name = f"oci:{text}" if (root / text / "oci-layout").is_file() else text
    source = open_source(remote, name, root, store)
    if source is None:
        message = "scratch is no image: there is nothing to compare"
        raise BaseError(message)
    images = {platform: _image(source, platform, store) for platform in platforms_of(source, store)}
    return Subject(name, source, images)


def find_damage(subject: Subject) -> Iterator[Descriptor]:
    """Yield the blobs of an image on this machine that are not what their digests say; those that are missing are not.

    The store may have whole ones, which would take their place unnoticed.
    """
    if subject.source.repository:
        return
    blobs = [blob for one in subject.images.values() for blob in (one.base.config.descriptor, *one.base.layers)]
    for blob in {blob.digest: blob for blob in blobs}.values():
        hasher = blob.digest.hasher()
        with suppress(BaseError):
            for piece in subject.source.read_blob(blob):
                hasher.update(piece)
            if hasher.hexdigest() != blob.digest.hex:
                yield blob


def check_whole(subject: Subject) -> None:
    """Raise a `ContentError` where a blob of an image on this machine is damaged."""
    if damaged := next(find_damage(subject), None):
        message = f"{subject.name} is damaged: its {damaged.digest} is not what its digest says"
        raise ContentError(message)


def _image(source: Source, platform: Platform, store: BlobStore) -> OneImage:
    base = resolve_source(source, platform, store)
    # Those below an index entered the store on the way.
    raw = source.top.raw if base.digest in (None, source.top.digest) else store.read(base.digest)
    return OneImage(base, parse_json(raw or b"{}", f"the manifest of {source.name}").table())
