"""Docker archives as bases: what is made of a list, a config and layers that have no manifest."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from demo.base import Layer, digest, image
from hatch_oci.image import media_types
from hatch_oci.store.blobs import BlobStore
from tests.unit.archives import docker_archive, fetched_layers, refusal, saved
from tests.unit.bases import AMD64, layer, resolve_with, small_image
from tests.unit.facts import write_fact
from tests.unit.filesystems import PACKERS, file, link, tar_of
from tests.unit.layouts import write_tagged


def test_a_docker_archive_gets_a_manifest_of_what_is_in_it(tmp_path: Path, store: BlobStore) -> None:
    small = small_image()
    docker_archive(tmp_path, saved(small, ["app:1"]))
    base = resolve_with("docker-archive:base.tar", store, tmp_path)
    own = json.loads(small.manifest)
    assert [one.to_json() for one in base.layers] == own["layers"]
    assert str(base.config.descriptor.digest) == own["config"]["digest"]
    assert base.image_name is None
    assert fetched_layers(base, store) == [small.blobs[one["digest"]] for one in own["layers"]]


def test_a_docker_archive_may_lie_under_a_name_that_is_not_utf_8(tmp_path: Path, store: BlobStore) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    small = small_image()
    docker_archive(folder, saved(small, ["app:1"]))
    base = resolve_with("docker-archive:base.tar", store, folder)
    assert [one.to_json() for one in base.layers] == json.loads(small.manifest)["layers"]


@pytest.mark.parametrize(
    ("packer", "media_type"),
    [
        ("plain", media_types.OCI_LAYER),
        ("gzip", media_types.OCI_LAYER_GZIP),
        ("zstd", media_types.OCI_LAYER_ZSTD),
    ],
)
def test_a_layers_type_is_what_its_bytes_are(packer: str, media_type: str, tmp_path: Path, store: BlobStore) -> None:
    data = tar_of([file("a", b"content")])
    packed = PACKERS[packer](data)
    one = image([Layer(packed, digest(data))], {}, AMD64)
    docker_archive(tmp_path, saved(one, None))
    base = resolve_with("docker-archive:base.tar", store, tmp_path)
    assert [(str(one.digest), one.size, one.media_type) for one in base.layers] == [
        (digest(packed), len(packed), media_type)
    ]
    assert fetched_layers(base, store) == [packed]


def test_a_layer_may_be_a_link_to_another(tmp_path: Path, store: BlobStore) -> None:
    # `docker save` and skopeo did that for layers that come twice, and for the names of old versions.
    twice = layer({"a": b"content"})
    entry, (config, first, _) = saved(image([twice, twice], {}, AMD64), ["app:1"])
    docker_archive(tmp_path, (entry, [config, first, link("1/layer.tar", "../0/layer.tar")]))
    base = resolve_with("docker-archive:base.tar", store, tmp_path)
    assert fetched_layers(base, store) == [twice.blob, twice.blob]


def test_a_docker_archive_that_is_a_layout_too_keeps_the_images_own_manifest(tmp_path: Path, store: BlobStore) -> None:
    one, other = small_image("one"), small_image("other")
    made = write_tagged(tmp_path / "layout", (other.manifest, "other"), (one.manifest, "one"), images=(one, other))
    files = {str(path.relative_to(made)): path.read_bytes() for path in made.rglob("*") if path.is_file()}
    manifest = json.loads(one.manifest)
    config, *layers = (
        f"blobs/{blob['digest'].replace(':', '/')}" for blob in (manifest["config"], *manifest["layers"])
    )
    entry: dict[str, Any] = {"Config": config, "RepoTags": ["app:1"], "Layers": layers}
    docker_archive(tmp_path, (entry, [file(name, data) for name, data in files.items()]))
    base = resolve_with("docker-archive:base.tar", store, tmp_path)
    assert str(base.digest) == digest(one.manifest)
    assert fetched_layers(base, store) == [one.blobs[blob["digest"]] for blob in manifest["layers"]]
    # Without one of the manifest's own blobs it is of no use.
    first = files.pop(layers[0])
    entry["Layers"] = ["first.tar", *layers[1:]]
    members = [file(name, data) for name, data in files.items()]
    docker_archive(tmp_path, (entry, [*members, file("first.tar", first)]))
    assert str(resolve_with("docker-archive:base.tar", store, tmp_path).digest) != digest(one.manifest)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("app:1", "one"),
        ("docker.io/library/app:1", "one"),
        ("localhost/app:2", "two"),
        ("r.example:5000/app:1", "two"),
        ("not a Name", "two"),
    ],
)
def test_a_name_chooses_among_the_images_of_a_docker_archive(
    reference: str, expected: str, tmp_path: Path, store: BlobStore
) -> None:
    images = {"one": small_image("one"), "two": small_image("two")}
    docker_archive(
        tmp_path,
        saved(images["one"], ["app:1"], "one-"),
        saved(images["two"], ["localhost/app:2", "r.example:5000/app:1", "not a Name"], "two-"),
    )
    base = resolve_with(f"docker-archive:base.tar:{reference}", store, tmp_path)
    assert str(base.config.descriptor.digest) == json.loads(images[expected].manifest)["config"]["digest"]


def test_what_a_docker_archive_lacks_is_said(tmp_path: Path, store: BlobStore) -> None:
    docker_archive(tmp_path, saved(small_image("one"), ["app:1", "app:\x1b"], "one-"), saved(small_image("two"), None))
    advice = "it has: (no name), app:1, app:?. Name one, as in docker-archive:PATH:REFERENCE"
    assert refusal("docker-archive:base.tar", tmp_path, store) == (
        f"docker-archive:base.tar holds several images; {advice}"
    )
    assert refusal("docker-archive:base.tar:app:2", tmp_path, store) == (
        f"docker-archive:base.tar:app:2 has no image 'app:2'; {advice}"
    )


def test_an_archive_whose_very_name_ends_like_a_tag_wins(tmp_path: Path, store: BlobStore) -> None:
    small = small_image()
    docker_archive(tmp_path, saved(small, ["app:1"])).rename(tmp_path / "base:app:1")
    for text in ("base:app:1", "base:app:1:app:1", str(tmp_path / "base:app:1")):
        assert len(resolve_with(f"docker-archive:{text}", store, tmp_path).layers) == 2


def test_layers_are_hashed_once_and_again_when_the_archive_changes(tmp_path: Path, store: BlobStore) -> None:
    facts = store.folder / "facts" / "archives"
    docker_archive(tmp_path, saved(small_image("etc/one"), None))
    first = resolve_with("docker-archive:base.tar", store, tmp_path)
    known = {path: path.stat().st_ino for path in facts.iterdir()}
    assert len(known) == 2
    assert resolve_with("docker-archive:base.tar", store, tmp_path).layers == first.layers
    # What is written again is another file.
    assert {path: path.stat().st_ino for path in facts.iterdir()} == known
    docker_archive(tmp_path, saved(small_image("etc/two"), None))
    assert resolve_with("docker-archive:base.tar", store, tmp_path).layers != first.layers
    for path in facts.iterdir():
        write_fact(path, b'"nonsense"')
    assert resolve_with("docker-archive:base.tar", store, tmp_path).layers != first.layers
