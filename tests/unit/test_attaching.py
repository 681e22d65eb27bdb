"""Documents that are pushed with the image that they refer to, and are found from it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from demo.base import digest
from demo.registry import Handler, Manifest
from hatch_oci.image.artifact import make_artifact
from hatch_oci.output.layout import layout_files
from hatch_oci.output.layout import write_layout as write_own
from hatch_oci.output.reading import read_layout
from hatch_oci.report import QUIET
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import ARM64, small_image
from tests.unit.layouts import push, write_layout
from tests.unit.uploads import INDEX, Uploads, pieces_of, refuse

IMAGE, OTHER = small_image(), small_image("arm", ARM64)
SUBJECT = digest(IMAGE.manifest)
TAG = SUBJECT.replace(":", "-")
LIST = f"/v2/acme/app/manifests/{TAG}"
SBOM, PROVENANCE = "application/vnd.cyclonedx+json", "application/vnd.in-toto+json"


def layout_with(scratch: Path, *kinds: str, images: tuple[Any, ...] = (IMAGE,)) -> Path:
    """Return a layout of an image with a document of each kind."""
    plain = read_layout(write_layout(scratch / f"plain-{'-'.join(kinds).replace('/', '')}", list(images), tags=("1",)))
    artifacts = [
        make_artifact(one.descriptor, kind, f"about {one.digest}: {kind}".encode(), "doc.json", {"kind": kind})
        for one in plain.manifests
        for kind in kinds
    ]
    target = scratch / f"app-{'-'.join(kinds).replace('/', '')}.oci"
    write_own(target, layout_files(replace(plain.to_write(), artifacts=artifacts)))
    return target


def listed(registry: Uploads, tag: str = TAG) -> list[dict[str, Any]]:
    """Return what is found from an image by its fallback tag, after a look at each document."""
    repository = registry.repositories["acme/app"]
    entries: list[dict[str, Any]] = json.loads(repository.manifests[tag].content)["manifests"]
    for entry in entries:
        assert_found(registry, entry, tag.replace("-", ":"))
    return entries


def assert_found(registry: Uploads, entry: dict[str, Any], subject: str) -> None:
    repository = registry.repositories["acme/app"]
    manifest = repository.manifest(entry["digest"])
    assert manifest is not None
    document = json.loads(manifest.content)
    assert entry == {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest(manifest.content),
        "size": len(manifest.content),
        "artifactType": document["artifactType"],
        "annotations": document["annotations"],
    }
    assert document["subject"]["digest"] == subject
    assert repository.blobs[document["config"]["digest"]] == b"{}"
    (layer,) = document["layers"]
    assert repository.blobs[layer["digest"]] == f"about {subject}: {document['artifactType']}".encode()


def test_a_layout_lists_what_goes_with_its_image(tmp_path: Path) -> None:
    layout = layout_with(tmp_path, SBOM, PROVENANCE)
    assert len(json.loads((layout / "index.json").read_bytes())["manifests"]) == 1
    entries = json.loads((layout / "referrers.json").read_bytes())["manifests"]
    assert [entry["artifactType"] for entry in entries] == [SBOM, PROVENANCE]
    found = read_layout(layout).artifacts
    assert [(one.artifact_type, str(one.subject.digest)) for one in found] == [(SBOM, SUBJECT), (PROVENANCE, SUBJECT)]


def test_a_layout_that_was_tidied_up_has_none(tmp_path: Path) -> None:
    layout = layout_with(tmp_path, SBOM)
    (entry,) = json.loads((layout / "referrers.json").read_bytes())["manifests"]
    (layout / "blobs" / entry["digest"].replace(":", "/")).unlink()
    assert read_layout(layout).artifacts == ()


def test_a_registry_without_the_api_gets_a_list_under_a_tag(
    registry: Uploads, to: str, tmp_path: Path, store: BlobStore
) -> None:
    pushed = push(layout_with(tmp_path, SBOM, PROVENANCE), to, store)
    entries = listed(registry)
    assert [entry["artifactType"] for entry in entries] == [SBOM, PROVENANCE]
    assert [str(one) for one in pushed.referrers] == [entry["digest"] for entry in entries]
    assert registry.repositories["acme/app"].manifests[TAG].media_type == INDEX
    assert registry.repositories["acme/app"].manifests["1"].content == IMAGE.manifest


def test_a_registry_with_the_api_gets_no_such_tag(registry: Uploads, to: str, tmp_path: Path, store: BlobStore) -> None:
    registry.lists_referrers = True
    push(layout_with(tmp_path, SBOM), to, store)
    assert TAG not in registry.repositories["acme/app"].manifests
    assert LIST not in registry.paths("GET")


def test_the_image_is_there_before_what_goes_with_it(
    registry: Uploads, to: str, tmp_path: Path, store: BlobStore
) -> None:
    pushed = push(layout_with(tmp_path, SBOM), to, store)
    names = [path.rpartition("/")[2] for path in registry.paths("PUT") if "/manifests/" in path]
    assert names == ["1", str(pushed.referrers[0]), TAG]


def test_the_images_of_an_index_have_a_list_each(registry: Uploads, to: str, tmp_path: Path, store: BlobStore) -> None:
    push(layout_with(tmp_path, SBOM, images=(IMAGE, OTHER)), to, store)
    assert len(listed(registry)) == len(listed(registry, digest(OTHER.manifest).replace(":", "-"))) == 1


def test_what_others_listed_stays_as_it_is(registry: Uploads, to: str, tmp_path: Path, store: BlobStore) -> None:
    theirs = {"digest": "sha256:" + "ab" * 32, "mediaType": "x", "size": 1, "artifactType": "sig", "data": "e30="}
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [theirs], "annotations": {"by": "them"}}
    before = registry.repository("acme/app").manifests
    before[TAG] = Manifest(INDEX, json.dumps(document).encode())
    registry.answers["PUT", LIST] = take_any
    push(layout_with(tmp_path, SBOM), to, store)
    after = json.loads(before[TAG].content)
    assert after["annotations"] == {"by": "them"}
    assert after["manifests"][0] == theirs
    assert [entry["artifactType"] for entry in after["manifests"]] == ["sig", SBOM]


def take_any(request: Handler) -> None:
    """Take a list, also of what is not there, as some registries do."""
    registry = request.server.registry
    content = b"".join(pieces_of(request))
    registry.repositories["acme/app"].manifests[TAG] = Manifest(INDEX, content)
    request.reply(201)


def test_what_is_listed_already_is_not_written_again(
    registry: Uploads, to: str, tmp_path: Path, store: BlobStore
) -> None:
    layout = layout_with(tmp_path, SBOM)
    push(layout, to, store)
    registry.forget()
    push(layout, to, store)
    assert LIST not in registry.paths("PUT")
    assert len(listed(registry)) == 1


def push_two_at_once(registry: Uploads, to: str, scratch: Path, put: Callable[[Handler], None]) -> list[str]:
    """Push two documents, of which neither knows of the other when it is listed; return what is listed then.

    `put` answers who writes the list.
    """
    both_read = threading.Barrier(2)
    registry.forget()

    def read_together(request: Handler) -> None:
        if registry.paths("GET").count(LIST) <= 2:
            both_read.wait(10)
        request.answer()

    registry.answers["GET", LIST] = read_together
    registry.answers["PUT", LIST] = put
    layouts = [layout_with(scratch, SBOM), layout_with(scratch, PROVENANCE)]
    stores = [BlobStore(scratch / name) for name in ("a", "b")]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda layout, store: push(layout, to, store), layouts, stores))
    return sorted(entry["artifactType"] for entry in listed(registry))


@pytest.mark.parametrize("_time", range(3))
def test_of_two_pushes_at_once_both_are_listed(_time: int, registry: Uploads, to: str, tmp_path: Path) -> None:
    def take_long(request: Handler) -> None:
        # Far longer than this machine may hold up either of them.
        time.sleep(0.2)
        request.answer()

    assert push_two_at_once(registry, to, tmp_path, take_long) == [SBOM, PROVENANCE]


def test_who_is_held_up_while_another_adds_to_a_list_loses_nothing_of_it(
    registry: Uploads, to: str, tmp_path: Path
) -> None:
    other = "application/spdx+json"
    push(layout_with(tmp_path, other), to, BlobStore(tmp_path / "first"))
    late = threading.Semaphore(1)

    def hold_one_up(request: Handler) -> None:
        if late.acquire(blocking=False):
            time.sleep(0.1)
        request.answer()

    assert push_two_at_once(registry, to, tmp_path, hold_one_up) == sorted([SBOM, other, PROVENANCE])


def test_a_list_that_never_keeps_what_was_written_is_an_error(
    registry: Uploads, to: str, tmp_path: Path, store: BlobStore
) -> None:
    def lose(request: Handler) -> None:
        list(pieces_of(request))
        request.reply(201)

    registry.answers["PUT", LIST] = lose
    with pytest.raises(Exception, match=f"{to}:{TAG} is written by others all the time: push again"):
        push(layout_with(tmp_path, SBOM), to, store)


def test_a_registry_that_takes_no_documents_has_the_image_all_the_same(
    registry: Uploads, to: str, tmp_path: Path, store: BlobStore
) -> None:
    layout = layout_with(tmp_path, SBOM)
    (artifact,) = read_layout(layout).artifacts
    registry.answers["PUT", f"/v2/acme/app/manifests/{artifact.digest}"] = refuse(
        400, body=b'{"errors":[{"code":"MANIFEST_INVALID","message":"config"}]}'
    )
    said: list[str] = []
    pushed = push(layout, to, store, reporter=replace(QUIET, warn=said.append))
    assert registry.repositories["acme/app"].manifests["1"].content == IMAGE.manifest
    assert pushed.referrers == ()
    (warning,) = said
    assert warning.startswith(f"the image is there, but without all of its documents: HTTP 400 from {registry.address}")


@pytest.mark.parametrize("content", [IMAGE.manifest, b"no list"])
def test_a_tag_that_is_no_list_is_left_alone(
    content: bytes, registry: Uploads, to: str, tmp_path: Path, store: BlobStore
) -> None:
    registry.repository("acme/app").manifests[TAG] = Manifest("application/x", content)
    said: list[str] = []
    push(layout_with(tmp_path, SBOM), to, store, reporter=replace(QUIET, warn=said.append))
    assert f"{to}:{TAG}" in said[0]
    assert registry.repositories["acme/app"].manifests[TAG].content == content


def test_a_damaged_document_is_an_error(tmp_path: Path, to: str, store: BlobStore) -> None:
    layout = layout_with(tmp_path, SBOM)
    (artifact,) = read_layout(layout).artifacts
    path = layout / "blobs" / str(artifact.document.digest).replace(":", "/")
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(Exception, match="its document is not what its digest says: build the image anew"):
        push(layout, to, store)
