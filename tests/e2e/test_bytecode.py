"""Bytecode in the image: its Python loads ours, and compiles nothing itself."""

import re
from pathlib import Path

import pytest

from . import containers
from .bases import MINOR
from .conftest import Registry
from .images import blob_path, read_image
from .projects import TAG, environment, hatchling_build, layout_of, set_table
from .requirements import require
from .shell import run
from .trees import files_in

pytestmark = pytest.mark.e2e

TABLE = """
base-image = "{env:BASE_IMAGE}"
copy = [{ from = "static", to = "/srv/static" }]
user = "10001"
bytecode = true
"""


@pytest.fixture
def layout(project: Path, env: dict[str, str]) -> Path:
    """Answer the example's image with bytecode of all."""
    set_table(project, TABLE)
    hatchling_build(project, env)
    return layout_of(project)


def test_python_loads_it_and_compiles_nothing(layout: Path, tmp_path: Path) -> None:
    """Told to talk, Python says of each module whether bytecode was found for it."""
    require("umoci", "chroot", "runc")
    port = containers.free_port()
    with containers.unpacked(layout, TAG, tmp_path / "bundle") as bundle:
        python = "/app/.venv/bin/python"
        done = run("chroot", bundle / "rootfs", python, "-v", "-c", "import hello_service.cli", env={})
        with containers.runc(bundle, port, env={"PORT": str(port)}, read_only=True):
            assert "10001" in containers.fetch(port, "/")
    loaded = set(re.findall(r"# \S+\.pyc matches (\S+)", done.stderr))
    compiled = set(re.findall(r"# code object from '(\S+\.py)'", done.stderr))
    assert f"/app/.venv/lib/python{MINOR}/site-packages/hello_service/cli.py" in loaded
    assert f"/app/.venv/lib/python{MINOR}/site-packages/starlette/applications.py" in loaded
    assert f"/usr/local/lib/python{MINOR}/argparse.py" in loaded
    assert len(loaded) > 200
    assert not compiled
    assert "# wrote" not in done.stderr


def test_two_builds_are_equal(project: Path, layout: Path, registry: Registry, tmp_path: Path) -> None:
    """The second compiles again, in other processes: it has a cache of its own."""
    first = read_image(layout)
    changed = {"PYTHONHASHSEED": "4242", "TZ": "America/Caracas"}
    env = environment(tmp_path / "another-home", BASE_IMAGE=registry.base("oci"), **changed)
    hatchling_build(project, env, output="again", umask=0o077)
    assert read_image(project / "again" / layout.name) == first


def test_bytecode_is_beside_its_source_and_names_it(layout: Path) -> None:
    """No path of this machine is in it, and nothing that has to do with when or where it was made."""
    files = {
        name: content
        for digest in read_image(layout).layer_digests
        for name, content in files_in(blob_path(layout, digest))
        if name.startswith("app/")
    }
    found = [name for name in files if name.endswith(".pyc")]
    assert len(found) > 100
    for name in found:
        source = re.sub(r"__pycache__/([^/]+)\.cpython-\d+t?\.pyc$", r"\1.py", name)
        assert source in files
        # Unchecked-hash: flags 1 (PEP 552), so the source's date, which is the same for all, does not count.
        assert files[name][4:8] == b"\x01\0\0\0"
        assert f"/{source}".encode() in files[name]
