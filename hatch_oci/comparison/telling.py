"""What differs between two images, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hatch_oci.comparison.changes import Change, Changes, FileChange, ImageChanges, LayerChange
from hatch_oci.comparison.subject import LayerFacts
from hatch_oci.image.document import printable
from hatch_oci.report import format_size

_LONGEST = 1000
_SHORT = 200


def to_text(changes: Changes) -> str:
    """Return all of it for people, in lines: `-` is gone, `+` has come, `~` is another."""
    if changes.same:
        return f"same {changes.digests[0]}"
    lines = [f"- {changes.old} {changes.digests[0]}", f"+ {changes.new} {changes.digests[1]}"]
    lines += [f"- {platform}" for platform in changes.removed_platforms]
    lines += [f"+ {platform}" for platform in changes.added_platforms]
    lines += _section("index", list(map(change_line, changes.index)))
    for image in changes.images:
        if below := list(_image_lines(image)):
            lines += [str(image.platform), *(f"  {line}" for line in below)]
    if len(lines) == 2:
        lines.append("nothing but how their JSON is written, or the order of layers")
    return "\n".join(printable(line, _LONGEST) for line in lines)


def change_line(change: Change) -> str:
    """Return what became of a value."""
    if change.old is None:
        return f"+ {change.name}: {_short(change.new or '')}"
    if change.new is None:
        return f"- {change.name}: {_short(change.old)}"
    return f"~ {change.name}: {_short(change.old)} → {_short(change.new)}"


def attribute_text(change: Change) -> str:
    """Return what became of a file's attribute; of its content, only that it is another."""
    return change.name if change.name == "content" else f"{change.name} {change.old or 'none'} → {change.new or 'none'}"


def to_json(changes: Changes) -> dict[str, Any]:
    """Return all of it as JSON."""
    return {
        "same": changes.same,
        "old": {"reference": changes.old, "digest": str(changes.digests[0])},
        "new": {"reference": changes.new, "digest": str(changes.digests[1])},
        "index": _changes_json(changes.index),
        "removed-platforms": list(map(str, changes.removed_platforms)),
        "added-platforms": list(map(str, changes.added_platforms)),
        "platforms": {str(image.platform): _image_json(image) for image in changes.images},
    }


def _image_lines(image: ImageChanges) -> Iterator[str]:
    yield from _section("manifest", list(map(change_line, image.manifest)))
    yield from _section("configuration", list(map(change_line, image.configuration)))
    yield from _section(f"layers, {image.shared_layers} are in both", list(map(_layer_line, image.layers)))
    yield from _section("packages", list(map(change_line, image.packages)))
    counts = (
        f"{sum(file.state == state for file in image.files)} {state}" for state in ("removed", "added", "changed")
    )
    yield from _section(f"files, {', '.join(counts)}", list(map(_file_line, image.files)))


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [title, *(f"  {line}" for line in lines)] if lines else []


def _layer_line(change: LayerChange) -> str:
    if change.old and change.new:
        return f"~ {_layer_text(change.old)} → {_layer_text(change.new)}, with the same content"
    return f"- {_layer_text(change.old)}" if change.old else f"+ {_layer_text(change.new)}"


def _layer_text(layer: LayerFacts | None) -> str:
    if layer is None:
        return ""
    holds = f" {_short(layer.holds)}" if layer.holds else ""
    return f"{layer.descriptor.digest} {format_size(layer.descriptor.size)}{holds}"


def _file_line(file: FileChange) -> str:
    if file.state == "changed":
        return f"~ {file.path}: {', '.join(map(attribute_text, file.attributes))}"
    return f"{'+' if file.state == 'added' else '-'} {file.path}"


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


def _image_json(image: ImageChanges) -> dict[str, Any]:
    return {
        "manifest": _changes_json(image.manifest),
        "configuration": _changes_json(image.configuration),
        "layers": [{"old": _layer_json(one.old), "new": _layer_json(one.new)} for one in image.layers],
        "packages": _changes_json(image.packages),
        "files": {
            file.path: {"state": file.state, "attributes": _changes_json(file.attributes)} for file in image.files
        },
    }


def _changes_json(changes: Sequence[Change]) -> dict[str, Any]:
    return {change.name: {"old": change.old, "new": change.new} for change in changes}


def _layer_json(layer: LayerFacts | None) -> dict[str, Any] | None:
    if layer is None:
        return None
    descriptor = layer.descriptor
    return {
        "digest": str(descriptor.digest),
        "diff-id": str(layer.diff_id),
        "size": descriptor.size,
        "media-type": descriptor.media_type,
        "holds": layer.holds,
    }
