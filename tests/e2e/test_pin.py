"""A base that is pinned stays, whatever its tag becomes; `pin --check` tells a pipeline that it moved."""

import difflib
import sys
import uuid
from pathlib import Path

import pytest

from . import bases
from .conftest import Registry
from .images import read_image
from .projects import hatchling_build, layout_of
from .registries import resolve
from .shell import Finished, run

pytestmark = pytest.mark.e2e


def test_the_example(project: Path, env: dict[str, str], registry: Registry) -> None:
    """One line changes; the tag moves, and the image does not, until an update writes another line."""
    # A tag that no other test knows.
    tag = f"pin-{uuid.uuid4()}"
    _copy(registry, bases.FORMS["oci"], tag)
    del env["BASE_IMAGE"]
    file = project / "pyproject.toml"
    tagged = f"{registry.address}/{bases.PYTHON}:{tag}"
    text = file.read_text().replace("BASE_IMAGE:python:3.13-slim", f"BASE_IMAGE:{tagged}")
    file.write_text(text)
    assert f"Base {tagged} is not pinned" in hatchling_build(project, env).stderr
    before = read_image(layout_of(project)).descriptor["digest"]

    digest = resolve(registry.address, bases.PYTHON, tag)["digest"]
    assert _pin(project, env).stdout == f"pyproject.toml: {tagged} is pinned to {digest}\n"
    assert _changed(text, file) == [f'base-image = "{{env:BASE_IMAGE:{tagged}@{digest}}}"']
    assert _pin(project, env, "--check").stdout == f"{tagged} still stands for {digest}\n"

    _copy(registry, bases.FORMS["index"], tag)
    moved = resolve(registry.address, bases.PYTHON, tag)["digest"]
    assert "is not pinned" not in hatchling_build(project, env).stderr
    assert read_image(layout_of(project)).descriptor["digest"] == before
    assert f"has moved from {digest} to {moved}" in _pin(project, env, "--check", expect=1).stdout

    told = _pin(project, env, "--update").stdout.splitlines()
    assert told == [
        f"pyproject.toml: {tagged} is pinned to {moved}",
        f"before: {digest}",
        "linux/amd64: 0 of 5 layers change",
    ]
    assert _changed(text, file) == [f'base-image = "{{env:BASE_IMAGE:{tagged}@{moved}}}"']


def _pin(project: Path, env: dict[str, str], *arguments: str, expect: int = 0) -> Finished:
    return run(sys.executable, "-m", "hatch_oci", "pin", *arguments, cwd=project, env=env, expect=expect)


def _copy(registry: Registry, source: str, tag: str) -> None:
    place = f"docker://{registry.address}/{bases.PYTHON}"
    tls = ("--src-tls-verify=false", "--dest-tls-verify=false")
    run("skopeo", "--insecure-policy", "copy", "--all", *tls, f"{place}:{source}", f"{place}:{tag}")


def _changed(before: str, file: Path) -> list[str]:
    lines = difflib.ndiff(before.splitlines(), file.read_text().splitlines())
    return [line[2:] for line in lines if line[0] == "+"]
