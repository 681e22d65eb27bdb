from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from demo.base import Image, digest
from hatch_oci.base.resolve import Base, fetch_layers
from hatch_oci.errors import BaseError, ContentError, InvalidReference
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import ARM64, index_of, resolve_with, small_image
from tests.unit.layouts import blob_path, write_tagged


def test_the_only_image_of_a_layout_needs_no_tag(tmp_path: Path, store: BlobStore) -> None:
    small = small_image()
    write_tagged(tmp_path / "base", (small.manifest, None), images=(small,))
    base = resolve_with("oci:base", store, tmp_path)
    blobs = fetch_layers(base, store, Reporter(info=lambda _line: None, warn=lambda _line: None))
    assert [str(blob.digest) for blob in blobs] == [layer["digest"] for layer in json.loads(small.manifest)["layers"]]


def test_the_place_of_a_layout_stays_out_of_the_image(tmp_path: Path, store: BlobStore) -> None:
    small = small_image()
    write_tagged(tmp_path / "base", (small.manifest, "a"), images=(small,))
    base = resolve_with(f"oci:{tmp_path / 'base'}:a", store, tmp_path)
    assert base.image_name is None
    assert str(base.digest) == digest(small.manifest)


def test_a_tag_chooses_among_images(tmp_path: Path, store: BlobStore) -> None:
    one, two = small_image("one"), small_image("two")
    write_tagged(tmp_path / "base", (one.manifest, "one"), (two.manifest, "two"), images=(one, two))
    assert str(resolve_with("oci:base:two", store, tmp_path).digest) == digest(two.manifest)


def test_one_image_under_several_tags_is_one_image(tmp_path: Path, store: BlobStore) -> None:
    one = small_image()
    write_tagged(tmp_path / "base", (one.manifest, "1"), (one.manifest, "latest"), images=(one,))
    assert str(resolve_with("oci:base", store, tmp_path).digest) == digest(one.manifest)


def test_an_index_in_a_layout_gives_the_platforms_image(tmp_path: Path, store: BlobStore) -> None:
    amd, arm = small_image("amd"), small_image("arm", ARM64)
    both = index_of([(amd.manifest, {}), (arm.manifest, {})])
    write_tagged(tmp_path / "base", (both, "both"), images=(amd, arm))
    base = resolve_with("oci:base:both", store, tmp_path, "linux/arm64")
    assert str(base.digest) == digest(arm.manifest)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("oci:base", "oci:base holds several images; it has: one, two. Name one, as in oci:PATH:TAG"),
        ("oci:base:three", "oci:base:three has no image 'three'; it has: one, two. Name one"),
        ("oci:nothing", "oci:nothing is not an OCI image layout: "),
    ],
)
def test_what_a_layout_lacks_is_said(text: str, message: str, tmp_path: Path, store: BlobStore) -> None:
    one, two = small_image("one"), small_image("two")
    write_tagged(tmp_path / "base", (one.manifest, "one"), (two.manifest, "two"), images=(one, two))
    with pytest.raises(BaseError) as caught:
        resolve_with(text, store, tmp_path)
    assert str(caught.value).startswith(message)


def test_oci_without_a_path_is_refused(tmp_path: Path, store: BlobStore) -> None:
    with pytest.raises(InvalidReference, match="lacks a path"):
        resolve_with("oci:", store, tmp_path)


def test_a_folder_whose_name_looks_like_a_tag_wins(tmp_path: Path, store: BlobStore) -> None:
    one = small_image()
    write_tagged(tmp_path / "base:one", (one.manifest, "x"), images=(one,))
    assert str(resolve_with("oci:base:one", store, tmp_path).digest) == digest(one.manifest)


@pytest.fixture
def damaged(tmp_path: Path) -> tuple[Path, Image]:
    small = small_image()
    return write_tagged(tmp_path / "base", (small.manifest, None), images=(small,)), small


def test_a_manifest_with_other_bytes_is_refused(damaged: tuple[Path, Image], tmp_path: Path, store: BlobStore) -> None:
    folder, small = damaged
    blob_path(folder, digest(small.manifest)).write_bytes(small.manifest.replace(b"2", b"3", 1))
    with pytest.raises(ContentError, match="sent something else"):
        resolve_with("oci:base", store, tmp_path)


@pytest.mark.parametrize("change", [b"", b"more", None])
def test_a_layer_that_is_short_long_or_missing_is_refused(
    change: bytes | None, damaged: tuple[Path, Image], tmp_path: Path, store: BlobStore
) -> None:
    folder, _ = damaged
    base: Base = resolve_with("oci:base", store, tmp_path)
    path = blob_path(folder, str(base.layers[0].digest))
    if change is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + change if change else b"")
    with pytest.raises((ContentError, BaseError), match=r"goes on after|ended after|cannot read"):
        fetch_layers(base, store, Reporter(info=lambda _line: None, warn=lambda _line: None))


def test_a_cached_layer_needs_no_layout(damaged: tuple[Path, Image], tmp_path: Path, store: BlobStore) -> None:
    folder, _ = damaged
    silent = Reporter(info=lambda _line: None, warn=lambda _line: None)
    base = resolve_with("oci:base", store, tmp_path)
    fetch_layers(base, store, silent)
    shutil.rmtree(folder)
    assert len(fetch_layers(base, store, silent)) == 2
