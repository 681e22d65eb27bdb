"""What differs between two images, as data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hatch_oci.comparison.subject import LayerFacts
from hatch_oci.image.digest import Digest
from hatch_oci.image.platform import Platform


@dataclass(frozen=True, slots=True)
class Change:
    """A value that one side has otherwise than the other; None where it has none."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that was `added` or `removed`, or whose attributes are others."""

    path: str
    state: str
    attributes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerChange:
    """A layer that only one side has, or one with the same content that is compressed otherwise."""

    old: LayerFacts | None
    new: LayerFacts | None


@dataclass(frozen=True, slots=True)
class ImageChanges:
    """What differs for one platform."""

    platform: Platform
    manifest: tuple[Change, ...]
    configuration: tuple[Change, ...]
    layers: tuple[LayerChange, ...]
    shared_layers: int
    packages: tuple[Change, ...]
    files: tuple[FileChange, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two images; platforms that one of them lacks count as a whole."""

    old: str
    new: str
    digests: tuple[Digest, Digest]
    index: tuple[Change, ...]
    removed_platforms: tuple[Platform, ...]
    added_platforms: tuple[Platform, ...]
    images: tuple[ImageChanges, ...]

    @property
    def same(self) -> bool:
        """Whether it is one image."""
        return self.digests[0] == self.digests[1]


def changes_of(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Change, ...]:
    """Return the values that differ, by their names."""
    names = sorted(old.keys() | new.keys())
    return tuple(Change(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name))


def flatten(value: Any, where: str = "") -> dict[str, str]:
    """Return what stands in a JSON document, by its place: `config.Env.PATH`, `history[2].created_by`."""
    return dict(_leaves(value, where))


def _leaves(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if where.endswith("config.Env") and isinstance(value, list):
        # An order that nobody sees, and one variable at a time.
        value = dict(str(variable).partition("=")[::2] for variable in value)
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{where}.{key}" if where else key)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{where}[{number}]")
    else:
        yield where, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
