"""The image under other conditions and runtimes than the one it was tried with first."""

from pathlib import Path

import pytest

from . import containers
from .images import read_image
from .projects import TAG, hatchling_build, layout_of, set_table
from .requirements import require
from .shell import run

pytestmark = pytest.mark.e2e


@pytest.fixture
def layout(project: Path, env: dict[str, str]) -> Path:
    """Answer the example's image."""
    hatchling_build(project, env)
    return layout_of(project)


def test_a_read_only_root_and_an_unknown_user(layout: Path, tmp_path: Path) -> None:
    """Nothing is written at the start, and no entry in passwd is asked for."""
    require("umoci", "runc")
    port = containers.free_port()
    with containers.unpacked(layout, TAG, tmp_path / "bundle") as bundle:
        assert ":54321:" not in (bundle / "rootfs" / "etc" / "passwd").read_text()
        with containers.runc(bundle, port, env={"PORT": str(port)}, user=54321, read_only=True):
            page = containers.fetch(port, "/")
    assert "54321" in page


def test_a_bare_chroot(layout: Path, tmp_path: Path) -> None:
    """Without any runtime: the unpacked files, the config's command and a user without rights."""
    require("umoci", "chroot")
    port = containers.free_port()
    with (
        containers.unpacked(layout, TAG, tmp_path / "bundle") as bundle,
        containers.chroot(bundle, port, env={"PORT": str(port)}, user=10001),
    ):
        assert "10001" in containers.fetch(port, "/")


def test_podman_runs_the_layout(layout: Path) -> None:
    """podman takes the layout as it lies there; the environment on its command line wins."""
    require("podman", "runc")
    port = containers.free_port()
    variables = {"PORT": str(port), "GREETING": "Hello from podman"}
    with containers.podman() as podman, podman.running(f"oci:{layout}:{TAG}", port, env=variables):
        page = containers.fetch(port, "/")
    assert "Hello from podman" in page
    assert "10001" in page


@pytest.mark.parametrize("compression", ["gzip-reuse", "zstd"])
def test_other_compressions_start(compression: str, project: Path, env: dict[str, str], tmp_path: Path) -> None:
    """skopeo unpacks every layer to what its diff_id says, and podman serves the same page as from gzip."""
    require("skopeo", "podman", "runc")
    file = project / "pyproject.toml"
    head, table, rest = file.read_text().partition("[tool.hatch.build.targets.oci]\n")
    file.write_text(f'{head}{table}compression = "{compression}"\n{rest}')
    hatchling_build(project, env)
    image = read_image(layout_of(project))
    run(
        "skopeo",
        "--insecure-policy",
        "copy",
        "--dest-decompress",
        f"oci:{layout_of(project)}:{TAG}",
        f"dir:{tmp_path / 'plain'}",
    )
    for diff_id in image.config["rootfs"]["diff_ids"]:
        assert (tmp_path / "plain" / diff_id.removeprefix("sha256:")).is_file()
    assert any(layer["mediaType"].endswith("zstd") for layer in image.manifest["layers"]) == (compression == "zstd")
    port = containers.free_port()
    with (
        containers.podman() as podman,
        podman.running(f"oci:{layout_of(project)}:{TAG}", port, env={"PORT": str(port)}),
    ):
        assert "10001" in containers.fetch(port, "/")


def test_a_folder_below_a_symlink(project: Path, env: dict[str, str], tmp_path: Path) -> None:
    """The base's `/lib` stays the symlink that it is, or nothing would start any more."""
    require("umoci", "runc")
    table = """
base-image = "{env:BASE_IMAGE}"
copy = [{ from = "static", to = "/lib/hello" }]
env = { STATIC_DIR = "/lib/hello" }
user = "10001"
"""
    set_table(project, table)
    hatchling_build(project, env)
    port = containers.free_port()
    with containers.unpacked(layout_of(project), TAG, tmp_path / "bundle") as bundle:
        assert (bundle / "rootfs" / "lib").is_symlink()
        with containers.runc(bundle, port, env={"PORT": str(port)}):
            style = containers.fetch(port, "/static/style.css")
    assert style == (project / "static" / "style.css").read_text()


def test_nothing_is_written_as_root_only(layout: Path, tmp_path: Path) -> None:
    """Everything that the build added can be read by a user without rights."""
    require("umoci")
    with containers.unpacked(layout, TAG, tmp_path / "bundle") as bundle:
        for folder in ("app", "srv"):
            for path in (bundle / "rootfs" / folder).rglob("*"):
                mode = path.lstat().st_mode
                assert path.is_symlink() or mode & 0o004, path
                assert not mode & 0o022 or path.is_symlink(), path
