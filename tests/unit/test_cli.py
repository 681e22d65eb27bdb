"""The command line, run in this process, against a registry in a thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.base import digest
from demo.registry import Registry, serve
from hatch_oci.cli import main
from tests.unit.bases import ARM64, index_of, manifest_of, served, small_image

pytestmark = pytest.mark.usefixtures("workplace")

IMAGE = small_image(Env=["A=1"], Labels={"nasty": "\x1b[31m", "name": "é 漢 😀"}, User="me")


@pytest.fixture
def registry() -> Iterator[Registry]:
    with served(IMAGE) as registry:
        yield registry


def test_an_image_is_told_of_in_lines(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", f"{registry.address}/app:1"]) == 0
    output, errors = capsys.readouterr()
    lines = output.splitlines()
    assert lines[0].split() == ["Reference", f"{registry.address}/app:1"]
    assert lines[1].split()[:2] == ["Digest", digest(IMAGE.manifest)]
    assert f"Reached     {registry.address} by http, without credentials" in lines
    assert any(line.startswith("Python      none (") and "no Python found on PATH" in line for line in lines)
    assert "\x1b" not in output
    assert "Fetching 2 layers" in errors


def test_an_image_is_told_of_as_json(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", f"{registry.address}/app:1", "--json", "-q"]) == 0
    output, errors = capsys.readouterr()
    found = json.loads(output)
    manifest = json.loads(IMAGE.manifest)
    assert found["digest"] == found["manifest-digest"] == digest(IMAGE.manifest)
    assert found["platforms"] == [found["platform"]] == ["linux/amd64"]
    assert [layer["digest"] for layer in found["layers"]] == [layer["digest"] for layer in manifest["layers"]]
    assert found["size"] == manifest["config"]["size"] + sum(layer["size"] for layer in manifest["layers"])
    assert (found["python"], found["libc"]) == (None, None)
    assert found["reached"] == {
        "registry": registry.address,
        "mirror": None,
        "scheme": "http",
        "credentials": None,
        "redirects": [],
    }
    assert errors == ""


def test_a_platform_is_chosen_and_all_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    arm = small_image("arm", ARM64)
    index = index_of(
        [(IMAGE.manifest, {"platform": {"os": "linux", "architecture": "amd64"}}), (arm.manifest, {"platform": ARM64})]
    )
    with served(IMAGE, arm, both=index) as registry:
        assert main(["inspect", f"{registry.address}/app:both", "--json", "--platform", "linux/arm64"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["platforms"] == ["linux/amd64", "linux/arm64"]
    assert (found["platform"], found["manifest-digest"]) == ("linux/arm64", digest(arm.manifest))
    assert found["digest"] == digest(index)


def test_what_the_cache_has_is_not_asked_for(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    pinned = f"{registry.address}/app@{digest(IMAGE.manifest)}"
    assert main(["inspect", pinned]) == 0
    registry.log.clear()
    assert main(["inspect", pinned]) == 0
    assert registry.log == []
    assert "Reached     in the cache, without asking a registry" in capsys.readouterr().out


def test_the_keys_of_the_project_hold(registry: Registry, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve({"app": registry.repositories["app"]}) as mirror:
        (workplace / "pyproject.toml").write_text(
            f'[tool.hatch.build.targets.oci.mirrors]\n"example.com" = ["{{env:NOWHERE:{mirror.address}}}"]\n'
        )
        assert main(["inspect", "example.com/app:1", "--json"]) == 0
    reached = json.loads(capsys.readouterr().out)["reached"]
    assert (reached["registry"], reached["mirror"]) == ("example.com", mirror.address)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[tool.hatch.build.targets.oci]\nmirrors = 1", "Field `tool.hatch.build.targets.oci.mirrors` must be a table"),
        ("[tool.hatch.build.targets]\noci = 1", "Field `tool.hatch.build.targets.oci` must be a table"),
        ("[tool", "pyproject.toml: "),
    ],
)
def test_a_mistake_in_the_project_is_one_line(
    toml: str, message: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "pyproject.toml").write_text(toml)
    assert main(["inspect", "python:3.13-slim"]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith(f"Error: {message}")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["UPPER"], "not an image reference: 'UPPER'"),
        (["scratch"], "scratch is no image: there is nothing to inspect"),
        (["oci:nowhere"], "oci:nowhere is not an OCI image layout"),
        (["app", "--platform", "linux"], "not a platform: 'linux'"),
    ],
)
def test_what_cannot_be_inspected_is_an_error(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", *arguments]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith(f"Error: {message}")
    assert "Traceback" not in errors


def test_a_private_image_is_one_line_with_what_to_do(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    registry.answers["GET", "/v2/app/manifests/1"] = lambda request: request.reply(
        401, b"", {"WWW-Authenticate": "Basic realm=x"}
    )
    assert main(["inspect", f"{registry.address}/app:1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Error: {registry.address} refuses app: tried without credentials: HTTP 401;")
    assert f"`docker login {registry.address}`" in line


def test_every_request_is_told_without_its_secrets(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    with serve({}) as elsewhere:
        name = json.loads(IMAGE.manifest)["layers"][0]["digest"]
        elsewhere.answers["GET", "/blob"] = lambda request: request.reply(200, IMAGE.blobs[name])
        location = f"http://{elsewhere.address}/blob?Signature=secret"
        registry.answers["GET", f"/v2/app/blobs/{name}"] = lambda request: request.reply(
            307, b"", {"Location": location}
        )
        assert main(["inspect", f"{registry.address}/app:1", "-vvv"]) == 0
        output, errors = capsys.readouterr()
        assert f"GET http://{elsewhere.address}/blob: 200" in errors
        assert f"layers from http://{elsewhere.address}" in output
        assert "secret" not in output + errors


def test_a_mistake_with_v_shows_where_it_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "scratch", "-v"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_file_that_cannot_be_used_is_named(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "file").write_text("")
    monkeypatch.setenv("HATCH_OCI_CACHE_DIR", str(workplace / "file/cache"))
    assert main(["inspect", "python:3.13-slim"]) == 1
    assert capsys.readouterr().err.startswith("Error: cannot write to the cache ")


def test_manifests_with_a_type_are_told_with_it(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", f"{registry.address}/app:1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["media-type"] == manifest_of(IMAGE.manifest).media_type


def run(registry: Registry, shell: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run `shell`, in which `$INSPECT` tells of the image."""
    inspect = f"{sys.executable} -m hatch_oci inspect {registry.address}/app:1"
    environment = {**os.environ, "INSPECT": inspect, **variables}
    # What is buffered is tried once more at the end.
    environment.pop("PYTHONUNBUFFERED", None)
    return subprocess.run(["sh", "-c", shell], env=environment, capture_output=True, check=False)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "utf-16"])
def test_json_is_json_in_any_encoding(encoding: str, registry: Registry) -> None:
    found = run(registry, "$INSPECT --json", PYTHONIOENCODING=encoding)
    assert json.loads(found.stdout.decode(encoding))["config"]["Labels"]["name"] == "é 漢 😀"


@pytest.mark.parametrize(
    ("shell", "status", "output", "errors"),
    [
        ("$INSPECT -q >&-", 1, b"", b"Error: the standard output is closed\n"),
        ("$INSPECT -q | true", 0, b"", b""),
        ("$INSPECT -q >/dev/full", 1, b"", b"Error: cannot write to the standard output: No space left on device\n"),
        ("$INSPECT 2>&- | head -c 9", 0, b"Reference", b""),
        ("$INSPECT/nowhere -v 2>&-", 1, b"", b""),
    ],
)
def test_what_cannot_be_printed_is_no_traceback(
    shell: str, status: int, output: bytes, errors: bytes, registry: Registry
) -> None:
    if "/dev/full" in shell and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    found = run(registry, shell)
    assert (found.returncode, found.stdout, found.stderr) == (status, output, errors)
