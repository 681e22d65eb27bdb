"""`python -m hatch_oci load`: what goes into an engine, here a script that keeps it, and how its failure reads."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from demo.base import digest
from hatch_oci.cli import main
from tests.unit.bases import ARM64, small_image
from tests.unit.layouts import blob_path, layers_of, write_layout

IMAGE = small_image()
NAMES = ["example.com/app:1.0", "example.com/app:latest"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, where no engine is installed."""
    (tmp_path / "bin").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


@pytest.fixture(autouse=True)
def layout(folder: Path) -> Path:
    return write_layout(folder / "dist/app-1.0.oci", [IMAGE], "example.com/app", ["1.0", "latest"])


def install(folder: Path, engine: str, script: str = "exec /bin/cat > loaded.tar") -> None:
    path = folder / "bin" / engine
    path.write_text(f"#!/bin/sh\necho $0 $* > called\n{script}\n")
    path.chmod(0o755)


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["load", *arguments]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    return errors.strip()


def test_an_engine_gets_a_docker_archive_and_the_names_are_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(folder, "podman")
    assert main(["load"]) == 0
    output, errors = capsys.readouterr()
    assert output.split() == NAMES
    assert errors == f"Loaded into podman; run it with `podman run --rm {NAMES[0]}`\n"
    assert (folder / "called").read_text().split("/")[-1] == "podman load\n"
    with tarfile.open(fileobj=io.BytesIO((folder / "loaded.tar").read_bytes())) as archive:
        member = archive.extractfile("manifest.json")
        assert member
        (entry,) = json.load(member)
        config = archive.extractfile(entry["Config"])
        assert config
        assert digest(config.read()) == json.loads(IMAGE.manifest)["config"]["digest"]
    assert entry["RepoTags"] == NAMES


def test_docker_is_taken_before_podman_unless_one_is_named(folder: Path) -> None:
    install(folder, "docker")
    install(folder, "podman")
    assert main(["load"]) == 0
    assert (folder / "called").read_text().endswith("/docker load\n")
    assert main(["load", "--engine", "podman"]) == 0
    assert (folder / "called").read_text().endswith("/podman load\n")


def test_without_an_engine_there_is_nothing_to_load_into(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert error_of(capsys) == "Error: docker or podman is not installed"
    install(folder, "podman")
    assert error_of(capsys, "--engine", "docker") == "Error: docker is not installed"


def test_an_engine_that_refuses_is_told_in_its_own_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(folder, "podman", "echo 'Error: no space left' >&2; exit 125")
    assert error_of(capsys) == "Error: podman load fails: no space left"
    install(folder, "podman", "exit 3")
    assert error_of(capsys) == "Error: podman load fails: exit code 3"


def test_an_engine_that_says_much_does_not_stop(folder: Path) -> None:
    install(
        folder, "podman", "i=0; while [ $i -lt 20000 ]; do echo $i.......... >&2; i=$((i+1)); done; exec /bin/cat > x"
    )
    assert main(["load"]) == 0


def test_an_engine_runs_one_platform(layout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_layout(layout, [IMAGE, small_image("arm", ARM64)], "example.com/app")
    assert error_of(capsys).startswith("Error: an engine on this machine runs one platform")


def test_a_sparse_layout_is_no_image_for_an_engine(layout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blob_path(layout, layers_of(IMAGE)[0]).unlink()
    assert error_of(capsys).endswith("build it without HATCH_OCI_SPARSE")
