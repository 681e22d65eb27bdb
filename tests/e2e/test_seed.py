"""The image that this project began with: an old Docker base without Python, and a folder on top."""

from pathlib import Path

import pytest

from . import bases
from .conftest import Registry
from .images import OCI_TYPES, read_image
from .projects import TAG, hatchling_build, layout_of, set_table
from .requirements import require
from .shell import run

pytestmark = pytest.mark.e2e

TABLE = """
base-image = "{env:BASE_IMAGE}"
wheel = false
lock = false
copy = [{ from = "static", to = "/app/wwwroot" }]
entrypoint = ["dotnet", "/app/service.dll"]
cmd = "--urls 'http://+:8080'"
ports = [8080, "53/udp"]
env = { ASPNETCORE_URLS = "http://+:8080", TZ = "UTC" }
working-dir = "/app"
volumes = ["/app/data"]
user = "1001"
stop-signal = "SIGINT"
labels = { "com.example.team" = "seed" }
"""


@pytest.fixture
def layout(project: Path, env: dict[str, str], registry: Registry) -> Path:
    """Answer the image of `TABLE`."""
    set_table(project, TABLE)
    hatchling_build(project, env | {"BASE_IMAGE": f"{registry.address}/{bases.SEED}:{bases.SEED_TAG}"})
    return layout_of(project)


def test_five_layers_of_oci_types(layout: Path) -> None:
    """The base's four and the folder's own, and no Docker type is left."""
    image = read_image(layout)
    assert len(image.layer_digests) == len(image.config["rootfs"]["diff_ids"]) == 5
    assert image.media_types == OCI_TYPES


def test_the_config_is_as_set(layout: Path) -> None:
    """Nulls of the base are filled, and the keys that name a container of long ago are gone."""
    image = read_image(layout)
    settings = image.config["config"]
    assert settings["Entrypoint"] == ["dotnet", "/app/service.dll"]
    assert settings["Cmd"] == ["--urls", "http://+:8080"]
    assert settings["ExposedPorts"] == {"8080/tcp": {}, "53/udp": {}}
    assert settings["WorkingDir"] == "/app"
    assert settings["Volumes"] == {"/app/data": {}}
    assert settings["User"] == "1001"
    assert settings["StopSignal"] == "SIGINT"
    assert settings["Labels"]["com.example.team"] == "seed"
    assert image.environment == {"PATH": bases.PATH, "ASPNETCORE_URLS": "http://+:8080", "TZ": "UTC"}
    assert not {"container", "container_config"} & image.config.keys()
    assert "Image" not in settings
    assert len(image.config["history"]) == 5


def test_tools_accept_it(layout: Path, project: Path, tmp_path: Path) -> None:
    """skopeo verifies every digest, and umoci unpacks old and new files beside each other."""
    require("skopeo", "umoci")
    run("skopeo", "--insecure-policy", "copy", f"oci:{layout}:{TAG}", f"dir:{tmp_path / 'copy'}")
    run("umoci", "unpack", "--image", f"{layout}:{TAG}", tmp_path / "bundle")
    root = tmp_path / "bundle" / "rootfs"
    assert (root / "opt" / "part4.txt").read_text() == "part 4\n"
    for file in (project / "static").iterdir():
        assert (root / "app" / "wwwroot" / file.name).read_bytes() == file.read_bytes()
