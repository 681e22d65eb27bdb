"""A base that was pulled once, and is named by its digest, needs no registry any more."""

import shutil
from pathlib import Path

import pytest

from . import bases
from .images import read_image
from .projects import copy_example, environment, hatchling_build, layout_of
from .registries import resolve, serve

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("package_index")]


@pytest.mark.parametrize("form", sorted(bases.FORMS))
def test_the_registry_is_stopped(form: str, project: Path, registry_storage: Path, tmp_path: Path) -> None:
    """The second build, with the cache alone, gives the image of the first."""
    with serve(registry_storage, tmp_path / "registry") as address:
        digest = resolve(address, bases.PYTHON, bases.FORMS[form])["digest"]
        env = environment(tmp_path / "home", BASE_IMAGE=f"{address}/{bases.PYTHON}@{digest}")
        hatchling_build(project, env)
    first = read_image(layout_of(project))
    shutil.rmtree(project / "dist")
    hatchling_build(project, env)
    assert read_image(layout_of(project)) == first


def test_a_tag_must_be_asked_for(project: Path, registry_storage: Path, tmp_path: Path) -> None:
    """A tag may have moved, so nothing is built without the registry; a line says who did not answer."""
    with serve(registry_storage, tmp_path / "registry") as address:
        env = environment(tmp_path / "home", BASE_IMAGE=f"{address}/{bases.PYTHON}:{bases.FORMS['oci']}")
        hatchling_build(project, env)
    first = read_image(layout_of(project))
    done = hatchling_build(project, env, expect=1)
    assert address in done.stderr
    assert "Traceback" not in done.stderr
    assert read_image(layout_of(project)) == first


def test_a_clone_elsewhere_is_built_from_the_cache_alone(registry_storage: Path, tmp_path: Path) -> None:
    """A pipeline keeps our cache, and checks its sources out to wherever it likes; uv's own cache may be gone."""
    with serve(registry_storage, tmp_path / "registry") as address:
        digest = resolve(address, bases.PYTHON, bases.FORMS["oci"])["digest"]
        env = environment(tmp_path / "home", BASE_IMAGE=f"{address}/{bases.PYTHON}@{digest}")
        first, second = (copy_example(tmp_path / name) for name in ("first", "second"))
        hatchling_build(first, env)
    hatchling_build(second, env | {"HATCH_OCI_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "uv")})
    assert read_image(layout_of(second)) == read_image(layout_of(first))
