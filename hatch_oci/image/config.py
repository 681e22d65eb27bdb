"""Image configurations: read over their raw bytes, and edited (image-spec, config.md)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hatch_oci.image import media_types
from hatch_oci.image.descriptor import Descriptor, read_digest
from hatch_oci.image.digest import Digest
from hatch_oci.image.document import Node, encode_json, parse_json
from hatch_oci.image.platform import Platform

MAX_CONFIG = 4 * 1024 * 1024
"""Bytes; what is read at most."""

# What Docker writes and the image-spec does not know; it describes the container the base was committed from.
_LEGACY = ("container", "container_config")
# Go's nil reaches the JSON as null, which the image-spec allows for some of these keys only.
_NEVER_NULL = ("Env", "ExposedPorts", "User", "WorkingDir")


class ImageConfig(NamedTuple):
    """A checked configuration; what this package needs of it, and the document as it is."""

    raw: bytes
    document: Mapping[str, Any]
    platform: Platform
    diff_ids: tuple[Digest, ...]
    env: Mapping[str, str]
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]
    history_fits: bool
    """Whether there is a history, and it has one entry a layer."""

    @property
    def descriptor(self) -> Descriptor:
        """A descriptor of these very bytes."""
        return Descriptor(media_types.OCI_CONFIG, Digest.of(self.raw), len(self.raw))


class AddedLayer(NamedTuple):
    """What a configuration says of a layer: the digest of its uncompressed tar, and how it came to be."""

    diff_id: Digest
    created_by: str


@dataclass(frozen=True, slots=True)
class ConfigEdit:
    """Changes to a configuration; None keeps what is there, empty removes it, tables are merged."""

    created: str
    layers: tuple[AddedLayer, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    working_dir: str | None = None
    stop_signal: str | None = None


def read_config(raw: bytes, where: str) -> ImageConfig:
    """Read a configuration whose digest has been checked; a `DocumentError` if it is not one."""
    node = parse_json(raw, where)
    # Go's nil again: null for an image without layers.
    diff_ids_node = node.get("rootfs").find("diff_ids")
    diff_ids = tuple(read_digest(item) for item in diff_ids_node.items()) if diff_ids_node else ()
    inner = node.find("config") or Node({}, f"{where} → config")
    lists = {key: _texts(inner, key) for key in ("Env", "Entrypoint", "Cmd")}
    for key in ("ExposedPorts", "Volumes", "Labels"):
        if table := inner.find(key):
            table.table()
    history = node.find("history")
    steps = history.items() if history else []
    return ImageConfig(
        raw=raw,
        document=node.table(),
        platform=Platform.read(node),
        diff_ids=diff_ids,
        env=dict(_split_variable(variable) for variable in lists["Env"]),
        entrypoint=lists["Entrypoint"],
        cmd=lists["Cmd"],
        history_fits=bool(steps or not diff_ids)
        and sum(step.table().get("empty_layer") is not True for step in steps) == len(diff_ids),
    )


def empty_config(platform: Platform) -> ImageConfig:
    """Return the configuration of an image from scratch."""
    document = {**platform.to_json(), "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}
    return read_config(encode_json(document), "the configuration of scratch")


def edit_config(base: ImageConfig, edit: ConfigEdit) -> ImageConfig:
    """Return the base's configuration with `edit` applied; fields that are not known here are kept.

    History gets an entry a layer where the base's has one a layer too; otherwise the result has none, since a
    count that does not match is refused by engines.
    """
    document = {key: value for key, value in copy.deepcopy(dict(base.document)).items() if key not in _LEGACY}
    inner = document.get("config") or {}
    document["config"] = _edit_inner(inner, edit)
    document["created"] = edit.created
    document["rootfs"] = {
        **document["rootfs"],
        "type": "layers",
        "diff_ids": [str(diff_id) for diff_id in (*base.diff_ids, *(layer.diff_id for layer in edit.layers))],
    }
    history = document.pop("history", None) or []
    if base.history_fits:
        added = [{"created": edit.created, "created_by": layer.created_by} for layer in edit.layers]
        document["history"] = [*history, *added]
    return read_config(encode_json(document), "the edited configuration")


def _edit_inner(inner: dict[str, Any], edit: ConfigEdit) -> dict[str, Any]:
    inner = {key: value for key, value in inner.items() if value is not None or key not in _NEVER_NULL}
    inner.pop("Image", None)
    lists = {"Entrypoint": edit.entrypoint, "Cmd": edit.cmd}
    for key, words in lists.items():
        if words:
            inner[key] = list(words)
        elif words is not None:
            inner.pop(key, None)
    texts = {"User": edit.user, "WorkingDir": edit.working_dir, "StopSignal": edit.stop_signal}
    inner |= {key: text for key, text in texts.items() if text is not None}
    tables = {
        "ExposedPorts": {port: {} for port in edit.ports},
        "Volumes": {volume: {} for volume in edit.volumes},
        "Labels": edit.labels,
    }
    for key, table in tables.items():
        if table:
            inner[key] = {**(inner.get(key) or {}), **table}
    if edit.env:
        inner["Env"] = _merge_env(inner.get("Env") or [], edit.env)
    return inner


def _merge_env(base: list[str], added: Mapping[str, str]) -> list[str]:
    """Return `added` over `base`: what is there keeps its place, what is new comes sorted behind."""
    kept = {_split_variable(variable)[0]: variable for variable in base}
    return list((kept | {name: f"{name}={added[name]}" for name in sorted(added)}).values())


def _split_variable(variable: str) -> tuple[str, str]:
    name, _, value = variable.partition("=")
    return name, value


def _texts(node: Node, key: str) -> tuple[str, ...]:
    found = node.find(key)
    return tuple(found.texts()) if found else ()
