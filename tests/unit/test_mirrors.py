"""Mirrors, insecure registries, foreign layers, and the cache alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from demo.base import Image, digest
from demo.registry import Handler, Registry, Repository, serve
from hatch_oci.base.resolve import Base, fetch_layers, resolve
from hatch_oci.errors import BaseError, ContentError, RegistryError
from hatch_oci.image.digest import Digest
from hatch_oci.image.platform import Platform
from hatch_oci.registry.options import RegistryOptions
from hatch_oci.registry.remote import Remote
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import QUICK, manifest_of, served, small_image

IMAGE = small_image()


@pytest.fixture
def registry() -> Iterator[Registry]:
    with served(IMAGE) as registry:
        yield registry


def pull(text: str, store: BlobStore, told: list[str], **options: object) -> Base:
    """Pull an image whole."""
    reporter = Reporter(info=told.append, warn=told.append)
    known = RegistryOptions(**options)  # type: ignore[arg-type]
    with closing(Remote(known, reporter, QUICK)) as remote:
        base = resolve(text, Platform("linux", "amd64"), Path(), store, remote)
        fetch_layers(base, store, reporter)
    return base


def served_as(image: Image, name: str) -> dict[str, Repository]:
    manifests = {"1": manifest_of(image.manifest), digest(image.manifest): manifest_of(image.manifest)}
    return {name: Repository(dict(image.blobs), manifests)}


def paths(registry: Registry) -> list[tuple[str, str]]:
    return [entry for entry in registry.log if entry[1] != "/v2/"]


def test_a_mirror_is_asked_instead_of_the_registry(registry: Registry, store: BlobStore, told: list[str]) -> None:
    with serve(served_as(IMAGE, "hub/app")) as mirror:
        base = pull(f"{registry.address}/app:1", store, told, mirrors={registry.address: (f"{mirror.address}/hub",)})
        assert str(base.digest) == digest(IMAGE.manifest)
        assert {path.rpartition("/")[0] for _, path in paths(mirror)} == {"/v2/hub/app/manifests", "/v2/hub/app/blobs"}
    assert registry.log == []


def test_the_name_of_a_mirror_stays_out_of_the_image(registry: Registry, store: BlobStore, told: list[str]) -> None:
    with serve(served_as(IMAGE, "app")) as mirror:
        base = pull(f"{registry.address}/app:1", store, told, mirrors={registry.address: (mirror.address,)})
    assert base.image_name == f"{registry.address}/app:1"


def test_mirrors_that_fail_are_passed_over_and_named(registry: Registry, store: BlobStore, told: list[str]) -> None:
    with serve({}) as empty, serve({}) as broken:
        broken.answers["GET", "*"] = lambda request: request.reply(500)
        mirrors = {registry.address: (empty.address, broken.address)}
        base = pull(f"{registry.address}/app:1", store, told, mirrors=mirrors)
        assert str(base.digest) == digest(IMAGE.manifest)
        assert any(line.startswith(f"{empty.address} has no ") and line.endswith("; asking elsewhere") for line in told)
        assert any(line.startswith(f"HTTP 500 from {broken.address} ") for line in told)
        # What failed for good is not asked for the layers, too.
        assert len({path for _, path in paths(broken)}) == 1


def test_a_blob_that_a_mirror_breaks_off_goes_on_at_the_registry(
    registry: Registry, store: BlobStore, told: list[str]
) -> None:
    name, blob = max(IMAGE.blobs.items(), key=lambda item: len(item[1]))

    def cut(request: Handler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(blob)))
        request.end_headers()
        if "Range" not in request.headers:
            request.wfile.write(blob[:20])
        request.close_connection = True

    with serve(served_as(IMAGE, "app")) as mirror:
        mirror.answers["GET", f"/v2/app/blobs/{name}"] = cut
        pull(f"{registry.address}/app:1", store, told, mirrors={registry.address: (mirror.address,)})
    assert ("GET", f"/v2/app/blobs/{name}") in registry.log


def test_what_a_mirror_makes_up_is_asked_for_elsewhere(registry: Registry, store: BlobStore, told: list[str]) -> None:
    with serve(served_as(small_image("other"), "app")) as mirror:
        made_up = mirror.repositories["app"].manifests["1"]
        mirror.repositories["app"].manifests[digest(IMAGE.manifest)] = made_up
        pinned = f"{registry.address}/app@{digest(IMAGE.manifest)}"
        base = pull(pinned, store, told, mirrors={registry.address: (mirror.address,)})
        assert str(base.digest) == digest(IMAGE.manifest)
        sent = f"{mirror.address} was asked for {digest(IMAGE.manifest)} and sent something else; asking elsewhere"
        assert sent in told
        with pytest.raises(ContentError, match=f"^{mirror.address} was asked for .* and sent something else$"):
            pull(f"{mirror.address}/app@{digest(IMAGE.manifest)}", BlobStore(store.folder / "other"), told)


def test_a_web_page_of_a_mirror_is_passed_over(registry: Registry, store: BlobStore, told: list[str]) -> None:
    with serve({}) as mirror:
        mirror.answers["GET", "*"] = lambda request: request.reply(200, b"<html>", {"Content-Type": "text/html"})
        base = pull(f"{registry.address}/app:1", store, told, mirrors={registry.address: (mirror.address,)})
        assert str(base.digest) == digest(IMAGE.manifest)
        assert told[0].startswith(f"{mirror.address} answered with a web page, not as a registry")


@pytest.mark.parametrize("longer", [b"", b"x"])
def test_a_mirror_that_sends_another_blob_is_named(
    longer: bytes, registry: Registry, store: BlobStore, told: list[str]
) -> None:
    with serve(served_as(IMAGE, "app")) as mirror:
        name = json.loads(IMAGE.manifest)["layers"][0]["digest"]
        blobs = mirror.repositories["app"].blobs
        blobs[name] = b"x" * len(blobs[name]) + longer
        with pytest.raises(ContentError) as caught:
            pull(f"{registry.address}/app:1", store, told, mirrors={registry.address: (mirror.address,)})
        assert str(caught.value) == (
            f"a layer of {registry.address}/app:1: {mirror.address} sent something else than blob {name}"
        )
        assert store.find(Digest.parse(name), len(blobs[name])) is None


@pytest.mark.parametrize("status", [404, 503])
def test_a_mirror_that_does_not_know_a_tag_leaves_it_to_the_registry(
    status: int, registry: Registry, store: BlobStore, told: list[str]
) -> None:
    with serve({}) as mirror:
        for method in ("GET", "HEAD"):
            mirror.answers[method, "/v2/app/manifests/1"] = lambda request: request.reply(status)
        mirrors = {registry.address: (mirror.address,)}
        pull(f"{registry.address}/app:1", store, told, mirrors=mirrors)
        registry.log.clear()
        pull(f"{registry.address}/app:1", store, told, mirrors=mirrors)
    # A GET would count against the quota.
    assert paths(registry) == [("HEAD", "/v2/app/manifests/1")]


@pytest.mark.parametrize("status", [429, 503])
def test_a_registry_that_is_down_is_asked_by_head_alone(
    status: int, registry: Registry, store: BlobStore, told: list[str]
) -> None:
    pull(f"{registry.address}/app:1", store, told)
    registry.answers["HEAD", "*"] = registry.answers["GET", "*"] = lambda request: request.reply(
        200 if request.path == "/v2/" else status
    )
    registry.log.clear()
    with pytest.raises(RegistryError, match=f"HTTP {status}"):
        pull(f"{registry.address}/app:1", store, told)
    assert paths(registry) == [("HEAD", "/v2/app/manifests/1")] * 5


def test_a_registry_that_is_called_insecure_may_speak_plain_http(store: BlobStore, told: list[str]) -> None:
    with served(IMAGE) as registry:
        port = registry.address.partition(":")[2]
        base = pull(f"127.0.0.1:{port}/app:1", store, told, insecure_registries=frozenset({registry.address}))
        assert str(base.digest) == digest(IMAGE.manifest)
        assert told[0] == f"{registry.address} is asked by plain http, since insecure-registries lists it"


def test_a_registry_is_the_same_in_whatever_case(registry: Registry, store: BlobStore, told: list[str]) -> None:
    port = registry.address.partition(":")[2]
    insecure = frozenset({f"LocalHost:{port}"})
    base = pull(f"LOCALHOST:{port}/app:1", store, told, insecure_registries=insecure)
    assert base.image_name == f"localhost:{port}/app:1"
    assert told[0] == f"localhost:{port} is asked by plain http, since insecure-registries lists it"
    assert pull(f"LOCALHOST:{port}/app:1", store, told).digest == base.digest


def test_a_tag_that_did_not_move_is_not_pulled_again(registry: Registry, store: BlobStore, told: list[str]) -> None:
    pull(f"{registry.address}/app:1", store, told)
    registry.log.clear()
    pull(f"{registry.address}/app:1", store, told)
    assert paths(registry) == [("HEAD", "/v2/app/manifests/1")]


@pytest.mark.parametrize("told_digest", [None, "sha256:" + "0" * 64, "nonsense"])
def test_a_registry_that_tells_no_digest_is_asked_in_full(
    told_digest: str | None, registry: Registry, store: BlobStore, told: list[str]
) -> None:
    pull(f"{registry.address}/app:1", store, told)
    headers = {"Docker-Content-Digest": told_digest} if told_digest else {}
    registry.answers["HEAD", "*"] = lambda request: request.reply(200, b"", headers)
    registry.log.clear()
    pull(f"{registry.address}/app:1", store, told)
    assert ("GET", "/v2/app/manifests/1") in registry.log


def test_a_tag_that_moved_is_pulled_anew(registry: Registry, store: BlobStore, told: list[str]) -> None:
    pull(f"{registry.address}/app:1", store, told)
    other = small_image("other")
    registry.repositories["app"].blobs.update(other.blobs)
    registry.repositories["app"].manifests["1"] = manifest_of(other.manifest)
    assert str(pull(f"{registry.address}/app:1", store, told).digest) == digest(other.manifest)


def test_a_wrong_digest_header_for_a_tag_is_ignored(registry: Registry, store: BlobStore, told: list[str]) -> None:
    def answer(request: Handler) -> None:
        headers = {
            "Content-Type": manifest_of(IMAGE.manifest).media_type,
            "Docker-Content-Digest": "sha256:" + "0" * 64,
        }
        request.reply(200, IMAGE.manifest, headers)

    registry.answers["GET", "/v2/app/manifests/1"] = answer
    assert str(pull(f"{registry.address}/app:1", store, told).digest) == digest(IMAGE.manifest)


def test_offline_a_tag_is_what_it_was_the_last_time(registry: Registry, store: BlobStore, told: list[str]) -> None:
    pull(f"{registry.address}/app:1", store, told)
    registry.log.clear()
    base = pull(f"{registry.address}/app:1", store, told, offline=True)
    assert str(base.digest) == digest(IMAGE.manifest)
    assert registry.log == []


def test_offline_what_is_missing_is_named(registry: Registry, store: BlobStore, told: list[str]) -> None:
    name = f"{registry.address}/app:1"
    with pytest.raises(BaseError) as caught:
        pull(name, store, told, offline=True)
    assert str(caught.value) == f"{name} is not in the cache, and HATCH_OCI_OFFLINE is set: build once without it"
    base = pull(name, store, told)
    store.path(base.layers[0].digest).unlink()
    registry.log.clear()
    with pytest.raises(BaseError, match=f"{name}: its blob {base.layers[0].digest} is not in the cache"):
        pull(name, store, told, offline=True)
    assert registry.log == []


def test_latest_is_warned_of(registry: Registry, store: BlobStore, told: list[str]) -> None:
    registry.repositories["app"].manifests["latest"] = registry.repositories["app"].manifests["1"]
    for text in ("app", "app:latest"):
        told.clear()
        pull(f"{registry.address}/{text}", store, told)
        assert told[0] == (
            f"{registry.address}/app:latest is another image from day to day: name a version, or pin its digest"
        )
    told.clear()
    pull(f"{registry.address}/app:latest@{digest(IMAGE.manifest)}", store, told)
    assert not any("from day to day" in line for line in told)


def foreign(urls: list[str]) -> tuple[Image, str]:
    """Return an image whose first layer lies elsewhere, and that layer's digest."""
    manifest = json.loads(IMAGE.manifest)
    manifest["layers"][0] |= {
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "urls": urls,
    }
    return Image(json.dumps(manifest).encode(), IMAGE.blobs), manifest["layers"][0]["digest"]


def test_a_foreign_layer_comes_from_the_registry_if_it_has_it(store: BlobStore, told: list[str]) -> None:
    image, _ = foreign(["https://example.invalid/layer"])
    with served(image) as registry:
        assert len(pull(f"{registry.address}/app:1", store, told).layers) == 2


def test_a_foreign_layer_is_fetched_by_https_only(store: BlobStore, told: list[str]) -> None:
    with serve({}) as other:
        image, name = foreign([f"http://{other.address}/layer", "file:///etc/passwd"])
        with served(image) as registry:
            registry.repositories["app"].blobs.pop(name)
            with pytest.raises(RegistryError, match=f"has no blob {name}"):
                pull(f"{registry.address}/app:1", store, told)
        assert other.log == []


@pytest.mark.parametrize("kind", ["manifests", "blobs"])
def test_a_web_page_in_between_is_told_of(kind: str, registry: Registry, store: BlobStore, told: list[str]) -> None:
    for name in ("1", *IMAGE.blobs):
        if (name == "1") is (kind == "manifests"):
            registry.answers["GET", f"/v2/app/{kind}/{name}"] = lambda request: request.reply(
                200, b"<html>sign in</html>", {"Content-Type": "text/html; charset=utf-8"}
            )
    with pytest.raises(RegistryError) as caught:
        pull(f"{registry.address}/app:1", store, told)
    assert str(caught.value) == (
        f"{registry.address} answered with a web page, not as a registry: is there a sign-in or proxy in between?"
    )
