"""The example with its dependencies, for two platforms, of which this machine can run one."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from . import containers
from .debian import ARCHITECTURES, PLATFORMS
from .images import OCI_TYPES, blob_path, read_images, read_top
from .projects import EXAMPLE, REPOSITORY, TAG, layout_of, record_of
from .requirements import require
from .sharing import shared_folder
from .shell import run
from .trees import VENV, Tree, assert_holds, files_in, machine_of, rows, site_packages

pytestmark = pytest.mark.e2e


def test_an_index_names_both_images(built: Path) -> None:
    """They are of OCI's types, in the order that the project gives, and the record tells of each."""
    images = read_images(layout_of(built))
    record = json.loads(record_of(built).read_text())
    assert list(images) == list(PLATFORMS)
    assert record["digest"] == read_top(layout_of(built))["digest"]
    assert record["lock"] == "requirements.txt"
    for platform, image in images.items():
        assert image.media_types == OCI_TYPES
        told = record["platforms"][platform]
        assert told["digest"] == image.descriptor["digest"]
        assert [layer["digest"] for layer in told["layers"]] == image.layer_digests
        assert {"hello-service", "msgspec", "starlette", "uvicorn"} <= told["packages"].keys()


def test_skopeo_copies_the_whole_index(built: Path, tmp_path: Path) -> None:
    """Every digest in it is verified on the way."""
    require("skopeo")
    run(
        "skopeo", "--insecure-policy", "copy", "--all", f"oci:{layout_of(built)}:{TAG}", f"oci:{tmp_path / 'all'}:{TAG}"
    )
    assert read_top(tmp_path / "all")["digest"] == read_top(layout_of(built))["digest"]
    shutil.rmtree(tmp_path / "all")


def test_every_row_of_every_record_holds(tree: Tree) -> None:
    """Hash and size are those of the file; and no file of the venv is there without a row."""
    found = rows(tree.root)
    assert len({row.file.parent for row in found if row.file.name == "RECORD"}) == len(_locked()) + 1
    for row in found:
        assert_holds(row)
    venv = tree.root / VENV
    recorded = {row.file.resolve() for row in found}
    others = {path for path in venv.rglob("*") if path.is_file() and not path.is_symlink()} - recorded
    assert others == {venv / "pyvenv.cfg"}


def test_extension_modules_are_for_the_platform(tree: Tree) -> None:
    binaries = list(site_packages(tree.root).rglob("*.so"))
    assert any("msgspec" in path.parts for path in binaries)
    assert {machine_of(path) for path in binaries} == {ARCHITECTURES[tree.architecture]}


def test_no_origin_is_recorded(tree: Tree) -> None:
    """`direct_url.json` would hold a path of this machine."""
    assert not list(site_packages(tree.root).rglob("direct_url.json"))


def test_layers_name_nothing_of_this_machine(built: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The project, its home, the cache and temporary files all lay below one folder."""
    places = [str(place).encode() for place in (shared_folder(tmp_path_factory), REPOSITORY, sys.prefix)]
    seen = 0
    for layers in _own_layers(built).values():
        for digest in layers.values():
            for name, content in files_in(blob_path(layout_of(built), digest)):
                seen += 1
                assert not any(place in content or place in name.encode() for place in places), name
    assert seen > 200


def test_layers_without_binaries_are_shared(built: Path) -> None:
    """Only what holds a compiled module is another for the other platform."""
    first, second = _own_layers(built).values()
    assert first.keys() == second.keys()
    assert {holds for holds in first if first[holds] != second[holds]} == {f"wheel msgspec {_locked()['msgspec']}"}


@pytest.mark.parametrize("tree", ["amd64"], indirect=True)
def test_it_serves_as_a_user_without_rights_on_a_read_only_root(tree: Tree) -> None:
    require("runc")
    port = containers.free_port()
    with containers.runc(tree.bundle, port, env={"PORT": str(port)}, user=1001, read_only=True):
        page = containers.fetch(port, "/")
        facts = json.loads(containers.fetch(port, "/facts"))
        style = containers.fetch(port, "/static/style.css")
    assert "<dd>1001</dd>" in page
    assert facts == {"greeting": "Hello from a container", "python": facts["python"], "user": 1001}
    assert style == (EXAMPLE / "static" / "style.css").read_text()


@pytest.mark.parametrize("tree", ["amd64"], indirect=True)
def test_uv_finds_nothing_missing_and_nothing_of_a_wrong_version(tree: Tree) -> None:
    require("chroot")
    from uv import find_uv_bin

    program, null = tree.root / "tmp" / "uv", tree.root / "dev" / "null"
    shutil.copy(find_uv_bin(), program)
    # uv lets Python read from it.
    null.touch()
    inside = ("chroot", tree.root, "/tmp/uv", "pip")
    options = ("--python=/app/.venv/bin/python", "--no-cache", "--offline", "--no-config")
    try:
        listed = json.loads(run(*inside, "list", "--format=json", *options, env={}).stdout)
        run(*inside, "check", *options, env={})
    finally:
        program.unlink()
        null.unlink()
    assert {entry["name"]: entry["version"] for entry in listed} == _locked() | {"hello-service": "1.0.0"}


def _own_layers(built: Path) -> dict[str, dict[str, str]]:
    """Answer for each platform what its layers above the base hold, with their digests."""
    record = json.loads(record_of(built).read_text())
    return {
        platform: {layer["holds"]: layer["digest"] for layer in told["layers"] if layer["holds"] != "base"}
        for platform, told in record["platforms"].items()
    }


def _locked() -> dict[str, str]:
    lines = (EXAMPLE / "requirements.txt").read_text().splitlines()
    pins = [line.split()[0].partition("==")[::2] for line in lines if "==" in line and not line.startswith(" ")]
    return dict(pins)
