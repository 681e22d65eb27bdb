"""One base in three forms: each becomes an OCI image that tools accept and that serves its page."""

import json
from pathlib import Path

import pytest

from . import bases, containers
from .conftest import Registry
from .images import OCI_TYPES, read_image
from .projects import EXAMPLE, TAG, hatchling_build, layout_of
from .registries import resolve
from .requirements import require
from .shell import run

pytestmark = pytest.mark.e2e


@pytest.fixture(params=sorted(bases.FORMS))
def form(request: pytest.FixtureRequest) -> str:
    """Answer the form in which the base lies in the registry."""
    name: str = request.param
    return name


@pytest.fixture
def layout(form: str, project: Path, env: dict[str, str], registry: Registry) -> Path:
    """Answer the example's image, built on the base in that form."""
    hatchling_build(project, env | {"BASE_IMAGE": registry.base(form)})
    return layout_of(project)


def test_tools_accept_it(layout: Path, tmp_path: Path) -> None:
    """skopeo reads the layout, and verifies every digest while it copies."""
    require("skopeo")
    image = f"oci:{layout}:{TAG}"
    inspected = json.loads(run("skopeo", "--insecure-policy", "inspect", image).stdout)
    run("skopeo", "--insecure-policy", "copy", image, f"dir:{tmp_path / 'copy'}")
    written = read_image(layout)
    assert inspected["Digest"] == written.descriptor["digest"]
    assert inspected["Layers"] == written.layer_digests
    assert inspected["Architecture"] == "amd64"


def test_every_type_is_an_oci_one(layout: Path) -> None:
    """Docker media types are gone, all of them."""
    assert read_image(layout).media_types == OCI_TYPES


def test_the_base_is_kept(layout: Path, form: str, registry: Registry) -> None:
    """The base's layers come first and unchanged, and the image says what it was built on."""
    image = read_image(layout)
    below = _base_layers(registry)
    assert image.layer_digests[: len(below)] == below
    assert len(image.config["rootfs"]["diff_ids"]) == len(image.layer_digests) > len(below)
    layers_of_history = [entry for entry in image.config["history"] if not entry.get("empty_layer")]
    assert len(layers_of_history) == len(image.layer_digests)
    labels = image.config["config"]["Labels"]
    base = registry.base(form)
    assert labels["vendor"] == "the base"
    assert labels["org.opencontainers.image.base.name"] == base
    assert labels["org.opencontainers.image.base.digest"] in _base_digests(registry, form)


def test_the_config_is_as_the_project_says(layout: Path) -> None:
    """What the table sets is in the config, over what the base has."""
    image = read_image(layout)
    settings = image.config["config"]
    assert settings["User"] == "10001:10001"
    assert settings["WorkingDir"] == "/srv"
    assert settings["ExposedPorts"] == {"8000/tcp": {}}
    assert settings["Entrypoint"] == ["/app/.venv/bin/hello-service"]
    assert not settings.get("Cmd")
    assert settings["Labels"]["com.example.team"] == "hello"
    assert settings["Labels"]["org.opencontainers.image.version"] == "1.0.0"
    assert image.environment["GREETING"] == "Hello from a container"
    assert image.environment["LANG"] == "C.UTF-8"
    assert image.environment["PATH"] == f"/app/.venv/bin:{bases.PATH}"
    assert image.descriptor["annotations"]["org.opencontainers.image.ref.name"] == TAG
    name = image.descriptor["annotations"]["io.containerd.image.name"]
    assert name == f"example.com/hello-service:{TAG}"


def test_it_serves(layout: Path, tmp_path: Path) -> None:
    """A runtime starts it as the user, in the folder and with the environment that are configured."""
    require("umoci", "runc")
    port = containers.free_port()
    with containers.unpacked(layout, TAG, tmp_path / "bundle") as bundle:
        process = containers.read_process(bundle)
        assert (process["user"]["uid"], process["user"]["gid"], process["cwd"]) == (10001, 10001, "/srv")
        # The last layer of the base hides a false Python that comes first on PATH.
        assert not (bundle / "rootfs" / bases.DECOY).exists()
        with containers.runc(bundle, port, env={"PORT": str(port)}):
            page = containers.fetch(port, "/")
            style = containers.fetch(port, "/static/style.css")
    assert "Hello from a container" in page
    assert "10001" in page
    assert style == (EXAMPLE / "static" / "style.css").read_text()


def _base_layers(registry: Registry) -> list[str]:
    reference = f"docker://{registry.base('oci')}"
    raw = run("skopeo", "--insecure-policy", "inspect", "--raw", "--tls-verify=false", reference).stdout
    return [layer["digest"] for layer in json.loads(raw)["layers"]]


def _base_digests(registry: Registry, form: str) -> set[str]:
    # Of an index both are right: the digest of the index, and that of the child whose layers these are.
    tags = {"oci", form} if form == "index" else {form}
    return {resolve(registry.address, bases.PYTHON, bases.FORMS[tag])["digest"] for tag in tags}
