"""A base image for one platform: from its name to a checked manifest and configuration, and then its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from hatch_oci.base.open import open_source
from hatch_oci.base.source import Source
from hatch_oci.errors import BaseError, ContentError
from hatch_oci.image import media_types
from hatch_oci.image.annotation_keys import ATTESTATION_TYPE
from hatch_oci.image.config import MAX_CONFIG, ImageConfig, empty_config, read_config
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.manifest import MAX_MANIFEST, Index, Manifest, oci_layers, read_manifest
from hatch_oci.image.platform import Platform, choose
from hatch_oci.registry.remote import Remote
from hatch_oci.report import Reporter, format_number
from hatch_oci.store.blobs import BlobStore, StoredBlob, checked

_MAX_INDEX_DEPTH = 2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Base:
    """A base image for one platform. Its layers carry OCI's media types, whatever the base's own are."""

    name: str
    """For messages."""

    image_name: str | None
    """Where everybody finds it, if anywhere (the annotation `base.name`)."""

    top_digest: Digest | None
    """What pins it: the digest of its index, else of its manifest; None for scratch."""

    digest: Digest | None
    """The digest of this platform's manifest; None for scratch."""

    config: ImageConfig
    layers: tuple[Descriptor, ...]
    read_blob: Callable[[Descriptor], Iterator[bytes]]


def resolve(text: str, platform: Platform, root: Path, store: BlobStore, remote: Remote) -> Base:
    """Find the base that `text` names, for `platform`; `root` is what a relative path starts from."""
    source = open_source(remote, text, root, store)
    if source is None:
        return Base("scratch", None, None, None, empty_config(platform), (), lambda _descriptor: iter(()))
    return resolve_source(source, platform, store)


def resolve_source(source: Source, platform: Platform, store: BlobStore) -> Base:
    """Return the base for `platform` out of an image that was found."""
    manifest = _descend(source, source.top, platform, store, 0)
    config = _read_config(source, manifest, store)
    if choose(platform, [(config.platform, True)]) is None:
        message = f"{source.name} is for {config.platform}, not for {platform}"
        raise BaseError(message)
    layers = oci_layers(manifest, f"the manifest of {source.name}")
    if len(config.diff_ids) != len(layers):
        message = (
            f"{source.name} has {format_number(len(layers), 'layer')}, but its config lists {len(config.diff_ids)}"
        )
        raise BaseError(message)
    return Base(source.name, source.image_name, source.top.digest, manifest.digest, config, layers, source.read_blob)


def platforms_of(source: Source, store: BlobStore) -> list[Platform]:
    """Return the platforms that an image is for."""
    if isinstance(source.top, Manifest):
        return [_read_config(source, source.top, store).platform]
    return sorted({platform for platform, _ in _offers(source, source.top, store)})


def fetch_layers(
    base: Base, store: BlobStore, reporter: Reporter, arrived: Callable[[StoredBlob], None] = lambda _blob: None
) -> tuple[StoredBlob, ...]:
    """Return the base's layers in the store, after fetching those that are missing, several at a time.

    `arrived` is called with each that was fetched, while others still come.
    """
    try:
        found = {layer.digest: store.find(layer.digest, layer.size) for layer in base.layers}
        missing = {layer.digest: layer for layer in base.layers if found[layer.digest] is None}
        if missing:
            # Not above: threads are slow to import, and mostly nothing is missing.
            from hatch_oci.store.intake import Arriving, take_in

            total = sum(layer.size for layer in missing.values())
            with reporter.transfer(f"Fetching {format_number(len(missing), 'layer')} of {base.name}", total) as advance:
                arriving = [Arriving(one.digest, one.size, partial(base.read_blob, one)) for one in missing.values()]
                found |= take_in(arriving, store, advance, arrived)
    except ContentError as error:
        message = f"a layer of {base.name}: {error}"
        raise ContentError(message) from error
    return tuple(blob for layer in base.layers if (blob := found[layer.digest]))


def _descend(source: Source, found: Manifest | Index, platform: Platform, store: BlobStore, depth: int) -> Manifest:
    if isinstance(found, Manifest):
        return found
    if depth == _MAX_INDEX_DEPTH:
        message = f"{source.name}: its indexes are nested more than {_MAX_INDEX_DEPTH} deep"
        raise BaseError(message)
    offers = list(_offers(source, found, store))
    chosen = choose(platform, offers)
    if chosen is None:
        there = ", ".join(sorted({str(offer) for offer, _ in offers})) or "none"
        message = f"{source.name} has no image for {platform}; it has: {there}"
        raise BaseError(message)
    return _descend(source, _fetch_manifest(source, chosen, store), platform, store, depth + 1)


def _offers(source: Source, index: Index, store: BlobStore) -> Iterator[tuple[Platform, Descriptor]]:
    """Yield the index's entries with their platforms, from their configs where the index has none."""
    for entry in index.manifests:
        if ATTESTATION_TYPE in entry.annotations or entry.media_type not in (
            media_types.MANIFESTS | media_types.INDEXES
        ):
            continue
        if entry.platform:
            if entry.platform.os != "unknown":
                yield entry.platform, entry
            continue
        child = _fetch_manifest(source, entry, store)
        if isinstance(child, Manifest):
            yield _read_config(source, child, store).platform, entry


def _fetch_manifest(source: Source, descriptor: Descriptor, store: BlobStore) -> Manifest | Index:
    where = f"the manifest {descriptor.digest} of {source.name}"
    read = partial(read_manifest, where=where, expected=descriptor)
    return _small(descriptor, source.read_manifest, store, where, MAX_MANIFEST, read)


def _read_config(source: Source, manifest: Manifest, store: BlobStore) -> ImageConfig:
    where = f"the config of {source.name}"
    return _small(manifest.config, source.read_blob, store, where, MAX_CONFIG, partial(read_config, where=where))


def _small(
    descriptor: Descriptor,
    fetch: Callable[[Descriptor], Iterator[bytes]],
    store: BlobStore,
    where: str,
    most: int,
    read: Callable[[bytes], T],
) -> T:
    """Return a document as `read` has it, from the store, else from the base's source; what it refuses is not kept."""
    if descriptor.size > most:
        message = f"{where} has {descriptor.size} bytes; {most} are read at most"
        raise BaseError(message)
    try:
        raw = store.read(descriptor.digest, descriptor.size)
        if raw is not None:
            return read(raw)
        raw = b"".join(checked(fetch(descriptor), descriptor.digest, descriptor.size))
    except ContentError as error:
        message = f"{where}: {error}"
        raise ContentError(message) from error
    document = read(raw)
    store.put([raw], descriptor.digest, descriptor.size)
    return document
