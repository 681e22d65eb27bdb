"""Archives as bases: what is found in them is what is found in a layout of the same image."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.base import digest
from hatch_oci.base.resolve import fetch_layers
from hatch_oci.cli import main
from hatch_oci.errors import OCIError
from hatch_oci.report import QUIET
from hatch_oci.store.blobs import BlobStore
from tests.unit.archives import docker_archive, fetched_layers, oci_archive, refusal, saved
from tests.unit.bases import ARM64, index_of, resolve_with, small_image
from tests.unit.projects import builder_of


def test_an_oci_archive_is_as_good_as_its_layout(tmp_path: Path, store: BlobStore) -> None:
    small = small_image()
    oci_archive(tmp_path, (small.manifest, "1"), images=(small,))
    base = resolve_with("oci-archive:base.tar", store, tmp_path)
    assert str(base.digest) == digest(small.manifest)
    assert base.image_name is None
    assert base.layers == resolve_with("oci:layout of archive", store, tmp_path).layers
    assert fetched_layers(base, store) == [small.blobs[one["digest"]] for one in json.loads(small.manifest)["layers"]]


def test_tag_and_platform_choose_in_an_oci_archive(tmp_path: Path, store: BlobStore) -> None:
    amd, arm, other = small_image("amd"), small_image("arm", ARM64), small_image("other")
    both = index_of([(amd.manifest, {}), (arm.manifest, {})])
    oci_archive(tmp_path, (both, "both"), (other.manifest, "other"), images=(amd, arm, other))
    found = resolve_with("oci-archive:base.tar:both", store, tmp_path, "linux/arm64")
    assert str(found.digest) == digest(arm.manifest)
    assert str(resolve_with("oci-archive:base.tar:other", store, tmp_path).digest) == digest(other.manifest)
    assert refusal("oci-archive:base.tar:third", tmp_path, store) == (
        "oci-archive:base.tar:third has no image 'third'; it has: both, other. Name one, as in oci-archive:PATH:TAG"
    )


@pytest.mark.parametrize("scheme", ["oci-archive", "docker-archive"])
def test_every_byte_is_checked(scheme: str, tmp_path: Path, store: BlobStore) -> None:
    small = small_image()
    blob = json.loads(small.manifest)["layers"][1]["digest"]
    path = oci_archive(tmp_path, (small.manifest, "1"), images=(small,))
    if scheme == "docker-archive":
        # After its layers were hashed, and behind everybody's back.
        path = docker_archive(tmp_path, saved(small, None))
        base = resolve_with("docker-archive:base.tar", store, tmp_path)
    damaged = path.read_bytes().replace(small.blobs[blob], small.blobs[blob][:-1] + b"\xaa")
    path.write_bytes(damaged)
    if scheme == "oci-archive":
        base = resolve_with("oci-archive:base.tar", store, tmp_path)
    with pytest.raises(OCIError, match=f"a layer of {scheme}:base.tar: {blob} was asked for, but"):
        fetch_layers(base, store, QUIET)
    assert not store.path(base.layers[1].digest).exists()


@pytest.mark.parametrize("scheme", ["oci-archive", "docker-archive"])
def test_an_archive_can_be_inspected(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HATCH_OCI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    small = small_image(config={"User": "me"})
    if scheme == "oci-archive":
        oci_archive(tmp_path, (small.manifest, "1"), images=(small,))
    else:
        docker_archive(tmp_path, saved(small, ["app:1"]))
    assert main(["inspect", f"{scheme}:base.tar", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["config-digest"] == json.loads(small.manifest)["config"]["digest"]
    assert found["reached"] is None
    (tmp_path / "base.tar").write_bytes(b"\x1f\x8b rest")
    assert main(["inspect", f"{scheme}:base.tar"]) == 1
    assert capsys.readouterr().err == (
        f"Error: {scheme}:base.tar: compressed with gzip, which cannot be read in place: "
        "unpack it to a plain tar first\n"
    )


def test_a_build_on_an_archive_is_a_build_on_the_layout_it_was_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HATCH_OCI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HATCH_QUIET", "1")
    below, above = tmp_path / "below", tmp_path / "above"
    table = 'wheel = false\ncopy = [{from = "file", to = "/srv/"}]'
    for folder in (below, above):
        folder.mkdir()
        (folder / "file").write_text(folder.name)
    forms = 'versions = ["layout", "oci-archive", "docker-archive"]\ntags = ["1", "2"]\nrepository = "r.example/base"'
    made = dict(
        zip(
            ("oci", "oci-archive", "docker-archive"),
            builder_of(below, f'base-image = "scratch"\n{table}\n{forms}').build(),
            strict=True,
        )
    )
    bases = [f"{scheme}:{path}" for scheme, path in made.items()]
    bases += [f"oci-archive:{made['oci-archive']}:2", f"docker-archive:{made['docker-archive']}:r.example/base:2"]
    # What `docker load` takes is a layout as well.
    bases += [f"oci-archive:{made['docker-archive']}:1"]
    indexes = set()
    for base in bases:
        (path,) = builder_of(above, f'base-image = "{base}"\n{table}').build()
        indexes.add((Path(path) / "index.json").read_bytes())
    assert len(indexes) == 1
