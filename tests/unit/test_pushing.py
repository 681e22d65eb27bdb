"""Whole images on their way to a registry: in which order, what is sent, and what is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from demo.base import Layer, digest, image
from demo.registry import Handler, Repository
from hatch_oci.errors import OCIError
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import AMD64, ARM64, layer, small_image
from tests.unit.layouts import both, config_of, image_on, layers_of, push, write_layout
from tests.unit.uploads import Uploads, read_body, refuse, serve_uploads

IMAGE = small_image()
OTHER = small_image("arm", ARM64)
MANIFESTS = "/v2/acme/app/manifests"


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """Write a layout of one small image."""
    return write_layout(tmp_path / "app.oci", [IMAGE])


def test_all_of_an_image_arrives_and_nothing_is_sent_twice(
    registry: Uploads, to: str, layout: Path, store: BlobStore
) -> None:
    pushed = push(layout, to, store)
    there = registry.repositories["acme/app"]
    assert there.blobs == IMAGE.blobs
    assert {tag: one.content for tag, one in there.manifests.items()} == {"1": IMAGE.manifest}
    assert sorted(registry.sizes) == sorted(map(len, IMAGE.blobs.values()))
    assert pushed.uploaded == sum(registry.sizes)
    assert registry.methods("/uploads/").count("POST") == registry.methods("/uploads/").count("PUT") == 3
    assert registry.methods("/manifests/") == ["PUT"]
    assert pushed.references == [f"{to}:1", f"{to}@{digest(IMAGE.manifest)}"]


def test_blobs_come_before_manifests_and_those_before_the_index_and_tags_last(
    registry: Uploads, to: str, tmp_path: Path, store: BlobStore
) -> None:
    images = [IMAGE, OTHER]
    push(write_layout(tmp_path / "app.oci", images, tags=["1", "latest"]), to, store)
    puts = registry.paths("PUT")
    names = [path.rpartition("/")[2] for path in puts[-4:]]
    assert names == [digest(IMAGE.manifest), digest(OTHER.manifest), "1", "latest"]
    assert all("/blobs/uploads/" in path for path in puts[:-4])
    # The server refuses what is incomplete, so it was not at any moment.
    there = registry.repositories["acme/app"]
    assert there.blobs == IMAGE.blobs | OTHER.blobs
    assert there.manifests["1"].content == there.manifests["latest"].content == both(images)


def test_a_blob_that_two_platforms_share_is_sent_once(
    registry: Uploads, to: str, tmp_path: Path, store: BlobStore
) -> None:
    shared = layer({"etc/shared": b"for all"})
    images = [image([shared, layer({"etc/own": b"%d" % n})], {}, on) for n, on in enumerate((AMD64, ARM64))]
    push(write_layout(tmp_path / "app.oci", images), to, store)
    assert len(registry.sizes) == 5
    assert registry.paths("HEAD").count(f"/v2/acme/app/blobs/{digest(shared.blob)}") == 1


def test_each_tag_is_one_put_of_the_manifest(registry: Uploads, to: str, layout: Path, store: BlobStore) -> None:
    push(layout, to, store)
    registry.forget()
    tags = ["1.0", "1", "latest", "1.0"]
    pushed = push(layout, to, store, *tags)
    # Each of them once, in the order in which they were named.
    assert [path.rpartition("/")[2] for path in registry.paths("PUT")] == ["1.0", "1", "latest"]
    assert pushed.tags == ("1.0", "1", "latest")
    assert pushed.uploaded == 0
    assert registry.sizes == []


def test_what_was_pushed_is_not_asked_for_again(registry: Uploads, to: str, layout: Path, store: BlobStore) -> None:
    push(layout, to, store)
    registry.forget()
    push(layout, to, store)
    assert [came.method for came in registry.requests if came.path != "/v2/"] == ["PUT"]


def test_what_the_registry_has_is_not_sent(
    registry: Uploads, to: str, layout: Path, store: BlobStore, tmp_path: Path
) -> None:
    first, second = layers_of(IMAGE)
    registry.repositories["acme/app"] = Repository({first: IMAGE.blobs[first]})
    pushed = push(layout, to, store)
    assert sorted(registry.sizes) == sorted(len(IMAGE.blobs[name]) for name in (second, config_of(IMAGE)))
    registry.forget()
    # Somebody else, or the same one on a fresh machine.
    assert push(layout, to, BlobStore(tmp_path / "fresh")).uploaded == 0
    assert pushed.uploaded > 0
    assert registry.methods("/blobs/") == ["HEAD"] * 3


def test_after_a_change_only_what_changed_is_sent(
    registry: Uploads, to: str, layout: Path, store: BlobStore, tmp_path: Path
) -> None:
    push(layout, to, store)
    registry.forget()
    layers = [Layer(IMAGE.blobs[name], name) for name in layers_of(IMAGE)]
    changed = image([layers[0], layer({"etc/second": b"changed"})], {}, AMD64)
    push(write_layout(tmp_path / "changed.oci", [changed]), to, store)
    assert sorted(registry.sizes) == sorted(
        len(blob) for name, blob in changed.blobs.items() if name != layers_of(IMAGE)[0]
    )
    requests = [came for came in registry.requests if came.path != "/v2/"]
    assert len(requests) == 7


def test_layers_of_the_base_are_mounted_from_its_repository(
    registry: Uploads, tmp_path: Path, store: BlobStore
) -> None:
    base = f"{registry.address}/library/python:3.13-slim"
    built = image_on(base)
    layers = layers_of(built)
    registry.repositories["library/python"] = Repository({name: built.blobs[name] for name in layers})
    pushed = push(write_layout(tmp_path / "app.oci", [built]), f"{registry.address}/acme/app", store)
    assert registry.repositories["acme/app"].blobs == built.blobs
    assert registry.sizes == [len(built.blobs[config_of(built)])]
    assert pushed.uploaded == registry.sizes[0]


def test_nothing_is_mounted_from_a_base_in_another_registry(
    registry: Uploads, tmp_path: Path, store: BlobStore
) -> None:
    built = image_on("docker.io/library/python:3.13-slim")
    push(write_layout(tmp_path / "app.oci", [built]), f"{registry.address}/acme/app", store)
    assert not [came for came in registry.requests if "mount=" in came.path]


@pytest.mark.parametrize("name", ["Debian GNU/Linux 12", "", "https://example.com/base", "a" * 300])
def test_a_base_that_is_no_reference_bars_nothing(
    name: str, registry: Uploads, to: str, tmp_path: Path, store: BlobStore
) -> None:
    """It is a label, and anybody may have written it."""
    push(write_layout(tmp_path / "app.oci", [image_on(name)]), to, store)
    assert "1" in registry.repositories["acme/app"].manifests


def test_what_was_pushed_to_one_repository_is_mounted_into_another(
    registry: Uploads, to: str, layout: Path, store: BlobStore
) -> None:
    push(layout, to, store)
    registry.forget()
    pushed = push(layout, f"{registry.address}/acme/copy", store)
    assert registry.repositories["acme/copy"].blobs == IMAGE.blobs
    assert registry.sizes == []
    assert pushed.uploaded == 0
    assert [came.method for came in registry.requests if came.path != "/v2/"] == ["POST", "POST", "POST", "PUT"]


def test_nothing_is_mounted_from_what_was_pushed_to_another_registry(to: str, layout: Path, store: BlobStore) -> None:
    push(layout, to, store)
    with serve_uploads() as other:
        push(layout, f"{other.address}/acme/copy", store)
        assert other.repositories["acme/copy"].blobs == IMAGE.blobs
        assert not [came for came in other.requests if "mount=" in came.path]


def test_a_mount_from_a_repository_that_is_gone_is_an_upload(
    registry: Uploads, to: str, layout: Path, store: BlobStore
) -> None:
    push(layout, to, store)
    del registry.repositories["acme/app"]
    registry.forget()
    pushed = push(layout, f"{registry.address}/acme/copy", store)
    assert registry.repositories["acme/copy"].blobs == IMAGE.blobs
    assert registry.methods("/uploads/").count("POST") == 3
    assert pushed.uploaded == sum(map(len, IMAGE.blobs.values()))


@pytest.mark.parametrize("status", [400, 404])
def test_a_registry_that_was_emptied_gets_all_of_it_again(
    status: int, registry: Uploads, to: str, layout: Path, store: BlobStore
) -> None:
    registry.missing_status = status
    push(layout, to, store)
    registry.repositories.clear()
    registry.forget()
    pushed = push(layout, to, store)
    assert registry.repositories["acme/app"].blobs == IMAGE.blobs
    assert registry.repositories["acme/app"].manifests["1"].content == IMAGE.manifest
    assert pushed.uploaded == sum(registry.sizes) == sum(map(len, IMAGE.blobs.values()))
    # And it is remembered again.
    registry.forget()
    push(layout, to, store)
    assert registry.methods("/blobs/") == []


def test_an_index_goes_to_a_registry_that_was_emptied_too(
    registry: Uploads, to: str, tmp_path: Path, store: BlobStore
) -> None:
    layout = write_layout(tmp_path / "app.oci", [IMAGE, OTHER])
    push(layout, to, store)
    registry.repositories.clear()
    push(layout, to, store)
    assert registry.repositories["acme/app"].manifests["1"].content == both([IMAGE, OTHER])


def test_a_registry_that_lacks_what_it_took_is_an_error(
    registry: Uploads, to: str, layout: Path, store: BlobStore
) -> None:
    body = b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}'
    registry.answers["PUT", f"{MANIFESTS}/1"] = refuse(404, times=9, body=body)
    with pytest.raises(OCIError, match="blob unknown to registry"):
        push(layout, to, store)
    assert registry.methods("/manifests/") == ["PUT", "PUT"]


def test_a_push_that_failed_goes_on_where_it_ended(registry: Uploads, to: str, layout: Path, store: BlobStore) -> None:
    registry.answers["PUT", f"{MANIFESTS}/1"] = refuse(403)
    with pytest.raises(OCIError):
        push(layout, to, store)
    assert registry.repositories["acme/app"].manifests == {}
    registry.forget()
    push(layout, to, store)
    assert registry.sizes == []


def test_no_tag_is_put_when_a_blob_fails(registry: Uploads, to: str, layout: Path, store: BlobStore) -> None:
    name = layers_of(IMAGE)[0]

    def answer(request: Handler) -> None:
        if name.removeprefix("sha256:") in request.path:
            read_body(request)
            request.reply(413, b'{"errors":[{"code":"SIZE_INVALID","message":"too large for this registry"}]}')
        else:
            request.answer()

    registry.answers["PUT", "*"] = answer
    with pytest.raises(OCIError, match=f"HTTP 413 from {registry.address} about blob {name}.*too large"):
        push(layout, to, store)
    assert registry.methods("/manifests/") == []


def test_layers_that_may_not_be_passed_on_are_not_sent(
    registry: Uploads, to: str, tmp_path: Path, store: BlobStore
) -> None:
    document = json.loads(IMAGE.manifest)
    kind = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    document["layers"][0] |= {"mediaType": kind, "urls": ["https://example.com/layer"]}
    foreign = document["layers"][0]["digest"]
    built = replace(IMAGE, manifest=json.dumps(document).encode())
    push(write_layout(tmp_path / "app.oci", [built]), to, store)
    assert foreign not in registry.repositories["acme/app"].blobs
    assert registry.repositories["acme/app"].manifests["1"].content == built.manifest


def test_what_is_sent_is_told_before(registry: Uploads, to: str, layout: Path, store: BlobStore) -> None:
    told: list[str] = []
    push(layout, to, store, reporter=Reporter(told.append, told.append))
    assert len(told) == 1
    assert told[0].startswith(f"Pushing 3 blobs to {registry.address}: ")
