"""Manifests on their way into a registry: byte for byte, again where that may help, and named where it does not."""

from __future__ import annotations

import re

import pytest

from demo.base import digest
from demo.registry import Repository
from hatch_oci.errors import RegistryError
from hatch_oci.registry.push import Destination, MissingBlobsError
from tests.unit.bases import small_image
from tests.unit.uploads import Uploads, refuse

IMAGE = small_image()
MANIFEST = "/v2/app/manifests/1"
TYPE = "application/vnd.oci.image.manifest.v1+json"


def put_manifest(destination: Destination, reference: str = "1") -> None:
    destination.put_manifest(IMAGE.manifest, TYPE, reference)


@pytest.fixture
def complete(registry: Uploads) -> None:
    """Put the blobs of the image where its manifest goes."""
    registry.repositories["app"] = Repository(dict(IMAGE.blobs))


@pytest.mark.usefixtures("complete")
def test_a_manifest_is_put_byte_for_byte(registry: Uploads, destination: Destination) -> None:
    put_manifest(destination)
    put_manifest(destination, digest(IMAGE.manifest))
    manifests = registry.repositories["app"].manifests
    assert {name: (one.content, one.media_type) for name, one in manifests.items()} == {
        "1": (IMAGE.manifest, TYPE),
        digest(IMAGE.manifest): (IMAGE.manifest, TYPE),
    }


@pytest.mark.usefixtures("complete")
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_manifest_that_fails_for_now_is_put_again(
    status: int, registry: Uploads, destination: Destination, told: list[str]
) -> None:
    registry.answers["PUT", MANIFEST] = refuse(status, times=4, headers={"Retry-After": "40"})
    put_manifest(destination)
    assert registry.methods("/manifests/") == ["PUT"] * 5
    assert len(told) == 4


@pytest.mark.usefixtures("complete")
def test_a_manifest_that_fails_for_good_is_put_once(registry: Uploads, destination: Destination) -> None:
    body = b'{"errors":[{"code":"TAG_INVALID","message":"tags are immutable here"}]}'
    registry.answers["PUT", MANIFEST] = refuse(400, times=9, body=body)
    with pytest.raises(RegistryError) as caught:
        put_manifest(destination)
    assert str(caught.value) == (
        f"HTTP 400 from {registry.address} about the manifest {registry.address}/app:1: tags are immutable here"
    )
    assert registry.methods("/manifests/") == ["PUT"]


@pytest.mark.parametrize("status", [400, 404])
def test_a_manifest_whose_blobs_are_missing_is_named(status: int, registry: Uploads, destination: Destination) -> None:
    registry.missing_status = status
    with pytest.raises(MissingBlobsError, match=r"manifest .*: MANIFEST_BLOB_UNKNOWN") as caught:
        put_manifest(destination)
    assert f"{registry.address}/app:1" in str(caught.value)
    # It is not the manifest that the registry has not.
    assert "has no the" not in str(caught.value)
    assert registry.repositories["app"].manifests == {}


@pytest.mark.usefixtures("complete")
def test_the_name_of_a_manifest_by_its_digest_is_written_as_a_digest(
    registry: Uploads, destination: Destination
) -> None:
    name = digest(IMAGE.manifest)
    registry.answers["PUT", f"/v2/app/manifests/{name}"] = refuse(405, times=9)
    with pytest.raises(RegistryError, match=re.escape(f"{registry.address}/app@{name}")):
        put_manifest(destination, name)
