"""An image of a layout into a registry: blobs, then manifests, then the index, then tags; what goes with it last."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hatch_oci.attaching import attach
from hatch_oci.errors import ContentError, DocumentError, InvalidReference, OutputError, RegistryError, UnreachableError
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.manifest import Index
from hatch_oci.image.media_types import is_distributable
from hatch_oci.image.reference import DOCKER_HUB, Reference, is_tag, shown
from hatch_oci.output.reading import StoredImage, read_file
from hatch_oci.registry.options import OFFLINE_VARIABLE
from hatch_oci.registry.pull import Repository
from hatch_oci.registry.push import Blob, Destination, MissingBlobsError
from hatch_oci.registry.transport import Transport
from hatch_oci.report import format_number
from hatch_oci.stopping import check, work_on
from hatch_oci.store.blobs import BlobStore

_PARALLEL = 4
_REMEMBERED = 4096
"""How many blobs of a repository are remembered to be there."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What is in the registry now."""

    repository: str
    tags: tuple[str, ...]
    digest: Digest
    uploaded: int
    """Bytes of blobs that were sent."""

    referrers: tuple[Digest, ...] = ()
    """The documents that go with the image, as far as the registry took them."""

    @property
    def references(self) -> list[str]:
        """The image's names: by tag, and by digest."""
        return [*(f"{self.repository}:{tag}" for tag in self.tags), f"{self.repository}@{self.digest}"]


def push_image(
    image: StoredImage, repository: str | None, tags: Sequence[str], transport: Transport, store: BlobStore
) -> Pushed:
    """Push an image to `repository`, or where its layout says, with `tags`, or those of the layout.

    What the registry has is not sent; the base's layers are mounted from its repository where that is in the same
    registry, and fetched only where they are neither here nor there. Running it again goes on where it ended.
    """
    place = _read_repository(image, repository)
    chosen = tuple(dict.fromkeys(tags)) or image.tags or ("latest",)
    for tag in chosen:
        if not is_tag(tag):
            message = f"not a tag: {shown(tag)}; write it like 1.0"
            raise InvalidReference(message)
    if transport.options.offline:
        message = f"{place.registry} is not reached while {OFFLINE_VARIABLE} is set: push without it"
        raise RegistryError(message)
    destination = Destination(transport, place.registry, place.repository)
    known = _Known(store, place.registry, place.repository)
    push = _Push(image, destination, known, transport, store)
    try:
        push.run(chosen)
    except MissingBlobsError:
        # What was remembered is not so any more: the registry was emptied.
        known.forget()
        push.run(chosen)
    return Pushed(f"{place.registry}/{place.repository}", chosen, image.top.digest, push.uploaded, push.referrers)


def _read_repository(image: StoredImage, repository: str | None) -> Reference:
    name = repository or image.repository
    if not name:
        message = f"{image.layout} does not say where it belongs: set `repository`, or push --to REGISTRY/NAME"
        raise InvalidReference(message)
    try:
        place = Reference.parse(f"{name}:tag")
    except InvalidReference:
        message = f"not a repository: {name!r}; write it like ghcr.io/acme/app"
        raise InvalidReference(message) from None
    if place.registry == DOCKER_HUB and place.repository.startswith("library/"):
        message = f"{name!r} names no registry: set `repository`, or push --to REGISTRY/NAME"
        raise InvalidReference(message)
    return place


def _read_base(image: StoredImage) -> Reference | None:
    """Return where the base is, if its label, which anybody may have written, is a reference."""
    with suppress(InvalidReference):
        return Reference.parse(image.base_name) if image.base_name else None
    return None


@dataclass
class _Known:
    """Which blobs a registry is known to have, by repository, from earlier pushes."""

    store: BlobStore
    host: str
    repository: str
    repositories: dict[str, dict[str, None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.repositories = self.store.recall("pushed", self._key, _read_known) or {}

    def here(self, digest: Digest) -> bool:
        return str(digest) in self.repositories.get(self.repository, {})

    def elsewhere(self, digest: Digest) -> str | None:
        """Return another repository of the registry that has a blob."""
        found = (name for name, digests in self.repositories.items() if str(digest) in digests)
        return next((name for name in found if name != self.repository), None)

    def add(self, digests: Sequence[Digest]) -> None:
        there = self.repositories.setdefault(self.repository, {})
        there |= {str(digest): None for digest in digests}
        self.repositories[self.repository] = dict(list(there.items())[-_REMEMBERED:])
        self.store.remember("pushed", self._key, {name: list(known) for name, known in self.repositories.items()})

    def forget(self) -> None:
        self.repositories.pop(self.repository, None)

    @property
    def _key(self) -> str:
        return hashlib.sha256(self.host.encode()).hexdigest()


def _read_known(value: Any) -> dict[str, dict[str, None]]:
    return {str(name): dict.fromkeys(map(str, digests)) for name, digests in value.items()}


class _Push:
    """One image on its way."""

    def __init__(
        self, image: StoredImage, destination: Destination, known: _Known, transport: Transport, store: BlobStore
    ) -> None:
        self.uploaded = 0
        self.referrers: tuple[Digest, ...] = ()
        self._image = image
        self._destination = destination
        self._known = known
        self._transport = transport
        self._store = store
        self._lock = threading.Lock()
        self._base = _read_base(image)

    def run(self, tags: Sequence[str]) -> None:
        """Push all of it."""
        blobs = {digest: one for digest, one in self._image.blobs.items() if is_distributable(one.media_type)}
        missing = [one for digest, one in blobs.items() if not self._known.here(digest)]
        if missing:
            what = f"Pushing {format_number(len(missing), 'blob')} to {self._destination.host}"
            with self._transport.reporter.transfer(what, sum(one.size for one in missing)) as advance:
                work_on(missing, lambda one: self._push_blob(one, advance), _PARALLEL)
        top = self._image.top
        if isinstance(top, Index):
            for manifest in (*self._image.manifests, *(one.manifest for one in self._image.attestations)):
                self._destination.put_manifest(manifest.raw, manifest.media_type, str(manifest.digest))
        for tag in tags:
            self._destination.put_manifest(top.raw, top.media_type, tag)
        self._attach()
        self._known.add(list(blobs))

    def _attach(self) -> None:
        """Push the documents that go with the image, which runs without them."""
        try:
            attach(self._image.artifacts, self._destination)
        except (UnreachableError, MissingBlobsError):
            raise
        except (RegistryError, DocumentError) as error:
            self._transport.reporter.warn(f"the image is there, but without all of its documents: {error}")
        else:
            self.referrers = tuple(one.digest for one in self._image.artifacts)

    def _push_blob(self, descriptor: Descriptor, advance: Callable[[int], None]) -> None:
        digest = descriptor.digest
        source = self._known.elsewhere(digest)
        if source is None:
            if self._destination.has(digest):
                return
            if self._base and self._base.registry == self._destination.host:
                source = self._base.repository

        def counted(pieces: Iterator[bytes]) -> Iterator[bytes]:
            for piece in pieces:
                check()
                yield piece
                advance(len(piece))

        def read() -> Iterator[bytes]:
            return counted(self._content(descriptor))

        if self._destination.put_blob(Blob(digest, descriptor.size, read), source):
            with self._lock:
                self.uploaded += descriptor.size

    def _content(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Return a blob's bytes: out of the layout or, of a sparse one, the cache, where they come from its base."""
        digest = descriptor.digest
        path = self._image.path(digest)
        if path.exists():
            if path.is_file() and path.stat().st_size != descriptor.size:
                message = f"{path} is not what its digest says: build the image anew"
                raise ContentError(message)
            return read_file(path)
        if self._base is None:
            message = f"{self._image.layout} lacks {digest}, and does not say where its base is: build it anew"
            raise OutputError(message)
        stored = self._store.find(digest, descriptor.size)
        if stored is None:
            repository = Repository(self._transport, self._base)
            try:
                stored = self._store.put(repository.blob(descriptor), digest, descriptor.size)
            except UnreachableError as error:
                # It was tried often enough: an upload that begins anew would not bring it either.
                raise RegistryError(str(error)) from error
        return read_file(stored.path)
