"""Pushes of layouts that lack something, or whose files are not what they are called, and of sparse ones."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from demo.base import Image, image
from demo.registry import Handler, Repository
from hatch_oci.errors import OCIError
from hatch_oci.registry.options import RegistryOptions
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import AMD64, layer, small_image
from tests.unit.layouts import BASE_NAME, blob_path, image_on, layers_of, push, write_layout
from tests.unit.uploads import BRIEF, Uploads, read_body, refuse, serve_uploads

IMAGE = small_image()
LAYER = layers_of(IMAGE)[0]


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return write_layout(tmp_path / "app.oci", [IMAGE])


def test_a_missing_blob_is_named_with_its_layout(registry: Uploads, to: str, layout: Path, store: BlobStore) -> None:
    blob_path(layout, LAYER).unlink()
    with pytest.raises(OCIError) as caught:
        push(layout, to, store)
    assert str(layout) in str(caught.value)
    assert LAYER in str(caught.value)
    assert registry.methods("/manifests/") == []


def test_a_missing_blob_does_not_matter_where_the_registry_has_it(
    registry: Uploads, to: str, layout: Path, store: BlobStore
) -> None:
    registry.repositories["acme/app"] = Repository({LAYER: IMAGE.blobs[LAYER]})
    blob_path(layout, LAYER).unlink()
    push(layout, to, store)
    assert "1" in registry.repositories["acme/app"].manifests


@pytest.mark.parametrize("damage", ["a byte is another", "shorter", "longer", "empty"])
def test_a_damaged_layer_is_named_and_tried_once(
    damage: str, registry: Uploads, to: str, layout: Path, store: BlobStore
) -> None:
    blob = IMAGE.blobs[LAYER]
    damaged = {"a byte is another": b"x" + blob[1:], "shorter": blob[:-1], "longer": blob + b"x", "empty": b""}
    blob_path(layout, LAYER).write_bytes(damaged[damage])
    told: list[str] = []
    with pytest.raises(OCIError) as caught:
        push(layout, to, store, reporter=Reporter(told.append, told.append))
    assert LAYER in str(caught.value) or LAYER.removeprefix("sha256:") in str(caught.value)
    assert "cannot be asked like this" not in str(caught.value)
    # No other try makes the file whole.
    assert not [line for line in told if "trying again" in line]
    assert LAYER not in registry.repositories["acme/app"].blobs
    assert registry.methods("/manifests/") == []


@pytest.mark.parametrize("kind", ["manifest", "config"])
def test_a_damaged_document_is_an_error_before_anything_is_sent(
    kind: str, registry: Uploads, to: str, layout: Path, store: BlobStore
) -> None:
    (path,) = (
        path
        for path in layout.rglob("blobs/sha256/*")
        if (b'"rootfs"' if kind == "config" else b'"layers":[') in path.read_bytes()
    )
    path.write_bytes(path.read_bytes().replace(b":", b": ", 1))
    with pytest.raises(OCIError, match=f"^{path} is not what its digest says: build the image anew$"):
        push(layout, to, store)
    assert registry.requests == []


def sparse(registry: Uploads, layout: Path) -> Image:
    """Write a layout without its first layer, which is the base's, and serve that in the base's repository."""
    built = image_on(f"{registry.address}/library/base:1")
    write_layout(layout, [built])
    name = layers_of(built)[0]
    registry.repositories["library/base"] = Repository({name: built.blobs[name]})
    blob_path(layout, name).unlink()
    return built


def test_the_base_of_a_sparse_layout_is_mounted_and_none_of_it_moves(
    registry: Uploads, to: str, tmp_path: Path, store: BlobStore
) -> None:
    built = sparse(registry, tmp_path / "app.oci")
    push(tmp_path / "app.oci", to, store)
    name = layers_of(built)[0]
    assert registry.repositories["acme/app"].blobs == built.blobs
    assert len(built.blobs[name]) not in registry.sizes
    assert not [path for path in registry.paths("GET") if name in path]


def test_the_base_of_a_sparse_layout_comes_down_where_it_cannot_be_mounted(
    registry: Uploads, to: str, tmp_path: Path, store: BlobStore
) -> None:
    built = sparse(registry, tmp_path / "app.oci")
    registry.mounts = False
    push(tmp_path / "app.oci", to, store)
    name = layers_of(built)[0]
    assert registry.repositories["acme/app"].blobs == built.blobs
    assert registry.paths("GET").count(f"/v2/library/base/blobs/{name}") == 1


def test_the_base_of_a_sparse_layout_comes_from_another_registry(to: str, tmp_path: Path, store: BlobStore) -> None:
    with serve_uploads() as other:
        built = sparse(other, tmp_path / "app.oci")
        push(tmp_path / "app.oci", to, store)
        assert other.paths("GET").count(f"/v2/library/base/blobs/{layers_of(built)[0]}") == 1


def test_a_base_that_does_not_come_is_tried_as_often_as_any_download(
    registry: Uploads, to: str, tmp_path: Path, store: BlobStore
) -> None:
    with serve_uploads() as other:
        built = sparse(other, tmp_path / "app.oci")
        path = f"/v2/library/base/blobs/{layers_of(built)[0]}"
        other.answers["GET", path] = refuse(503, times=99)
        with pytest.raises(OCIError, match=f"^HTTP 503 from {other.address} about blob "):
            push(tmp_path / "app.oci", to, store)
        assert other.paths("GET").count(path) == BRIEF.tries
    assert registry.methods("/manifests/") == []


def test_the_base_of_a_sparse_layout_comes_out_of_the_cache(
    registry: Uploads, to: str, tmp_path: Path, store: BlobStore
) -> None:
    built = sparse(registry, tmp_path / "app.oci")
    registry.repositories.clear()
    store.add(built.blobs[layers_of(built)[0]])
    push(tmp_path / "app.oci", to, store)
    assert registry.repositories["acme/app"].blobs == built.blobs


def test_a_base_that_comes_slowly_is_no_upload_that_stalls(to: str, tmp_path: Path, store: BlobStore) -> None:
    """It takes longer to come than an upload may take, but goes on all the time."""
    with serve_uploads() as other:
        size = 256 * 1024
        noise = layer({"noise": random.Random(1).randbytes(size)})
        built = image([noise], {"Labels": {BASE_NAME: f"{other.address}/library/base:1"}}, AMD64)
        write_layout(tmp_path / "app.oci", [built])
        (name,) = layers_of(built)
        blob_path(tmp_path / "app.oci", name).unlink()

        def drip(request: Handler) -> None:
            request.send_response(200)
            request.send_header("Content-Length", str(len(noise.blob)))
            request.end_headers()
            for start in range(0, len(noise.blob), 32 * 1024):
                request.wfile.write(noise.blob[start : start + 32 * 1024])
                time.sleep(0.2)

        other.answers["GET", f"/v2/library/base/blobs/{name}"] = drip
        told: list[str] = []
        push(tmp_path / "app.oci", to, store, reporter=Reporter(told.append, told.append))
        assert not [line for line in told if "trying again" in line]


def test_the_first_blob_that_fails_ends_the_others(
    registry: Uploads, to: str, tmp_path: Path, store: BlobStore
) -> None:
    """One is refused for good while the others wait for a registry that is busy."""
    built = image([layer({f"f{number}": b"x" * number}) for number in range(8)], {}, AMD64)
    bad = layers_of(built)[0]
    busy: list[str] = []

    def answer(request: Handler) -> None:
        if bad in request.path:
            time.sleep(0.5)
            request.reply(400, b"{}")
        else:
            busy.append(request.path)
            request.reply(503, b"", {"Retry-After": "6"})

    registry.answers["HEAD", "*"] = answer
    start = time.monotonic()
    with pytest.raises(OCIError, match=f"HTTP 400 from {registry.address} about blob {bad}"):
        push(write_layout(tmp_path / "app.oci", [built]), to, store, patience=replace(BRIEF, longest_retry_after=6))
    assert time.monotonic() - start < 5
    # Three more are under way at the same time, and no other begins.
    assert len(busy) == 3


def test_nothing_is_sent_offline(registry: Uploads, to: str, layout: Path, store: BlobStore) -> None:
    with pytest.raises(OCIError, match="HATCH_OCI_OFFLINE"):
        push(layout, to, store, options=RegistryOptions(offline=True))
    assert registry.requests == []


def test_an_upload_that_failed_once_reads_the_file_again(
    registry: Uploads, to: str, layout: Path, store: BlobStore
) -> None:
    registry.answers["PUT", "*"] = refuse(502, times=2)
    pushed = push(layout, to, store)
    assert registry.repositories["acme/app"].blobs == IMAGE.blobs
    assert pushed.uploaded == sum(map(len, IMAGE.blobs.values()))


def test_a_file_that_cannot_be_read_is_named(registry: Uploads, to: str, layout: Path, store: BlobStore) -> None:
    path = blob_path(layout, LAYER)
    path.unlink()
    path.mkdir()
    with pytest.raises(OCIError, match=f"^cannot read {path}: Is a directory$"):
        push(layout, to, store)
    assert registry.methods("/manifests/") == []


def test_a_portal_that_answers_everything_has_not_taken_the_image(
    registry: Uploads, to: str, layout: Path, store: BlobStore
) -> None:
    """A registry that answers anything at all with 200, such as a portal that wants a login."""

    def portal(request: Handler) -> None:
        read_body(request)
        request.reply(200, b"<html>Welcome to the hotel</html>", {"Content-Type": "text/html"})

    for method in ("HEAD", "POST", "PUT"):
        registry.answers[method, "*"] = portal
    with pytest.raises(OCIError, match=f"HTTP 200 from {registry.address} about the manifest"):
        push(layout, to, store)
