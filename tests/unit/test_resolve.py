from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from demo.base import Image, digest
from demo.registry import Handler, Manifest, Registry
from hatch_oci.base.resolve import fetch_layers, resolve
from hatch_oci.errors import BaseError, ContentError, DocumentError, NotFoundError, OCIError
from hatch_oci.image import media_types
from hatch_oci.image.digest import Digest
from hatch_oci.image.platform import Platform
from hatch_oci.registry.remote import Remote
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import ARM64, QUICK, index_of, resolve_with, served, small_image
from tests.unit.facts import write_fact

SILENT = Reporter(info=lambda _line: None, warn=lambda _line: None)


@pytest.fixture
def small() -> Image:
    return small_image()


@pytest.fixture
def registry(small: Image) -> Iterator[Registry]:
    with served(small) as registry:
        yield registry


def as_docker(small: Image) -> bytes:
    manifest = json.loads(small.manifest)
    manifest["mediaType"] = media_types.DOCKER_MANIFEST
    manifest["config"]["mediaType"] = media_types.DOCKER_CONFIG
    for layer in manifest["layers"]:
        layer["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    return json.dumps(manifest).encode()


def test_a_tag_leads_to_a_config_and_to_layers(registry: Registry, small: Image, store: BlobStore) -> None:
    base = resolve_with(f"{registry.address}/app:1", store)
    assert base.image_name == f"{registry.address}/app:1"
    assert str(base.digest) == str(base.top_digest) == digest(small.manifest)
    assert [str(layer.digest) in small.blobs for layer in base.layers] == [True, True]


def test_layers_are_fetched_once(registry: Registry, small: Image, store: BlobStore) -> None:
    with closing(Remote(patience=QUICK)) as remote:
        base = resolve(f"{registry.address}/app:1", Platform("linux", "amd64"), Path(), store, remote)
        first = fetch_layers(base, store, SILENT)
        asked = len(registry.log)
        assert fetch_layers(base, store, SILENT) == first
    assert len(registry.log) == asked
    assert [blob.path.read_bytes() for blob in first] == [small.blobs[str(blob.digest)] for blob in first]


def test_a_cached_base_that_is_pinned_needs_no_network(small: Image, store: BlobStore) -> None:
    with served(small) as registry, closing(Remote(patience=QUICK)) as remote:
        reference = f"{registry.address}/app:1@{digest(small.manifest)}"
        first = resolve(reference, Platform("linux", "amd64"), Path(), store, remote)
        fetch_layers(first, store, SILENT)
    again = resolve_with(reference, store)
    assert again.config == first.config
    assert len(fetch_layers(again, store, SILENT)) == 2


def test_a_pinned_base_is_named_by_its_tag_alone(registry: Registry, small: Image, store: BlobStore) -> None:
    base = resolve_with(f"{registry.address}/app:1@{digest(small.manifest)}", store)
    assert base.image_name == f"{registry.address}/app:1"
    untagged = resolve_with(f"{registry.address}/app@{digest(small.manifest)}", store)
    assert untagged.image_name == f"{registry.address}/app@{digest(small.manifest)}"


def test_docker_media_types_become_oci_ones_and_digests_stay(small: Image, store: BlobStore) -> None:
    with served(small, docker=as_docker(small)) as registry:
        base = resolve_with(f"{registry.address}/app:docker", store)
    assert {layer.media_type for layer in base.layers} == {media_types.OCI_LAYER_GZIP}
    assert [str(layer.digest) for layer in base.layers] == [
        layer["digest"] for layer in json.loads(small.manifest)["layers"]
    ]


def test_one_layer_of_another_kind_refuses_the_whole_base(small: Image, store: BlobStore) -> None:
    odd = small.manifest.replace(b"layer.v1.tar+gzip", b"layer.v1.odd", 1)
    with served(small, odd=odd) as registry, pytest.raises(DocumentError) as caught:
        resolve_with(f"{registry.address}/app:odd", store)
    assert "layers[0].mediaType: 'application/vnd.oci.image.layer.v1.odd' is not a layer" in str(caught.value)


@pytest.mark.parametrize(("platform", "name"), [("linux/amd64", "amd"), ("linux/arm64", "arm")])
def test_an_index_gives_the_image_of_the_platform(platform: str, name: str, store: BlobStore) -> None:
    amd, arm = small_image("amd"), small_image("arm", ARM64)
    index = index_of(
        [
            (amd.manifest, {"platform": {"os": "unknown", "architecture": "unknown"}}),
            (amd.manifest, {"platform": {"os": "linux", "architecture": "amd64"}}),
            (arm.manifest, {"platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}),
        ]
    )
    with served(amd, arm, both=index) as registry:
        base = resolve_with(f"{registry.address}/app:both", store, platform=platform)
    assert str(base.top_digest) == digest(index)
    assert str(base.digest) == digest({"amd": amd, "arm": arm}[name].manifest)


def test_a_platform_that_is_not_there_gets_the_list_of_those_that_are(store: BlobStore) -> None:
    amd, arm = small_image("amd"), small_image("arm", ARM64)
    index = index_of(
        [
            (arm.manifest, {}),  # its config says what it is
            (amd.manifest, {"platform": {"os": "linux", "architecture": "amd64"}}),
            (amd.manifest, {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}),
        ]
    )
    with served(amd, arm, both=index) as registry, pytest.raises(BaseError) as caught:
        resolve_with(f"{registry.address}/app:both", store, platform="linux/s390x")
    assert str(caught.value) == (
        f"{registry.address}/app:both has no image for linux/s390x; it has: linux/amd64, linux/arm64"
    )


def test_a_plain_manifest_for_another_platform_is_refused(registry: Registry, store: BlobStore) -> None:
    with pytest.raises(BaseError, match=r"/app:1 is for linux/amd64, not for linux/arm64"):
        resolve_with(f"{registry.address}/app:1", store, platform="linux/arm64")


def test_indexes_nest_two_deep_at_most(store: BlobStore) -> None:
    amd = small_image()
    inner = index_of([(amd.manifest, {"platform": {"os": "linux", "architecture": "amd64"}})])

    def around(raw: bytes) -> bytes:
        fields = {"mediaType": media_types.OCI_INDEX, "platform": {"os": "linux", "architecture": "amd64"}}
        return index_of([(raw, fields)])

    middle = around(inner)
    outer = around(middle)
    by_digest = {digest(raw): raw for raw in (inner, middle)}
    with served(amd, middle=middle, outer=outer, **by_digest) as registry:
        assert str(resolve_with(f"{registry.address}/app:middle", store).digest) == digest(amd.manifest)
        with pytest.raises(BaseError, match="nested more than 2 deep"):
            resolve_with(f"{registry.address}/app:outer", store)


def test_a_manifest_that_is_not_the_pinned_one_is_refused(registry: Registry, store: BlobStore) -> None:
    pinned = "sha256:" + "1" * 64
    registry.repositories["app"].manifests[pinned] = registry.repositories["app"].manifests["1"]
    with pytest.raises(ContentError, match=f"was asked for {pinned} and sent something else"):
        resolve_with(f"{registry.address}/app@{pinned}", store)
    assert store.read(Digest.parse(pinned)) is None


def test_a_config_of_another_length_than_the_layers_is_refused(small: Image, store: BlobStore) -> None:
    manifest = json.loads(small.manifest)
    manifest["layers"].pop()
    with served(small, short=json.dumps(manifest).encode()) as registry, pytest.raises(BaseError) as caught:
        resolve_with(f"{registry.address}/app:short", store)
    assert str(caught.value) == f"{registry.address}/app:short has 1 layer, but its config lists 2"


def test_a_layer_with_other_bytes_is_refused_and_nothing_is_kept(
    registry: Registry, small: Image, store: BlobStore
) -> None:
    bad = json.loads(small.manifest)["layers"][0]["digest"]
    registry.repositories["app"].blobs[bad] = b"x" * len(small.blobs[bad])
    with closing(Remote(patience=QUICK)) as remote:
        base = resolve(f"{registry.address}/app:1", Platform("linux", "amd64"), Path(), store, remote)
        with pytest.raises(ContentError, match=f"{bad} was asked for"):
            fetch_layers(base, store, SILENT)
    assert not store.path(Digest.parse(bad)).exists()
    assert list((store.folder / "incoming").iterdir()) == []


def test_a_damaged_blob_in_the_cache_is_fetched_again(registry: Registry, small: Image, store: BlobStore) -> None:
    with closing(Remote(patience=QUICK)) as remote:
        base = resolve(f"{registry.address}/app:1", Platform("linux", "amd64"), Path(), store, remote)
        path = fetch_layers(base, store, SILENT)[0].path
        path.unlink()
        path.write_bytes(b"damaged")
        fetch_layers(base, store, SILENT)
    assert path.read_bytes() == small.blobs[str(base.layers[0].digest)]


@pytest.mark.parametrize(
    ("content_type", "raw", "message"),
    [
        (media_types.DOCKER_SCHEMA1_SIGNED, b'{"schemaVersion": 1}', "schema 1"),
        ("application/json", b"<html>please log in</html>", "not valid JSON"),
        ("application/json", b'{"schemaVersion": 2}', "not an image manifest or index"),
        (media_types.OCI_MANIFEST, b'{"schemaVersion": 2, "manifests": []}', "but has manifests"),
    ],
)
def test_what_is_no_manifest_is_refused(
    content_type: str, raw: bytes, message: str, registry: Registry, store: BlobStore
) -> None:
    registry.repositories["app"].manifests["bad"] = Manifest(content_type, raw)
    with pytest.raises(DocumentError, match=message) as caught:
        resolve_with(f"{registry.address}/app:bad", store)
    assert f"the manifest of {registry.address}/app:bad" in str(caught.value)


def test_a_missing_tag_names_the_registry_and_what_to_check(registry: Registry, store: BlobStore) -> None:
    with pytest.raises(NotFoundError) as caught:
        resolve_with(f"{registry.address}/app:2", store)
    assert str(caught.value) == (
        f"{registry.address} has no {registry.address}/app:2: "
        "MANIFEST_UNKNOWN /v2/app/manifests/2; check its name and tag, or log in if it is private"
    )


def test_scratch_is_a_base_without_layers(store: BlobStore) -> None:
    base = resolve_with("scratch", store, platform="linux/arm/v7")
    assert (base.layers, base.image_name, base.digest) == ((), None, None)
    assert base.config.document["variant"] == "v7"


def test_a_reference_that_cannot_be_read_says_what_else_there_is(store: BlobStore) -> None:
    with pytest.raises(OCIError, match=r"not an image reference: 'Python'.*; it may also be oci:PATH"):
        resolve_with("Python", store)


def test_the_first_failure_ends_the_other_downloads(registry: Registry, small: Image, store: BlobStore) -> None:
    bad, slow = (layer["digest"] for layer in json.loads(small.manifest)["layers"])
    ended = []

    def drip(request: Handler) -> None:
        blob = small.blobs[slow]
        request.send_response(200)
        request.send_header("Content-Length", str(len(blob)))
        request.end_headers()
        try:
            for byte in blob:
                request.wfile.write(bytes([byte]))
                time.sleep(0.02)
            ended.append("whole")
        except ConnectionError:
            ended.append("cut")

    registry.answers["GET", f"/v2/app/blobs/{slow}"] = drip
    registry.repositories["app"].blobs.pop(bad)
    with closing(Remote(patience=QUICK)) as remote:
        base = resolve(f"{registry.address}/app:1", Platform("linux", "amd64"), Path(), store, remote)
        with pytest.raises(NotFoundError, match=bad):
            fetch_layers(base, store, SILENT)
    assert list((store.folder / "incoming").iterdir()) == []
    assert ended in ([], ["cut"])


@pytest.mark.parametrize("damaged", ["5", "{}", '{"digest": "x", "media-type": "y"}', '{"digest": null}'])
def test_a_tag_whose_memory_is_damaged_is_asked_for_again(registry: Registry, store: BlobStore, damaged: str) -> None:
    first = resolve_with(f"{registry.address}/app:1", store)
    (fact,) = (store.folder / "facts" / "tags").iterdir()
    write_fact(fact, damaged.encode())
    assert resolve_with(f"{registry.address}/app:1", store).digest == first.digest
