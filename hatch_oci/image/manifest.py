"""Manifests and indexes, read over their raw bytes (image-spec, manifest.md and image-index.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from hatch_oci.errors import ContentError
from hatch_oci.image import media_types
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.document import Node, encode_json, parse_json, printable
from hatch_oci.image.media_types import Family

MAX_MANIFEST = 4 * 1024 * 1024
"""Bytes; what registries must accept at least, and what is read at most (distribution-spec)."""

_MAX_ENTRIES = 256
MAX_LAYERS = 512


class Manifest(NamedTuple):
    """An image for one platform."""

    raw: bytes
    digest: Digest
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def descriptor(self) -> Descriptor:
        """A descriptor of these very bytes."""
        return Descriptor(self.media_type, self.digest, len(self.raw))


class Index(NamedTuple):
    """A list of manifests, as a rule one a platform."""

    raw: bytes
    digest: Digest
    media_type: str
    manifests: tuple[Descriptor, ...]

    @property
    def descriptor(self) -> Descriptor:
        """A descriptor of these very bytes."""
        return Descriptor(self.media_type, self.digest, len(self.raw))


def check_pulled(raw: bytes, digest: Digest, where: str) -> bytes:
    """Return a manifest that was asked for by `digest`; a `ContentError` if it is another one."""
    if not digest.matches(raw):
        message = f"{where} was asked for {digest} and sent something else"
        raise ContentError(message)
    return raw


def read_manifest(
    raw: bytes, where: str, *, expected: Descriptor | None = None, content_type: str | None = None
) -> Manifest | Index:
    """Read a manifest or an index whose digest has been checked.

    `where` names it in errors. Its type is that of the `expected` descriptor; without one the `content_type`
    header and the body must agree, and with neither (a cached manifest) the body decides. Anything that is no
    image manifest or index in OCI's or Docker's form is a `DocumentError`.
    """
    node = parse_json(raw, where)
    declared = node.find("mediaType")
    media_type = _media_type(node, declared.text() if declared else "", expected, content_type)
    if not _is_version(node.get("schemaVersion").value, 2):
        node.get("schemaVersion").fail("must be 2")
    is_index = media_type in media_types.INDEXES
    foreign = ("config", "layers") if is_index else ("manifests",)
    if any(key in node.table() for key in foreign):
        node.fail(f"is called {media_type}, but has {' or '.join(foreign)}")
    digest = expected.digest if expected else Digest.of(raw)
    if is_index:
        return Index(raw, digest, media_type, _descriptors(node.get("manifests"), _MAX_ENTRIES))
    config = Descriptor.read(node.get("config"))
    if config.media_type not in media_types.CONFIGS:
        node.get("config").fail(f"not a container image: the config is a {printable(config.media_type)}")
    return Manifest(raw, digest, media_type, config, _descriptors(node.get("layers"), MAX_LAYERS))


def oci_layers(manifest: Manifest, where: str) -> tuple[Descriptor, ...]:
    """Return the manifest's layers, every one with its OCI media type.

    A layer of another kind is a `DocumentError`: half a conversion gives an image that engines refuse.
    """
    layers = []
    for number, layer in enumerate(manifest.layers):
        media_type = media_types.oci_layer(layer.media_type)
        if media_type is None:
            Node(None, f"{where} → layers[{number}].mediaType").fail(
                f"{layer.media_type[:80]!r} is not a layer of a container image"
            )
        layers.append(Descriptor(media_type, layer.digest, layer.size, None, layer.urls, layer.annotations))
    return tuple(layers)


def make_manifest(
    config: Descriptor, layers: Sequence[Descriptor], annotations: Mapping[str, str], family: Family = media_types.OCI
) -> Manifest:
    """Return a new manifest, in which the config and the layers, which have OCI's types, have those of `family`."""
    config = replace(config, media_type=family.config)
    layers = tuple(_in_family(layer, family) for layer in layers)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": family.manifest,
        "config": config.to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    if annotations and family.has_annotations:
        document["annotations"] = dict(annotations)
    raw = encode_json(document)
    return Manifest(raw, Digest.of(raw), family.manifest, config, layers)


def make_index(
    entries: Sequence[Descriptor], annotations: Mapping[str, str], family: Family = media_types.OCI
) -> Index:
    """Return a new index of images, each for its platform, and of what is said of them."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": family.index,
        "manifests": [entry.to_json() for entry in entries],
    }
    if annotations and family.has_annotations:
        document["annotations"] = dict(annotations)
    raw = encode_json(document)
    return Index(raw, Digest.of(raw), family.index, tuple(entries))


def _in_family(layer: Descriptor, family: Family) -> Descriptor:
    annotations = layer.annotations if family.has_annotations else {}
    return replace(layer, media_type=family.layers[layer.media_type], annotations=annotations)


def _media_type(node: Node, declared: str, expected: Descriptor | None, content_type: str | None) -> str:
    served = media_types.essence(content_type or "")
    if expected:
        media_type = expected.media_type
    elif served in media_types.VAGUE:
        media_type = declared
        # Legal without a type of its own; the cache keeps no header, so the shape tells.
        if not declared and content_type is None:
            media_type = media_types.OCI_INDEX if "manifests" in node.table() else media_types.OCI_MANIFEST
    elif declared and declared != served:
        node.fail(f"is served as {printable(served)}, but calls itself {printable(declared)}")
    else:
        media_type = served
    if media_type in media_types.SCHEMA1 or _is_version(node.table().get("schemaVersion"), 1):
        node.fail("is in Docker's schema 1 form, which nothing runs any more; push the image again with a newer tool")
    if media_type not in media_types.INDEXES | media_types.MANIFESTS:
        node.fail(f"not an image manifest or index, but {printable(media_type) or 'of an unknown type'}")
    return media_type


def _is_version(value: object, number: int) -> bool:
    """Tell whether `value` is this integer, and not a float or a bool that equals it."""
    return type(value) is int and value == number


def _descriptors(node: Node, most: int) -> tuple[Descriptor, ...]:
    items = node.items()
    if len(items) > most:
        node.fail(f"has {len(items)} entries, more than the {most} that are read")
    return tuple(Descriptor.read(item) for item in items)
