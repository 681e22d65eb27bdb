"""Where an image goes, and under which tags: what the layout says, what the user says, and what is no name at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from hatch_oci.errors import InvalidReference
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import small_image
from tests.unit.layouts import push, write_layout
from tests.unit.uploads import Uploads

IMAGE = small_image()


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """Write a layout of one small image."""
    return write_layout(tmp_path / "app.oci", [IMAGE])


@pytest.mark.parametrize("name", ["hello", "hello-service"])
def test_a_repository_without_a_registry_is_an_error_that_says_what_to_do(
    name: str, registry: Uploads, tmp_path: Path, store: BlobStore
) -> None:
    layout = write_layout(tmp_path / "app.oci", [IMAGE], name=name)
    with pytest.raises(InvalidReference) as caught:
        push(layout, None, store)
    assert str(caught.value) == f"'{name}' names no registry: set `repository`, or push --to REGISTRY/NAME"
    with pytest.raises(InvalidReference, match=f"^'{name}' names no registry"):
        push(layout, name, store)
    assert registry.requests == []


def test_an_image_that_does_not_say_where_it_belongs_is_an_error(layout: Path, store: BlobStore) -> None:
    with pytest.raises(InvalidReference, match="--to"):
        push(layout, None, store)


@pytest.mark.parametrize("name", ["https://ghcr.io/acme/app", "ghcr.io/Acme/app", "ghcr.io/acme/app:1", "ghcr.io/a b"])
def test_what_is_no_repository_is_an_error(name: str, layout: Path, store: BlobStore) -> None:
    with pytest.raises(InvalidReference, match=r"^not a repository: .*; write it like ghcr.io/acme/app$"):
        push(layout, name, store)


@pytest.mark.parametrize("tag", ["", "a b", "../../other/manifests/1", "-x", "a" * 129, "1?x=y", "ü"])
def test_what_is_no_tag_is_an_error_before_anything_is_sent(
    tag: str, registry: Uploads, to: str, layout: Path, store: BlobStore
) -> None:
    with pytest.raises(InvalidReference, match="tag"):
        push(layout, to, store, "1", tag)
    assert registry.requests == []


def test_the_image_goes_where_its_layout_says(registry: Uploads, tmp_path: Path, store: BlobStore) -> None:
    to = f"{registry.address}/acme/app"
    pushed = push(write_layout(tmp_path / "app.oci", [IMAGE], name=to, tags=["2.0", "2"]), None, store)
    assert (pushed.repository, pushed.tags) == (to, ("2.0", "2"))
    assert list(registry.repositories["acme/app"].manifests) == ["2.0", "2"]


def test_an_image_without_tags_becomes_the_latest(registry: Uploads, to: str, tmp_path: Path, store: BlobStore) -> None:
    push(write_layout(tmp_path / "app.oci", [IMAGE], tags=()), to, store)
    assert list(registry.repositories["acme/app"].manifests) == ["latest"]
