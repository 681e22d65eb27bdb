"""`format = "docker"`: Docker's media types everywhere, or a word on what cannot be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hatch_oci.assembly import check_format
from hatch_oci.base.resolve import Base
from hatch_oci.errors import BaseError, ConfigError
from hatch_oci.image import media_types as types
from hatch_oci.image.config import empty_config
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.manifest import make_manifest, read_manifest
from hatch_oci.image.platform import Platform
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import resolve_with, small_image
from tests.unit.documents import FIRST, SECOND
from tests.unit.layouts import write_tagged
from tests.unit.projects import builder_of, read_table

DOCKER = "application/vnd.docker"
MANIFEST, LIST = f"{DOCKER}.distribution.manifest.v2+json", f"{DOCKER}.distribution.manifest.list.v2+json"
CONFIG, LAYER = f"{DOCKER}.container.image.v1+json", f"{DOCKER}.image.rootfs.diff.tar"
TABLE = 'wheel = false\ncopy = [{from = "static", to = "/srv"}]'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HATCH_OCI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HATCH_QUIET", "1")
    root = tmp_path / "project"
    (root / "static").mkdir(parents=True)
    (root / "static" / "page.html").write_text("<p>hello</p>\n")
    return root


def build(project: Path, table: str) -> Path:
    (made,) = builder_of(project, f"{TABLE}\n{table}").build()
    return Path(made)


def blob(made: Path, descriptor: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((made / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes())
    return document


def top(made: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the descriptor of a layout's image, and its manifest or index."""
    index = json.loads((made / "index.json").read_bytes())
    # The layout itself stays one of OCI's, whatever is in it.
    assert index["mediaType"] == types.OCI_INDEX
    (descriptor,) = index["manifests"]
    return descriptor, blob(made, descriptor)


@pytest.mark.parametrize(("compression", "layer"), [("gzip", f"{LAYER}.gzip"), ("none", LAYER)])
def test_every_type_is_dockers(compression: str, layer: str, project: Path) -> None:
    made = build(project, f'base-image = "scratch"\nformat = "docker"\ncompression = "{compression}"')
    descriptor, manifest = top(made)
    assert descriptor["mediaType"] == manifest["mediaType"] == MANIFEST
    assert manifest["config"]["mediaType"] == CONFIG
    assert [one["mediaType"] for one in manifest["layers"]] == [layer]
    record = json.loads(made.with_name(f"{made.name}.json").read_bytes())
    assert (record["media-type"], record["digest"]) == (MANIFEST, descriptor["digest"])


def test_several_platforms_make_a_manifest_list(project: Path) -> None:
    made = build(project, 'base-image = "scratch"\nformat = "docker"\nplatforms = ["linux/amd64", "linux/arm64/v8"]')
    descriptor, listed = top(made)
    assert descriptor["mediaType"] == listed["mediaType"] == LIST
    assert [entry["mediaType"] for entry in listed["manifests"]] == [MANIFEST, MANIFEST]
    assert listed["manifests"][0]["platform"] == {"os": "linux", "architecture": "amd64"}
    assert {blob(made, entry)["mediaType"] for entry in listed["manifests"]} == {MANIFEST}
    assert not any("annotations" in one for one in (listed, *(blob(made, entry) for entry in listed["manifests"])))


def test_config_and_layers_are_those_of_the_oci_format_and_labels_stay(project: Path) -> None:
    oci, docker = (top(build(project, f'base-image = "scratch"\nformat = "{each}"'))[1] for each in ("oci", "docker"))
    assert "annotations" in oci
    assert "annotations" not in docker
    for part in (oci["config"], *oci["layers"], docker["config"], *docker["layers"]):
        part.pop("mediaType")
    assert (oci["config"], oci["layers"]) == (docker["config"], docker["layers"])


def test_the_golden_digest_of_a_small_image(project: Path) -> None:
    descriptor, _ = top(build(project, 'base-image = "scratch"\nformat = "docker"'))
    assert descriptor["digest"] == "sha256:d9c2c9f98f9be0807de37534422aa078bd110dd6d7a4b2ac8cb1a47e9e1b5503"


def test_an_image_of_dockers_types_is_a_base_for_both_formats(project: Path, store: BlobStore) -> None:
    made = build(project, 'base-image = "scratch"\nformat = "docker"\nplatforms = ["linux/amd64", "linux/arm64"]')
    below = made.rename(project / "below")
    base = resolve_with("oci:below", store, project)
    assert [one.media_type for one in base.layers] == [types.OCI_LAYER_GZIP]
    for name, layer in (("oci", types.OCI_LAYER_GZIP), ("docker", f"{LAYER}.gzip")):
        _, manifest = top(build(project, f'base-image = "oci:{below}"\nformat = "{name}"'))
        assert [one["mediaType"] for one in manifest["layers"]] == [layer, layer]


def test_a_layers_annotations_go_and_its_urls_stay() -> None:
    config = Descriptor(types.OCI_CONFIG, SECOND, 6)
    layer = Descriptor(types.OCI_LAYER_GZIP, FIRST, 5, None, ("https://example.com/x",), {"a": "b"})
    made = make_manifest(config, [layer], {"a": "b"}, types.DOCKER)
    assert made.layers == (replace(layer, media_type=f"{LAYER}.gzip", annotations={}),)
    assert read_manifest(made.raw, "it") == made


@pytest.mark.parametrize("kind", [types.OCI_LAYER_ZSTD, "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"])
def test_a_layer_that_docker_has_no_type_for_refuses_the_base(kind: str) -> None:
    plain = Descriptor(types.OCI_LAYER, SECOND, 5)
    layers = (plain, Descriptor(kind, FIRST, 5))
    base = Base("the base", None, None, None, empty_config(Platform("linux", "amd64")), layers, lambda _: iter(()))
    check_format(base, read_table({}))
    with pytest.raises(BaseError) as caught:
        check_format(base, read_table({"format": "docker"}))
    assert str(caught.value) == (
        f"the layer {FIRST} of the base is {kind}, which format = 'docker' cannot say: "
        'set format = "oci", or choose another base-image'
    )


def test_such_a_base_is_refused_before_its_layers_are_fetched(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = small_image()
    zstd = replace(one, manifest=one.manifest.replace(b"tar+gzip", b"tar+zstd"))
    base = write_tagged(project / "base", (zstd.manifest, None), images=(zstd,))
    for layer in json.loads(zstd.manifest)["layers"]:
        (base / "blobs" / layer["digest"].replace(":", "/")).unlink()
    with pytest.raises(SystemExit):
        build(project, 'base-image = "oci:base"\nformat = "docker"')
    assert "cannot say: set format" in capsys.readouterr().err


def test_annotations_have_no_place_there() -> None:
    with pytest.raises(ConfigError) as caught:
        read_table({"format": "docker", "annotations": {"a": "b"}})
    assert caught.value.mistakes == [
        "Field `t.annotations` cannot be there with format = 'docker', whose manifests have none: set `labels`"
    ]
    assert read_table({"format": "docker", "annotations": {}}).format == "docker"
