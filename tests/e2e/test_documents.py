"""What goes with an image: it lists what the running image reports, and is found from it after a push."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from . import containers
from .projects import TAG, hatchling_build, layout_of
from .pushes import APP, push_json, top_digest
from .registries import OPENER, digest_of, serve
from .requirements import require
from .shell import run
from .trees import VENV

pytestmark = pytest.mark.e2e

CYCLONEDX, IN_TOTO = "application/vnd.cyclonedx+json", "application/vnd.in-toto+json"
INDEX, MANIFEST = "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"
PIP = """
import importlib.metadata, json, re
found = {re.sub("[-_.]+", "-", one.name).lower(): one.version for one in importlib.metadata.distributions()}
print(json.dumps(found))
"""


class Built(NamedTuple):
    """An image, and the unpacked one that it is."""

    layout: Path
    root: Path

    def said(self, *command: str) -> str:
        """Answer what a program of the image says in it."""
        return run("chroot", self.root, *command).stdout


@pytest.fixture
def built(project: Path, env: dict[str, str], tmp_path: Path) -> Iterator[Built]:
    """Build the example, and let umoci unpack it."""
    require("umoci")
    hatchling_build(project, env)
    with containers.unpacked(layout_of(project), TAG, tmp_path / "bundle") as bundle:
        yield Built(layout_of(project), bundle / "rootfs")


def documents(layout: Path) -> dict[str, Any]:
    """Answer the documents that go with an image, by their types."""
    found = {}
    for entry in json.loads((layout / "referrers.json").read_text())["manifests"]:
        (document,) = json.loads(blob(layout, entry["digest"]))["layers"]
        found[entry["artifactType"]] = json.loads(blob(layout, document["digest"]))
    return found


def blob(layout: Path, digest: str) -> bytes:
    content = (layout / "blobs" / digest.replace(":", "/")).read_bytes()
    assert digest_of(content) == digest
    return content


def listed(document: Mapping[str, Any], kind: str, *, in_layers: bool) -> dict[str, str]:
    """Answer the versions of packages by name: those that the build put into layers, or those of the base."""
    found = [one for one in document["components"] if one.get("purl", "").startswith(f"pkg:{kind}/")]
    return {one["name"]: one["version"] for one in found if ("properties" in one) == in_layers}


def test_the_list_is_what_the_image_itself_reports(built: Built) -> None:
    document = documents(built.layout)[CYCLONEDX]
    installed = json.loads(built.said(f"/{VENV}/bin/python", "-c", PIP))
    assert listed(document, "pypi", in_layers=True) == installed
    assert len(installed) > 5
    rows = built.said("dpkg-query", "-W", "-f", "${binary:Package}\t${Version}\t${db:Status-Abbrev}\n").splitlines()
    packages = {}
    for row in rows:
        name, version, status = row.split("\t")
        assert status.strip() == "ii"
        packages[name.partition(":")[0]] = version
    assert listed(document, "deb", in_layers=False) == packages
    assert len(packages) > 50


def test_each_package_lies_in_the_layer_that_is_named(built: Built) -> None:
    document = documents(built.layout)[CYCLONEDX]
    for one in document["components"]:
        for place in one.get("properties", []):
            names = run("tar", "-tzf", built.layout / "blobs" / place["value"].replace(":", "/")).stdout
            folder = f"{one['name'].replace('-', '_')}-{one['version']}.dist-info/METADATA"
            assert folder.lower() in names.lower()


@pytest.mark.parametrize("tag", ["", f":{TAG}"])
def test_others_take_the_image_out_of_the_layout_as_if_nothing_went_with_it(
    tag: str, built: Built, tmp_path: Path
) -> None:
    require("skopeo")
    for option in ("", "--all"):
        copy = filter(None, ("skopeo", "--insecure-policy", "copy", option))
        run(*copy, f"oci:{built.layout}{tag}", f"dir:{tmp_path / f'copy{option}'}")
        assert digest_of((tmp_path / f"copy{option}" / "manifest.json").read_bytes()) == top_digest(built.layout)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[str]:
    """Serve an empty registry, which has no referrers API."""
    require("docker-registry")
    with serve(tmp_path / "storage", tmp_path / "registry") as address:
        yield address


def get(registry: str, path: str) -> bytes:
    """Answer what a plain HTTP client gets."""
    request = urllib.request.Request(f"http://{registry}/v2/{APP}/{path}", headers={"Accept": f"{INDEX}, {MANIFEST}"})
    with OPENER.open(request, timeout=60) as response:
        content: bytes = response.read()
    return content


def test_image_and_documents_are_found_after_a_push(built: Built, target: str, env: dict[str, str]) -> None:
    pushed = push_json(env, built.layout, "--to", f"{target}/{APP}")
    image = digest_of(get(target, f"manifests/{TAG}"))
    assert image == pushed["digest"] == top_digest(built.layout)
    with pytest.raises(urllib.error.HTTPError):
        get(target, f"referrers/{image}")
    entries = json.loads(get(target, f"manifests/{image.replace(':', '-')}"))["manifests"]
    assert [entry["digest"] for entry in entries] == pushed["referrers"]
    found = {}
    for entry in entries:
        raw = get(target, f"manifests/{entry['digest']}")
        assert (digest_of(raw), len(raw)) == (entry["digest"], entry["size"])
        manifest = json.loads(raw)
        assert manifest["subject"]["digest"] == image
        found[manifest["artifactType"]] = json.loads(get(target, f"blobs/{manifest['layers'][0]['digest']}"))
    assert found == documents(built.layout)
    assert found[CYCLONEDX]["metadata"]["component"]["version"] == image
    assert found[IN_TOTO]["subject"][0]["digest"]["sha256"] == image.removeprefix("sha256:")
    # Again, with nothing to do.
    assert push_json(env, built.layout, "--to", f"{target}/{APP}")["uploaded-bytes"] == 0


def test_skopeo_copies_the_list_as_it_lies_there(built: Built, target: str, env: dict[str, str]) -> None:
    require("skopeo")
    pushed = push_json(env, built.layout, "--to", f"{target}/{APP}")
    fallback = pushed["digest"].replace(":", "-")
    raw = run("skopeo", "inspect", "--tls-verify=false", "--raw", f"docker://{target}/{APP}:{fallback}").stdout
    assert [entry["artifactType"] for entry in json.loads(raw)["manifests"]] == [CYCLONEDX, IN_TOTO]
