"""Archives to build on, as tools pack them, and what is read of them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from demo.base import Image
from hatch_oci.base.resolve import Base, fetch_layers
from hatch_oci.errors import OCIError
from hatch_oci.report import QUIET
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import resolve_with
from tests.unit.filesystems import Member, file, tar_of
from tests.unit.layouts import write_tagged


def oci_archive(folder: Path, *entries: tuple[bytes, str | None], images: tuple[Image, ...]) -> Path:
    """Pack a layout with these manifests and tags as `tar -C LAYOUT -c .` does."""
    made = write_tagged(folder / "layout of archive", *entries, images=images)
    path = folder / "base.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(made, ".")
    return path


def saved(one: Image, names: list[str] | None, prefix: str = "") -> tuple[dict[str, Any], list[Member]]:
    """Return what a Docker archive says of an image, and the members with its config and layers."""
    manifest = json.loads(one.manifest)
    config, *layers = (blob["digest"] for blob in (manifest["config"], *manifest["layers"]))
    paths = [f"{prefix}{number}/layer.tar" for number in range(len(layers))]
    members = [file(f"{prefix}config.json", one.blobs[config])]
    members += [file(path, one.blobs[blob]) for path, blob in zip(paths, layers, strict=True)]
    return {"Config": f"{prefix}config.json", "RepoTags": names, "Layers": paths}, members


def docker_archive(folder: Path, *images: tuple[dict[str, Any], list[Member]]) -> Path:
    """Pack what `saved` made, with the list at the end, as Docker does."""
    path = folder / "base.tar"
    members = [member for _, found in images for member in found]
    listed = file("manifest.json", json.dumps([entry for entry, _ in images]).encode())
    path.write_bytes(tar_of([*members, listed]))
    return path


def fetched_layers(base: Base, store: BlobStore) -> list[bytes]:
    return [blob.path.read_bytes() for blob in fetch_layers(base, store, QUIET)]


def refusal(text: str, folder: Path, store: BlobStore) -> str:
    """Return the one line that a base ends with, at whatever step."""
    with pytest.raises(OCIError) as caught:
        fetch_layers(resolve_with(text, store, folder), store, QUIET)
    assert "\n" not in str(caught.value)
    return str(caught.value)
