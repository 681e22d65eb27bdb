"""An OCI image layout as it lies on disk, read without the code that wrote it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from .registries import digest_of


class Image(NamedTuple):
    """The descriptor, manifest and config of an image in a layout."""

    descriptor: dict[str, Any]
    manifest: dict[str, Any]
    config: dict[str, Any]

    @property
    def layer_digests(self) -> list[str]:
        """Answer the digests of the layers, lowest first."""
        return [layer["digest"] for layer in self.manifest["layers"]]

    @property
    def environment(self) -> dict[str, str]:
        """Answer the environment variables that a container starts with."""
        return dict(entry.split("=", 1) for entry in self.config["config"]["Env"])

    @property
    def media_types(self) -> set[str]:
        """Answer every media type in the layout."""
        parts = [self.descriptor, self.manifest, self.manifest["config"], *self.manifest["layers"]]
        return {part["mediaType"] for part in parts}


OCI_TYPES = {
    f"application/vnd.oci.image.{kind}" for kind in ("manifest.v1+json", "config.v1+json", "layer.v1.tar+gzip")
}


def read_image(layout: Path) -> Image:
    """Read a layout that holds one image, and see that its small blobs are what they are called."""
    return _read_child(layout, read_top(layout))


def read_images(layout: Path) -> dict[str, Image]:
    """Read a layout that holds an index; answer its images by their platforms."""
    index = read_blob(layout, read_top(layout))
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    images = {}
    for descriptor in index["manifests"]:
        platform = descriptor["platform"]
        image = images[f"{platform['os']}/{platform['architecture']}"] = _read_child(layout, descriptor)
        assert {key: image.config.get(key) for key in platform} == platform
    assert len(images) == len(index["manifests"])
    return images


def read_top(layout: Path) -> dict[str, Any]:
    """Read the descriptor of what a layout holds."""
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    [descriptor] = json.loads((layout / "index.json").read_text())["manifests"]
    assert isinstance(descriptor, dict)
    return descriptor


def blob_path(layout: Path, digest: str) -> Path:
    """Answer where a layout has a blob."""
    return layout / "blobs" / digest.replace(":", "/")


def _read_child(layout: Path, descriptor: dict[str, Any]) -> Image:
    manifest = read_blob(layout, descriptor)
    return Image(descriptor, manifest, read_blob(layout, manifest["config"]))


def read_blob(layout: Path, descriptor: dict[str, Any]) -> dict[str, Any]:
    """Read a JSON blob, comparing it with its descriptor."""
    content = blob_path(layout, descriptor["digest"]).read_bytes()
    assert (digest_of(content), len(content)) == (descriptor["digest"], descriptor["size"])
    document: dict[str, Any] = json.loads(content)
    return document
