"""What a build puts on disk, and what it does not."""

import json
from pathlib import Path

import pytest

from . import bases
from .conftest import Registry
from .images import read_image
from .projects import TAG, hatchling_build, layout_of, record_of
from .registries import resolve

pytestmark = pytest.mark.e2e


def test_nothing_else_changes(project: Path, env: dict[str, str]) -> None:
    """A second build takes the first one's place; neither leaves anything beside it or among temporary files."""
    before = _files(project)
    for _ in range(2):
        hatchling_build(project, env)
        assert _files(project) == before
        assert sorted(path.name for path in (project / "dist").iterdir()) == [
            layout_of(project).name,
            record_of(project).name,
        ]
        assert not list(Path(env["TMPDIR"]).iterdir())


def test_the_record_tells_of_the_image(project: Path, env: dict[str, str], registry: Registry) -> None:
    """Digests, tags, layers and base stand in the record as they are in the layout and the registry."""
    hatchling_build(project, env)
    image = read_image(layout_of(project))
    record = json.loads(record_of(project).read_text())
    assert record["digest"] == image.descriptor["digest"]
    assert record["tags"] == [TAG]
    platform = record["platforms"]["linux/amd64"]
    assert platform["config-digest"] == image.manifest["config"]["digest"]
    assert [layer["digest"] for layer in platform["layers"]] == image.layer_digests
    assert [layer["diff-id"] for layer in platform["layers"]] == image.config["rootfs"]["diff_ids"]
    assert record["base"]["reference"] == registry.base("oci")
    assert record["base"]["digest"] == resolve(registry.address, bases.PYTHON, bases.FORMS["oci"])["digest"]
    assert record["lock"] == "requirements.txt"
    assert platform["wheel"]["filename"] == "hello_service-1.0.0-py3-none-any.whl"


def _files(project: Path) -> dict[str, bytes]:
    inside = (path for path in project.rglob("*") if path.is_file() and "dist" not in path.parts)
    return {str(path): path.read_bytes() for path in inside}
