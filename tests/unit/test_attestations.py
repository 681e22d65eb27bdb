"""Documents beside the image in an index, in BuildKit's form, for those who ask for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from demo.base import digest
from hatch_oci.output.reading import read_layout
from hatch_oci.store.blobs import BlobStore
from tests.unit.attached import CYCLONEDX, IN_TOTO, documents, raw
from tests.unit.bases import resolve_with
from tests.unit.layouts import push
from tests.unit.locked import BOTH, ONE, made, record
from tests.unit.uploads import Uploads

BUILDKIT = 'attestations = "buildkit"'


def top_of(result: Path) -> dict[str, Any]:
    index = json.loads((result / "index.json").read_bytes())
    found: dict[str, Any] = json.loads(raw(result, index["manifests"][0]["digest"]))
    return found


def test_each_image_of_the_index_has_its_statements(locked: Path) -> None:
    result = made(locked, f"{BOTH}\n{BUILDKIT}")
    entries = top_of(result)["manifests"]
    assert len(entries) == 4
    for image, about in zip(entries[:2], entries[2:], strict=True):
        assert about["platform"] == {"architecture": "unknown", "os": "unknown"}
        assert about["annotations"] == {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": image["digest"],
        }
        manifest = json.loads(raw(result, about["digest"]))
        config = json.loads(raw(result, manifest["config"]["digest"]))
        assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
        platform = f"linux/{image['platform']['architecture']}"
        for layer, kind in zip(
            manifest["layers"], ("https://cyclonedx.org/bom", "https://slsa.dev/provenance/v1"), strict=True
        ):
            assert layer["mediaType"] == IN_TOTO
            assert layer["annotations"] == {"in-toto.io/predicate-type": kind}
            statement = json.loads(raw(result, layer["digest"]))
            assert statement["predicateType"] == kind
            assert statement["subject"][0]["digest"] == {"sha256": image["digest"].removeprefix("sha256:")}
            found = documents(result, platform)
            assert statement["predicate"] == (found[CYCLONEDX] if "cyclonedx" in kind else found[IN_TOTO]["predicate"])


def test_a_single_image_stays_a_manifest_unless_this_is_asked_for(locked: Path) -> None:
    plain, asked = top_of(made(locked, ONE)), top_of(made(locked, f"{ONE}\n{BUILDKIT}"))
    assert "config" in plain
    first, about = asked["manifests"]
    assert about["annotations"]["vnd.docker.reference.digest"] == first["digest"]
    assert first["digest"] == record(made(locked, ONE))["digest"]


def test_it_is_read_and_pushed_whole(locked: Path, registry: Uploads, tmp_path: Path) -> None:
    result = made(locked, f"{ONE}\n{BUILDKIT}")
    image = read_layout(result)
    assert len(image.manifests) == len(image.attestations) == 1
    assert [one.manifest.raw for one in image.to_write().attestations] == [image.attestations[0].manifest.raw]
    push(result, f"{registry.address}/acme/app", BlobStore(tmp_path / "another"), "1")
    repository = registry.repositories["acme/app"]
    assert digest(repository.manifests["1"].content) == record(result)["digest"]
    for one in top_of(result)["manifests"]:
        manifest = repository.manifest(one["digest"])
        assert manifest is not None
        document = json.loads(manifest.content)
        assert {layer["digest"] for layer in [document["config"], *document["layers"]]} <= repository.blobs.keys()


@pytest.mark.parametrize("form", ["oci-archive", "docker-archive"])
def test_archives_hold_them_too(form: str, locked: Path) -> None:
    made(locked, f'{ONE}\n{BUILDKIT}\nversions = ["{form}"]')


def test_it_serves_as_a_base(locked: Path, tmp_path: Path) -> None:
    result = made(locked, f"{ONE}\n{BUILDKIT}")
    base = resolve_with(f"oci:{result}", BlobStore(tmp_path / "another"))
    assert str(base.digest) == top_of(result)["manifests"][0]["digest"]
