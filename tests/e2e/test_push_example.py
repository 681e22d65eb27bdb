"""The example, with its wheel and on the base with Python, to the registry that has the base."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import bases
from .images import read_image
from .projects import hatchling_build, layout_of
from .pushes import APP, COPY, methods, own_storage, pull, push, push_json, top_digest
from .registries import requests_of, serve
from .taps import Tap, serve_tap

pytestmark = pytest.mark.e2e


@pytest.fixture
def tap(registry_storage: Path, tmp_path: Path) -> Iterator[Tap]:
    """Serve a registry with the bases in it by a wire that is tapped."""
    storage = own_storage(registry_storage, tmp_path / "storage")
    with serve(storage, tmp_path / "registry") as address, serve_tap(address) as tap:
        yield tap


def documents_of(layout: Path) -> dict[str, dict[str, Any]]:
    """Answer the descriptors of what the documents that go with an image consist of, by digest."""
    entries = json.loads((layout / "referrers.json").read_text())["manifests"]
    manifests = [json.loads((layout / "blobs" / one["digest"].replace(":", "/")).read_text()) for one in entries]
    return {part["digest"]: part for one in manifests for part in (one["config"], *one["layers"])}


def test_the_example_is_pushed_changed_and_pushed_again(
    project: Path, user: dict[str, str], tap: Tap, tmp_path: Path
) -> None:
    env = user | {"BASE_IMAGE": f"{tap.address}/{bases.PYTHON}:{bases.FORMS['oci']}"}
    layout, to, scratch = layout_of(project), f"{tap.address}/{APP}", tmp_path / "registry"
    hatchling_build(project, env)
    tap.reset()
    first = push_json(env, layout, "--to", to)
    manifest = read_image(layout).manifest
    about = documents_of(layout)
    own = [manifest["config"], *manifest["layers"][5:], *about.values()]
    assert first["uploaded-bytes"] == sum(part["size"] for part in own)
    # Requests and headers are little beside it, and nothing was sent twice.
    assert tap.up < first["uploaded-bytes"] + 32_000
    assert pull(f"{to}:1.0.0", tmp_path / "pulled", env) == top_digest(layout)

    source = project / "hello_service" / "cli.py"
    source.write_text(source.read_text() + "\n# A change.\n")
    hatchling_build(project, env)
    assert top_digest(layout) != first["digest"]
    before = len(requests_of(scratch))
    tap.reset()
    push(env, layout, "--to", to)
    asked = requests_of(scratch)[before:]
    # The config, the app's layer, and the two documents; these and their list are manifests, too.
    assert methods(asked).count("PUT upload") == 4
    assert methods(asked).count("PUT manifest") == 1 + 2 + 1
    assert len(asked) <= 24
    assert tap.up < 64_000
    assert pull(f"{to}:1.0.0", tmp_path / "pulled", env) == top_digest(layout)

    before = len(requests_of(scratch))
    pushed = push_json(env, layout, "--to", f"{tap.address}/{COPY}")
    parts = len(manifest["layers"]) + 1 + len(about)
    listed = ["GET manifest", "PUT manifest", "GET manifest"]
    assert methods(requests_of(scratch)[before:]) == ["POST mount"] * parts + ["PUT manifest"] * 3 + listed
    assert pushed["uploaded-bytes"] == 0
    assert pull(f"{tap.address}/{COPY}:1.0.0", tmp_path / "pulled", env) == top_digest(layout)
