"""Where a base comes from: a registry, or an OCI image layout on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hatch_oci.base.name import check_base_name
from hatch_oci.errors import BaseError
from hatch_oci.image.annotation_keys import REF_NAME
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.document import parse_json
from hatch_oci.image.manifest import MAX_MANIFEST, Index, Manifest, read_manifest
from hatch_oci.image.reference import Reference, is_tag
from hatch_oci.registry.options import OFFLINE_VARIABLE
from hatch_oci.registry.pull import Repository, check_pulled
from hatch_oci.registry.transport import Transport
from hatch_oci.store.blobs import BlobStore

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """A base image as it is found, before a platform is chosen."""

    name: str
    """For messages."""

    image_name: str | None
    """Where everybody finds this image (the annotation `base.name`); None for one that lies on this machine."""

    top: Manifest | Index
    read_manifest: Callable[[Descriptor], Iterator[bytes]]
    read_blob: Callable[[Descriptor], Iterator[bytes]]
    repository: Repository | None = None
    """Where it is pulled from; None for one that lies on this machine."""


def open_registry(transport: Transport, text: str, store: BlobStore) -> Source:
    """Find the image that a reference names; a cached one that is pinned by its digest needs no network."""
    reference = Reference.parse(text)
    repository = Repository(transport, reference)
    offline = transport.options.offline
    if reference.tag == "latest" and reference.digest is None:
        transport.reporter.warn(f"{reference} is another image from day to day: name a version, or pin its digest")
    where = f"the manifest of {reference}"

    def fetch_manifest(descriptor: Descriptor) -> Iterator[bytes]:
        _need_network(offline, f"{reference}: its manifest {descriptor.digest}")
        yield repository.manifest(descriptor.digest)[0]

    def fetch_blob(descriptor: Descriptor) -> Iterator[bytes]:
        _need_network(offline, f"{reference}: its blob {descriptor.digest}")
        yield from repository.blob(descriptor)

    top = _cached(reference, repository, store, where, offline=offline)
    if top is None:
        _need_network(offline, str(reference))
        raw, content_type = repository.manifest(reference.digest or reference.target)
        top = read_manifest(raw, where, content_type=content_type)
        store.put([raw], reference.digest or top.digest, len(raw))
    if reference.digest is None:
        store.remember("tags", _tag_key(reference), {"digest": str(top.digest), "media-type": top.media_type})
    image_name = reference.tagged if reference.tag else str(reference)
    return Source(str(reference), image_name, top, fetch_manifest, fetch_blob, repository)


def _cached(
    reference: Reference, repository: Repository, store: BlobStore, where: str, *, offline: bool
) -> Manifest | Index | None:
    """Return the manifest from the cache: that of the digest, or the one that the tag still stands for."""
    media_type = None
    digest = reference.digest
    if digest is None:
        known: tuple[Digest, str] | None = store.recall("tags", _tag_key(reference), _read_tag)
        if known is None:
            return None
        digest, media_type = known
        if not offline and repository.find_tag(reference.target) != digest:
            return None
    raw = store.read(digest)
    if raw is None:
        return None
    expected = Descriptor(media_type, digest, len(raw)) if media_type else None
    return read_manifest(raw, where, expected=expected)


def _read_tag(value: Any) -> tuple[Digest, str]:
    if not isinstance(value["media-type"], str):
        message = "a media type is a string"
        raise TypeError(message)
    return Digest.parse(value["digest"]), value["media-type"]


def _tag_key(reference: Reference) -> str:
    return hashlib.sha256(str(reference).encode()).hexdigest()


def _need_network(offline: bool, what: str) -> None:
    if offline:
        message = f"{what} is not in the cache, and {OFFLINE_VARIABLE} is set: build once without it"
        raise BaseError(message)


def open_layout(root: Path, text: str) -> Source:
    """Find the image in the OCI image layout `PATH[:TAG]`, relative to `root` (image-spec, image-layout.md)."""
    folder, tag = _split_layout(root, text)
    name = f"oci:{text}"
    if not (folder / "oci-layout").is_file():
        message = f"{name} is not an OCI image layout: {folder / 'oci-layout'} is missing"
        raise BaseError(message)
    where = f"index.json of {name}"
    raw = b"".join(_read_file(folder / "index.json", name, MAX_MANIFEST))
    entries = [Descriptor.read(item) for item in parse_json(raw, where).get("manifests").items()]
    chosen = {entry.digest: entry for entry in entries if tag in (None, entry.annotations.get(REF_NAME))}
    if len(chosen) != 1:
        tags = sorted({entry.annotations.get(REF_NAME, "(no tag)") for entry in entries})
        asked = "holds several images" if tag is None else f"has no image {tag!r}"
        message = f"{name} {asked}; it has: {', '.join(tags) or 'none'}. Write base-image = 'oci:PATH:TAG'"
        raise BaseError(message)
    (entry,) = chosen.values()

    def read(descriptor: Descriptor) -> Iterator[bytes]:
        path = folder / "blobs" / descriptor.digest.algorithm / descriptor.digest.hex
        return _read_file(path, name, descriptor.size)

    manifest = check_pulled(b"".join(read(entry)), entry.digest, name)
    top = read_manifest(manifest, f"the manifest of {name}", expected=entry)
    return Source(name, None, top, read, read)


def _split_layout(root: Path, text: str) -> tuple[Path, str | None]:
    """Return folder and tag; a folder whose very name ends like a tag wins."""
    path, colon, tag = text.rpartition(":")
    if colon and path and is_tag(tag) and not (root / text).is_dir():
        return root / path, tag
    return root / text, None


def _read_file(path: Path, name: str, most: int) -> Iterator[bytes]:
    """Yield a file of a layout, at most one byte more than `most`, which its reader then refuses."""
    try:
        with path.open("rb") as file:
            left = most + 1
            while left and (chunk := file.read(min(_CHUNK, left))):
                left -= len(chunk)
                yield chunk
    except OSError as error:
        message = f"{name}: cannot read {path}: {error.strerror or error}"
        raise BaseError(message) from error


def open_source(transport: Transport, text: str, root: Path, store: BlobStore) -> Source | None:
    """Return what `base-image` names, None for `scratch`."""
    check_base_name(text)
    if text == "scratch":
        return None
    scheme, colon, rest = text.partition(":")
    return open_layout(root, rest) if colon and scheme == "oci" else open_registry(transport, text, store)
