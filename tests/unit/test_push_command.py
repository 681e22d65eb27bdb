"""`python -m hatch_oci push`, run in this process: what it prints, what it writes, how it ends."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from demo.base import digest
from demo.registry import Handler
from hatch_oci.cli import main
from tests.unit.bases import small_image
from tests.unit.layouts import blob_path, layers_of, write_layout
from tests.unit.uploads import Uploads, read_body, refuse

IMAGE = small_image()
DIGEST = digest(IMAGE.manifest)


@pytest.fixture(autouse=True)
def layout(workplace: Path, to: str) -> Path:
    """Write the image where a build does."""
    return write_layout(workplace / "dist/app-1.0.oci", [IMAGE], to, ["1.0", "latest"])


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one or two lines of an error."""
    assert main(["push", *arguments]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert "Traceback" not in errors
    lines = [line for line in errors.splitlines() if not line.startswith(("Pushing", "Warning"))]
    assert 1 <= len(lines) <= 2, errors
    assert lines[0].startswith("Error: ")
    return "\n".join(lines)


def test_the_image_in_dist_goes_where_it_belongs(
    registry: Uploads, to: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push"]) == 0
    output, errors = capsys.readouterr()
    assert output.splitlines() == [f"{to}:1.0", f"{to}:latest", f"{to}@{DIGEST}"]
    assert errors.startswith(f"Pushing 3 blobs to {registry.address}: ")
    assert list(registry.repositories["acme/app"].manifests) == ["1.0", "latest"]


def test_layout_repository_and_tags_are_chosen(
    registry: Uploads, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_layout(workplace / "elsewhere", [IMAGE])
    to = f"{registry.address}/other/app"
    assert main(["push", "elsewhere", "--to", to, "--tag", "a", "--tag", "b", "-q"]) == 0
    output, errors = capsys.readouterr()
    assert output.splitlines() == [f"{to}:a", f"{to}:b", f"{to}@{DIGEST}"]
    assert errors == ""
    assert list(registry.repositories["other/app"].manifests) == ["a", "b"]


def test_the_result_is_printed_as_json(to: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "repository": to,
        "digest": DIGEST,
        "tags": ["1.0", "latest"],
        "references": [f"{to}:1.0", f"{to}:latest", f"{to}@{DIGEST}"],
        "referrers": [],
        "signatures": [],
        "uploaded-bytes": sum(map(len, IMAGE.blobs.values())),
    }
    assert main(["push", "--json", "--tag", "x"]) == 0
    assert json.loads(capsys.readouterr().out)["uploaded-bytes"] == 0


def test_digest_and_references_are_left_for_the_next_step(
    workplace: Path, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(workplace / "outputs"))
    assert main(["push", "--digest-file", "digest.txt", "--tag", "2"]) == 0
    assert (workplace / "digest.txt").read_text() == f"{DIGEST}\n"
    assert (workplace / "outputs").read_text().splitlines() == [
        f"digest={DIGEST}",
        f"reference={to}:2",
        f"references={to}:2 {to}@{DIGEST}",
    ]


def test_nothing_is_left_for_the_next_step_when_a_push_fails(
    registry: Uploads, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(workplace / "outputs"))
    registry.answers["PUT", "/v2/acme/app/manifests/latest"] = refuse(400, times=9)
    assert f"HTTP 400 from {registry.address}" in error_of(capsys, "--digest-file", "digest.txt")
    assert [path.name for path in workplace.iterdir()] == ["dist"]


@pytest.mark.parametrize("arguments", [["--digest-file"], ["one", "two"], ["--unknown"]])
def test_wrong_usage_ends_with_2(arguments: list[str], registry: Uploads) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["push", *arguments])
    assert caught.value.code == 2
    assert registry.requests == []


def test_where_no_image_is_one_is_to_be_built(layout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout.rename(layout.with_suffix(".gone"))
    assert error_of(capsys) == f"Error: no image in {layout.parent}: run `hatch build -t oci`"


def test_of_two_images_one_is_to_be_named(layout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_layout(layout.with_name("app-2.0.oci"), [IMAGE])
    assert error_of(capsys) == f"Error: which image? in {layout.parent} there are app-1.0.oci, app-2.0.oci: name one"


def test_an_image_of_a_project_without_a_registry_says_what_to_do(
    layout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_layout(layout, [IMAGE], "hello")
    assert error_of(capsys) == ("Error: 'hello' names no registry: set `repository`, or push --to REGISTRY/NAME")


@pytest.mark.parametrize("damage", ["missing", "short", "an index of nothing", "no JSON"])
def test_a_broken_layout_is_an_error_of_one_line(damage: str, layout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = blob_path(layout, layers_of(IMAGE)[0])
    if damage == "missing":
        path.unlink()
    elif damage == "short":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "no JSON":
        (layout / "index.json").write_text("{")
    else:
        top = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
        write_layout(layout, [IMAGE], "example.invalid/app", top=top)
    assert str(layout) in error_of(capsys)


def test_a_registry_that_is_not_there_is_named(layout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_layout(layout, [IMAGE], "registry.invalid/app")
    assert "registry.invalid" in error_of(capsys)


def test_the_keys_of_the_project_hold(registry: Uploads, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = f'[tool.hatch.build.targets.oci]\ninsecure-registries = ["{registry.address}"]\n'
    (workplace / "pyproject.toml").write_text(table)
    assert main(["push"]) == 0
    assert f"Warning: {registry.address} is asked by plain http, since" in capsys.readouterr().err


def test_offline_nothing_is_sent(
    registry: Uploads, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HATCH_OCI_OFFLINE", "1")
    assert "HATCH_OCI_OFFLINE" in error_of(capsys)
    assert registry.requests == []


def test_without_credentials_the_hint_says_how_to_log_in(registry: Uploads, capsys: pytest.CaptureFixture[str]) -> None:
    for method in ("HEAD", "POST", "PUT"):
        registry.answers[method, "*"] = refuse(401, times=9, headers={"WWW-Authenticate": 'Basic realm="me"'})
    line = error_of(capsys)
    assert line.startswith(f"Error: {registry.address} refuses acme/app: ")
    assert f"`docker login {registry.address}`" in line


def test_no_secret_is_told_however_talkative(
    registry: Uploads, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither password nor token, nor what an upload's place holds, also when the registry repeats them."""
    monkeypatch.setenv("HATCH_OCI_REGISTRY", registry.address)
    monkeypatch.setenv("HATCH_OCI_USER", "me")
    monkeypatch.setenv("HATCH_OCI_AUTH", "secret-word")
    basic = base64.b64encode(b"me:secret-word").decode()

    def guarded(request: Handler) -> None:
        shown = request.headers.get("Authorization", "")
        if request.path.startswith("/token"):
            assert shown == f"Basic {basic}"
            request.reply(200, b'{"token": "secret-token"}')
        elif request.path == "/v2/" or (shown and "manifests" not in request.path):
            request.answer()
        elif shown:
            read_body(request)
            request.reply(400, f"no {request.path} with {shown} or secret-word".encode())
        else:
            read_body(request)
            realm = f'Bearer realm="http://{registry.address}/token",service="me"'
            request.reply(401, b"", {"WWW-Authenticate": realm})

    for method in ("GET", "HEAD", "POST", "PUT"):
        registry.answers[method, "*"] = guarded
    registry.locate = lambda path: f"http://{registry.address}{path}?_state=secret-state"
    assert main(["push", "-vvv"]) == 1
    output, errors = capsys.readouterr()
    assert registry.sizes
    assert f"PUT http://{registry.address}/v2/acme/app/blobs/uploads/session1: 201" in errors
    for secret in ("secret-word", "secret-token", "secret-state", basic):
        assert secret not in output + errors


def test_a_mistake_with_v_shows_where_it_came_from(layout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_layout(layout, [IMAGE], "hello")
    assert main(["push", "-v"]) == 1
    assert "Traceback" in capsys.readouterr().err
