"""Dependency layers are the same ones until the lock changes: made, pushed and pulled once."""

import json
from pathlib import Path

import pytest

from . import bases
from .conftest import Registry
from .images import read_image
from .layers import OCI
from .projects import NAME, environment, hatchling_build, layout_of, record_of
from .registries import push_blob, push_manifest

pytestmark = pytest.mark.e2e

PATCHED = f"{bases.MINOR}.99"


def test_version_date_and_patch_level_change_no_dependency_layer(
    project: Path, env: dict[str, str], registry: Registry, tmp_path: Path
) -> None:
    """The second build makes them anew, in a cache of its own; only the venv and the project are others."""
    hatchling_build(project, env)
    first = _layers(record_of(project))
    file = project / "pyproject.toml"
    file.write_text(file.read_text().replace('version = "1.0.0"', 'version = "1.0.1"'))
    changed = environment(
        tmp_path / "another-home",
        BASE_IMAGE=_push_patched(registry, layout_of(project), record_of(project)),
        SOURCE_DATE_EPOCH="1700000000",
    )
    hatchling_build(project, changed)
    second = _layers(project / "dist" / f"{NAME}-1.0.1.oci.json")

    assert [holds for holds in second if second[holds] != first.get(holds)] == [
        "venv /app/.venv",
        "wheel hello-service 1.0.1",
    ]
    assert len(second) == len(first)
    assert [holds.split()[:2] for holds in second][1:3] == [["wheel", "msgspec"], ["wheels", "anyio,"]]
    image = read_image(project / "dist" / f"{NAME}-1.0.1.oci")
    assert image.config["created"] == "2023-11-14T22:13:20Z"
    assert image.environment["PYTHON_VERSION"] == PATCHED


def _layers(record: Path) -> dict[str, str]:
    """Answer what our layers hold, in order, with their digests."""
    layers = json.loads(record.read_text())["platforms"]["linux/amd64"]["layers"]
    return {layer["holds"]: layer["digest"] for layer in layers if layer["holds"] != "base"}


def _push_patched(registry: Registry, layout: Path, record: Path) -> str:
    """Push the base as its next release may be: the same files will do, which say to be of a later patch level."""
    image = read_image(layout)
    layers = image.manifest["layers"][: -len(_layers(record))]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": [f"PATH={bases.PATH}", f"PYTHON_VERSION={PATCHED}"]},
        "rootfs": {"type": "layers", "diff_ids": image.config["rootfs"]["diff_ids"][: len(layers)]},
    }
    described = {"mediaType": f"{OCI}.config.v1+json"} | push_blob(
        registry.address, bases.PYTHON, json.dumps(config).encode()
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": described,
        "layers": layers,
    }
    push_manifest(registry.address, bases.PYTHON, "patched", manifest)
    return f"{registry.address}/{bases.PYTHON}:patched"
