"""Archives: what other tools make of ours, and what a build makes of theirs."""

import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from . import containers
from .images import read_blob, read_image
from .projects import NAME, TAG, VERSION, hatchling_build, layout_of, set_table
from .registries import resolve, serve
from .requirements import require
from .samples import PUBLIC
from .samples import TAG as SAMPLE_TAG
from .shell import run

pytestmark = pytest.mark.e2e

SKOPEO = ("skopeo", "--insecure-policy")
FORMS = ("layout", "oci-archive", "docker-archive")
REPOSITORY = "example.com/acme/app"
NAMES = [f"{REPOSITORY}:{tag}" for tag in (TAG, "latest")]
TABLE = """
base-image = "{env:BASE_IMAGE}"
wheel = false
lock = false
copy = [{ from = "static", to = "/srv/static" }]
"""
TAGGED = f'{TABLE}\nrepository = "{REPOSITORY}"\ntags = ["{{version}}", "latest"]\n'


@pytest.fixture
def reference(sample_storage: Path, tmp_path: Path) -> Iterator[str]:
    """Serve the sample, and name it."""
    with serve(sample_storage, tmp_path / "registry") as address:
        yield f"{address}/{PUBLIC}:{SAMPLE_TAG}"


@pytest.fixture
def built(project: Path, user: dict[str, str], reference: str) -> Path:
    """Answer the project with an image on the sample, in every form."""
    set_table(project, TAGGED)
    hatchling_build(project, user | {"BASE_IMAGE": reference}, forms=FORMS)
    return project


def archive_of(project: Path, kind: str) -> Path:
    return project / "dist" / f"{NAME}-{VERSION}.{kind}.tar"


def build_on(project: Path, user: Mapping[str, str], base: str) -> tuple[str, dict[str, Any]]:
    """Build on another base, beside what is there, and answer the digest of the image and its config."""
    set_table(project, TABLE)
    hatchling_build(project, {**user, "BASE_IMAGE": base}, output="above")
    image = read_image(project / "above" / layout_of(project).name)
    return image.descriptor["digest"], image.config


def first_image(layout: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Answer the descriptor and the manifest of a layout's first tag."""
    descriptor = json.loads((layout / "index.json").read_text())["manifests"][0]
    return descriptor, read_blob(layout, descriptor)


def test_skopeo_finds_the_same_image_in_each_archive(built: Path, tmp_path: Path) -> None:
    require("skopeo")
    descriptor, manifest = first_image(layout_of(built))
    config = read_blob(layout_of(built), manifest["config"])
    sources = [f"oci-archive:{archive_of(built, 'oci')}:{tag}" for tag in (TAG, "latest")]
    sources += [f"docker-archive:{archive_of(built, 'docker')}:{name}" for name in NAMES]
    for number, source in enumerate(sources):
        target = tmp_path / str(number)
        run(*SKOPEO, "copy", source, f"dir:{target}")
        copied = json.loads((target / "manifest.json").read_text())
        assert copied["config"]["digest"] == manifest["config"]["digest"]
        if source.startswith("oci"):
            assert run(*SKOPEO, "inspect", "--format={{.Digest}}", source).stdout.strip() == descriptor["digest"]
            assert copied == manifest
        else:
            # Out of a Docker archive skopeo takes layers unpacked.
            assert [layer["digest"] for layer in copied["layers"]] == config["rootfs"]["diff_ids"]


@pytest.mark.parametrize(("form", "types"), [("oci", "oci"), ("docker", "oci"), ("docker", "docker")])
def test_podman_loads_the_image_with_its_names(
    form: str, types: str, project: Path, user: dict[str, str], reference: str
) -> None:
    require("podman", "runc")
    # Of an OCI archive podman takes one image, and counts tags as images.
    tags = [TAG] if form == "oci" else [TAG, "latest"]
    set_table(project, f'{TABLE}\nrepository = "{REPOSITORY}"\ntags = {json.dumps(tags)}\nformat = "{types}"\n')
    hatchling_build(project, user | {"BASE_IMAGE": reference}, forms=FORMS)
    _, manifest = first_image(layout_of(project))
    with containers.podman() as podman:
        podman("load", "--input", archive_of(project, form))
        assert podman.images() == {f"{REPOSITORY}:{tag}": manifest["config"]["digest"] for tag in tags}


def test_load_streams_the_image_into_podman(built: Path, user: dict[str, str], tmp_path: Path) -> None:
    require("podman", "runc")
    _, manifest = first_image(layout_of(built))
    with containers.podman() as podman:
        # So that the podman that is found works in its own folder.
        script = tmp_path / "bin" / "podman"
        script.parent.mkdir()
        script.write_text(f'#!/bin/sh\nexec {shlex.join(["/usr/bin/podman", *podman.command[1:]])} "$@"\n')
        script.chmod(0o755)
        command = (
            "env",
            f"PATH={script.parent}:/usr/bin:/bin",
            sys.executable,
            "-m",
            "hatch_oci",
            "load",
            "--engine=podman",
        )
        assert run(*command, cwd=built, env={**user, **podman.environment}).stdout.split() == NAMES
        assert podman.images() == dict.fromkeys(NAMES, manifest["config"]["digest"])


def test_a_build_on_each_archive_is_a_build_on_the_layout(built: Path, user: dict[str, str]) -> None:
    expected = build_on(built, user, f"oci:{layout_of(built)}:{TAG}")
    assert build_on(built, user, f"oci-archive:{archive_of(built, 'oci')}") == expected
    assert build_on(built, user, f"docker-archive:{archive_of(built, 'docker')}:{NAMES[1]}") == expected


def test_a_build_on_skopeos_archives(built: Path, user: dict[str, str], tmp_path: Path) -> None:
    require("skopeo")
    layout = f"oci:{layout_of(built)}:{TAG}"
    run(*SKOPEO, "copy", layout, f"oci-archive:{tmp_path / 'oci.tar'}:{TAG}")
    run(*SKOPEO, "copy", layout, f"docker-archive:{tmp_path / 'docker.tar'}:{NAMES[0]}")
    digest, config = build_on(built, user, layout)
    assert build_on(built, user, f"oci-archive:{tmp_path / 'oci.tar'}")[0] == digest
    _, unpacked = build_on(built, user, f"docker-archive:{tmp_path / 'docker.tar'}")
    assert unpacked["rootfs"] == config["rootfs"]
    assert unpacked["config"] == config["config"] | {"Labels": unpacked["config"]["Labels"]}


def test_a_build_on_what_podman_saves(built: Path, user: dict[str, str], tmp_path: Path) -> None:
    require("podman", "runc")
    _, config = build_on(built, user, f"oci:{layout_of(built)}:{TAG}")
    with containers.podman() as podman:
        podman("load", "--input", archive_of(built, "docker"))
        for form in ("docker-archive", "oci-archive"):
            podman("save", f"--format={form}", f"--output={tmp_path / form}", NAMES[0])
    for base in (f"docker-archive:{tmp_path / 'docker-archive'}:{NAMES[0]}", f"oci-archive:{tmp_path / 'oci-archive'}"):
        assert build_on(built, user, base)[1]["rootfs"] == config["rootfs"]


def test_a_registry_keeps_an_image_of_dockers_types_as_it_is(
    project: Path, user: dict[str, str], reference: str, tmp_path: Path
) -> None:
    require("skopeo")
    set_table(project, f'{TABLE}\nformat = "docker"\n')
    hatchling_build(project, user | {"BASE_IMAGE": reference})
    image = read_image(layout_of(project))
    with serve(tmp_path / "storage", tmp_path / "another") as address:
        target = f"docker://{address}/acme/app:{TAG}"
        # By its tag skopeo finds only what has one of OCI's types.
        run(*SKOPEO, "copy", "--dest-tls-verify=false", f"oci:{layout_of(project)}", target)
        pushed = resolve(address, "acme/app", TAG)
    assert {key: image.descriptor[key] for key in pushed} == pushed
    assert pushed["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert all("vnd.docker." in media_type for media_type in image.media_types)


def test_the_example_serves_out_of_a_docker_archive(project: Path, env: dict[str, str]) -> None:
    """What podman loads is not only named rightly, it runs."""
    require("podman", "runc")
    hatchling_build(project, env, forms=["docker-archive"])
    port = containers.free_port()
    with containers.podman() as podman:
        podman("load", "--input", archive_of(project, "docker"))
        (name,) = podman.images()
        with podman.running(name, port, env={"PORT": str(port), "GREETING": "Hello out of an archive"}):
            assert "Hello out of an archive" in containers.fetch(port, "/")
