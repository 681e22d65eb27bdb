"""A base image as it is found; in a registry, or with the help of other files here, on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from hatch_oci.errors import BaseError
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.manifest import Index, Manifest, read_manifest
from hatch_oci.image.reference import Reference
from hatch_oci.registry.options import OFFLINE_VARIABLE
from hatch_oci.registry.remote import Remote
from hatch_oci.store.blobs import BlobStore

if TYPE_CHECKING:
    from hatch_oci.registry.pull import Repository


class Source(NamedTuple):
    """A base image as it is found, before a platform is chosen."""

    name: str
    """For messages."""

    image_name: str | None
    """Where everybody finds this image (the annotation `base.name`); None for one that lies on this machine."""

    top: Manifest | Index
    read_manifest: Callable[[Descriptor], Iterator[bytes]]
    read_blob: Callable[[Descriptor], Iterator[bytes]]
    repository: Callable[[], Repository] | None = None
    """Where it is pulled from; None for one that lies on this machine."""


def open_registry(remote: Remote, text: str, store: BlobStore) -> Source:
    """Find the image that a reference names; a cached one that is pinned by its digest needs no network."""
    reference = Reference.parse(text)
    repository = partial(remote.repository, reference)
    offline = remote.options.offline
    if reference.tag == "latest" and reference.digest is None:
        remote.reporter.warn(f"{reference} is another image from day to day: name a version, or pin its digest")
    where = f"the manifest of {reference}"

    def fetch_manifest(descriptor: Descriptor) -> Iterator[bytes]:
        _need_network(offline, f"{reference}: its manifest {descriptor.digest}")
        yield repository().manifest(descriptor.digest)[0]

    def fetch_blob(descriptor: Descriptor) -> Iterator[bytes]:
        _need_network(offline, f"{reference}: its blob {descriptor.digest}")
        yield from repository().blob(descriptor)

    top = _cached(reference, repository, store, where, offline=offline)
    if top is None:
        _need_network(offline, str(reference))
        raw, content_type = repository().manifest(reference.digest or reference.target)
        top = read_manifest(raw, where, content_type=content_type)
        store.put([raw], reference.digest or top.digest, len(raw))
    if reference.digest is None:
        store.remember("tags", _tag_key(reference), {"digest": str(top.digest), "media-type": top.media_type})
    image_name = reference.tagged if reference.tag else str(reference)
    return Source(str(reference), image_name, top, fetch_manifest, fetch_blob, repository)


def _cached(
    reference: Reference, repository: Callable[[], Repository], store: BlobStore, where: str, *, offline: bool
) -> Manifest | Index | None:
    """Return the manifest from the cache: that of the digest, or the one that the tag still stands for."""
    media_type = None
    digest = reference.digest
    if digest is None:
        known: tuple[Digest, str] | None = store.recall("tags", _tag_key(reference), _read_tag)
        if known is None:
            return None
        digest, media_type = known
        if not offline and repository().find_tag(reference.target) != digest:
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
