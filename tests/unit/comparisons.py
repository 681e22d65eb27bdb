"""Images that differ, and what is told of that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from demo.base import Image, Layer, digest, image
from tests.unit.bases import AMD64
from tests.unit.filesystems import PACKERS, Member, file, folder, tar_of

Diff = Callable[[Image, Image], dict[str, Any]]

LOWER = [folder("d"), file("d/a", b"a"), file("d/b", b"b"), file("c", b"c")]


def image_of(*layers: Sequence[Member], pack: str = "gzip", on: dict[str, str] = AMD64, **settings: Any) -> Image:
    """Return an image of layers with these members."""
    packed = [(PACKERS[pack](tar_of(members)), tar_of(members)) for members in layers]
    made = [Layer(blob, digest(tar), f"hatch-oci-image: layer {n}") for n, (blob, tar) in enumerate(packed)]
    return image(made, settings, on)


def files_of(found: dict[str, Any]) -> dict[str, str]:
    """Return the files that differ: their state, or which attributes are others."""
    files = found["platforms"]["linux/amd64"]["files"]
    return {
        path: ",".join(change["attributes"]) if change["state"] == "changed" else change["state"]
        for path, change in files.items()
    }


def section_of(found: dict[str, Any], section: str) -> dict[str, Any]:
    """Return a section about the only platform: the old and the new value of each name."""
    return {name: (one["old"], one["new"]) for name, one in found["platforms"]["linux/amd64"][section].items()}
