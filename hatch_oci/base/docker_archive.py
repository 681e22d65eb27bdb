"""Archives of `docker save`, `podman save` and `skopeo copy … docker-archive:` as bases.

Their `manifest.json` names the files of configs and layers, but no digests, and there is no manifest, except in those
that are an OCI layout as well (Docker's, since version 25, and this package's). Where there is none, one is made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from hatch_oci.base.files import read_small
from hatch_oci.base.layout import MARKER, Layout, blob_path
from hatch_oci.base.source import Source
from hatch_oci.base.tarball import LONGEST_MAGIC, Tarball, find_compression
from hatch_oci.errors import BaseError, InvalidReference
from hatch_oci.image import media_types
from hatch_oci.image.config import MAX_CONFIG
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.document import Node, parse_json, printable
from hatch_oci.image.manifest import MAX_LAYERS, MAX_MANIFEST, Manifest, make_manifest
from hatch_oci.image.reference import Reference
from hatch_oci.store.blobs import BlobStore

LIST = "manifest.json"
"""The file that makes it one."""

_LAYERS = {"gzip": media_types.OCI_LAYER_GZIP, "zstd": media_types.OCI_LAYER_ZSTD, None: media_types.OCI_LAYER}


@dataclass(frozen=True, slots=True)
class _Saved:
    """An image in the archive: the members that it is made of, and the names that it has."""

    config: str
    layers: tuple[str, ...]
    names: tuple[str, ...]


def open_docker_archive(tarball: Tarball, reference: str | None, store: BlobStore) -> Source:
    """Find the image by this name, or else the only one; the layers' digests are remembered in the store."""
    saved = _choose(_read_list(tarball), tarball.name, reference)
    raw = read_small(tarball, saved.config, MAX_CONFIG, f"the config of {tarball.name}")
    config = Descriptor(media_types.OCI_CONFIG, Digest.of(raw), len(raw))
    if manifest := _find_manifest(tarball, config, len(saved.layers)):
        layout = Layout(tarball, tarball.name)
        return Source(tarball.name, None, manifest, layout.read, layout.read)
    layers = [_layer(tarball, path, store) for path in saved.layers]
    members = dict(zip([layer.digest for layer in layers], saved.layers, strict=True)) | {config.digest: saved.config}

    def read(descriptor: Descriptor) -> Iterator[bytes]:
        return tarball.read(members[descriptor.digest], descriptor.size)

    return Source(tarball.name, None, make_manifest(config, layers, {}), read, read)


def _read_list(tarball: Tarball) -> list[_Saved]:
    where = f"{LIST} of {tarball.name}"
    raw = read_small(tarball, LIST, MAX_MANIFEST, where)
    return [_read_saved(node) for node in parse_json(raw, where).items()]


def _read_saved(node: Node) -> _Saved:
    # Go's nil again: null for an image without names, or without layers.
    names, layers = node.find("RepoTags"), node.find("Layers")
    paths = tuple(layers.texts()) if layers else ()
    if layers and len(paths) > MAX_LAYERS:
        layers.fail(f"has {len(paths)} entries, more than the {MAX_LAYERS} that are read")
    return _Saved(node.get("Config").text(), paths, tuple(names.texts()) if names else ())


def _choose(images: list[_Saved], name: str, reference: str | None) -> _Saved:
    wanted = _normal(reference) if reference else None
    chosen = {image.config: image for image in images if wanted is None or wanted in map(_normal, image.names)}
    if len(chosen) != 1:
        names = sorted({printable(text) for image in images for text in image.names or ("(no name)",)})
        asked = f"has no image {reference!r}" if reference else "holds several images" if images else "holds no image"
        advice = "Name one, as in docker-archive:PATH:REFERENCE"
        message = f"{name} {asked}; it has: {', '.join(names) or 'none'}. {advice}"
        raise BaseError(message)
    (image,) = chosen.values()
    return image


def _normal(name: str) -> str:
    """Return an image's name with what Docker adds to a short one."""
    try:
        return str(Reference.parse(name))
    except InvalidReference:
        return name


def _find_manifest(tarball: Tarball, config: Descriptor, layers: int) -> Manifest | None:
    """Return the image's own manifest, where the archive is a layout that has it and all that it names."""
    if MARKER not in tarball:
        return None
    layout = Layout(tarball, tarball.name)
    # By their digests, as the same image may be there under many tags.
    for entry in {entry.digest: entry for entry in layout.entries()}.values():
        if entry.media_type in media_types.MANIFESTS and blob_path(entry) in tarball:
            manifest = layout.top(entry)
            if (
                isinstance(manifest, Manifest)
                and manifest.config.digest == config.digest
                and len(manifest.layers) == layers
                and all(blob_path(blob) in tarball for blob in (manifest.config, *manifest.layers))
            ):
                return manifest
    return None


def _layer(tarball: Tarball, path: str, store: BlobStore) -> Descriptor:
    """Return a layer's descriptor; the layer is read only the first time that this archive is seen."""
    at = tarball.resolve(path)
    compression = find_compression(b"".join(tarball.read(at, LONGEST_MAGIC)))
    if compression not in _LAYERS:
        message = f"{tarball.name}: the layer {printable(path)} is compressed with {compression}, not gzip or zstd"
        raise BaseError(message)
    # In ASCII, which holds also paths that are not UTF-8.
    key = hashlib.sha256(json.dumps([*tarball.identity, at]).encode("ascii")).hexdigest()
    digest: Digest | None = store.recall("archives", key, Digest.parse)
    if digest is None:
        digest = _hash(tarball, at)
        store.remember("archives", key, str(digest))
    return Descriptor(_LAYERS[compression], digest, tarball.size(at))


def _hash(tarball: Tarball, path: str) -> Digest:
    hasher = hashlib.sha256()
    for chunk in tarball.read(path, tarball.size(path)):
        hasher.update(chunk)
    return Digest("sha256", hasher.hexdigest())
