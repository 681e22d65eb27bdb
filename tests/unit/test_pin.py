"""`pin`: a digest behind a tag, written into the project's file, and what is said when the tag moves on."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.base import digest
from demo.registry import Registry
from hatch_oci.cli import main
from tests.unit.bases import AMD64, ARM64, index_of, manifest_of, served, small_image
from tests.unit.building import build, write_base
from tests.unit.projects import PROJECT, TABLE, builder_of

pytestmark = pytest.mark.usefixtures("workplace")

OLD, NEW = small_image("etc/old"), small_image("etc/new")
UNTOUCHED = f"""{PROJECT}
# Above it,
[{TABLE}]   # beside it,
ports = [ 80,8080 ]
{{base}}
[{TABLE}.labels]
"a"   =  'b'

[tool.other] # and below it.
x = {{{{ y = 1 }}}}
"""


@pytest.fixture
def registry() -> Iterator[Registry]:
    with served(OLD) as registry:
        yield registry


def write(folder: Path, base: str) -> Path:
    """Write a project with this line in the target's table."""
    path = folder / "pyproject.toml"
    path.write_text(UNTOUCHED.format(base=base))
    return path


def changed(before: str, path: Path) -> list[str]:
    """Return the lines that are not those of before, with a sign in front."""
    lines = difflib.ndiff(before.splitlines(keepends=True), path.read_bytes().decode().splitlines(keepends=True))
    return [line.rstrip("\n") for line in lines if line[0] in "+-"]


def move(registry: Registry, raw: bytes) -> None:
    """Let the tag stand for another image, and keep the one of before."""
    manifests = registry.repositories["app"].manifests
    manifests |= {"1": manifest_of(raw), digest(raw): manifest_of(raw)}


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.rstrip("\n")


def test_the_diff_is_one_line(registry: Registry, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(workplace, f"base-image = '{registry.address}/app:1' # the base")
    path.chmod(0o600)
    before = path.read_text()
    assert main(["pin"]) == 0
    assert changed(before, path) == [
        f"- base-image = '{registry.address}/app:1' # the base",
        f'+ base-image = "{registry.address}/app:1@{digest(OLD.manifest)}" # the base',
    ]
    assert told(capsys) == f"pyproject.toml: {registry.address}/app:1 is pinned to {digest(OLD.manifest)}"
    assert path.stat().st_mode & 0o777 == 0o600


def test_lines_end_as_they_did(registry: Registry, workplace: Path) -> None:
    path = write(workplace, f'base-image = "{registry.address}/app:1"')
    before = path.read_text().replace("\n", "\r\n")
    path.write_bytes(before.encode())
    assert main(["pin"]) == 0
    assert len(changed(before, path)) == 2


def test_what_is_pinned_stays(registry: Registry, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(workplace, f'base-image = "{registry.address}/app:1@{digest(OLD.manifest)}"')
    before = path.read_text()
    move(registry, NEW.manifest)
    assert main(["pin"]) == 0
    assert changed(before, path) == []
    assert "is pinned already" in told(capsys)


def test_a_name_without_a_tag_gets_the_one_that_it_means(registry: Registry, workplace: Path) -> None:
    registry.repositories["app"].manifests["latest"] = manifest_of(OLD.manifest)
    path = write(workplace, f'base-image = "{registry.address}/app"')
    assert main(["pin"]) == 0
    assert f'"{registry.address}/app:latest@{digest(OLD.manifest)}"' in path.read_text()


def test_the_default_of_a_variable_is_pinned_where_it_stands(registry: Registry, workplace: Path) -> None:
    path = write(workplace, f'base-image = "{{env:BASE:{registry.address}/app:1}}"')
    assert main(["pin"]) == 0
    assert f'"{{env:BASE:{registry.address}/app:1@{digest(OLD.manifest)}}}"' in path.read_text()


def test_what_a_variable_says_cannot_be_pinned(
    registry: Registry, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(workplace, f'base-image = "{{env:BASE:{registry.address}/app:1}}"')
    before = path.read_text()
    # Also where it says what the default does, which the next build would take from it.
    for base in (f"{registry.address}/app:{digest(OLD.manifest)[7:20]}", f"{registry.address}/app:1"):
        registry.repositories["app"].manifests[base.rpartition(":")[2]] = manifest_of(OLD.manifest)
        monkeypatch.setenv("BASE", base)
        assert main(["pin"]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "`tool.hatch.build.targets.oci.base-image`" in line
        assert f"{base!r} comes from a variable" in line
    assert changed(before, path) == []


def test_the_table_in_hatch_toml_is_the_one_that_holds(registry: Registry, workplace: Path) -> None:
    path = write(workplace, f'base-image = "{registry.address}/app:nowhere"')
    before = path.read_text()
    (workplace / "hatch.toml").write_text(f'[build.targets.oci]\nbase-image = "{registry.address}/app:1"\n')
    assert main(["pin"]) == 0
    assert changed(before, path) == []
    pinned = tomllib.loads((workplace / "hatch.toml").read_text())["build"]["targets"]["oci"]
    assert pinned == {"base-image": f"{registry.address}/app:1@{digest(OLD.manifest)}"}


@pytest.mark.parametrize("project", [f"{PROJECT}\n[{TABLE}]\nports = [80]\n", PROJECT])
def test_the_default_base_is_written_down(registry: Registry, workplace: Path, project: str) -> None:
    repositories = registry.repositories
    repositories["library/python"] = repositories["app"]
    repositories["app"].manifests["3.12-slim"] = manifest_of(OLD.manifest)
    mirrors = f'[{TABLE}.mirrors]\n"docker.io" = ["{registry.address}"]\n'
    path = workplace / "pyproject.toml"
    before = project.replace("version = ", 'requires-python = "<3.13"\nversion = ') + mirrors
    path.write_text(before)
    assert main(["pin"]) == 0
    (line,) = [line for line in changed(before, path) if "base-image" in line]
    assert line == f'+ base-image = "python:3.12-slim@{digest(OLD.manifest)}"'


def test_an_update_tells_what_it_means(registry: Registry, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arm = small_image("etc/arm", ARM64)
    index = index_of([(NEW.manifest, {"platform": AMD64}), (arm.manifest, {"platform": ARM64})])
    path = write(workplace, f'base-image = "{registry.address}/app:1"')
    assert main(["pin"]) == 0
    registry.repositories["app"].blobs.update(NEW.blobs)
    move(registry, NEW.manifest)
    move(registry, index)
    before = path.read_text()
    told(capsys)
    assert main(["pin", "--update"]) == 0
    first, was, platform, *layers = told(capsys).splitlines()
    # The index's digest, which holds for both platforms.
    assert first == f"pyproject.toml: {registry.address}/app:1 is pinned to {digest(index)}"
    assert was == f"before: {digest(OLD.manifest)}"
    assert platform == "linux/amd64: 2 of 2 layers change"
    assert [line.split()[0] for line in layers] == ["-", "-", "+", "+"]
    assert all(line.split()[1] in (OLD if "-" in line.split()[0] else NEW).blobs for line in layers)
    assert len(changed(before, path)) == 2
    assert main(["pin", "--update"]) == 0
    assert told(capsys) == f"{registry.address}/app:1 still stands for {digest(index)}"


def test_an_update_to_what_does_not_serve_is_none(
    registry: Registry, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arm = small_image("etc/arm", ARM64)
    path = write(workplace, f'base-image = "{registry.address}/app:1"')
    assert main(["pin"]) == 0
    before = path.read_text()
    registry.repositories["app"].blobs.update(arm.blobs)
    move(registry, arm.manifest)
    assert main(["pin", "--update"]) == 1
    assert "is for linux/arm64, not for linux/amd64" in capsys.readouterr().err
    assert changed(before, path) == []


def test_an_update_works_where_the_one_before_is_gone(
    registry: Registry, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(workplace, f'base-image = "{registry.address}/app:1@sha256:{"0" * 64}"')
    assert main(["pin", "--update"]) == 0
    assert "which layers change cannot be told: " in told(capsys)
    assert digest(OLD.manifest) in path.read_text()


def test_a_check_fails_once_the_tag_has_moved(
    registry: Registry, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(workplace, f'base-image = "{registry.address}/app:1"')
    assert main(["pin", "--check"]) == 1
    assert told(capsys) == f"{registry.address}/app:1 is not pinned: run `python -m hatch_oci pin`"
    assert main(["pin"]) == 0
    before = path.read_text()
    told(capsys)
    assert main(["pin", "--check"]) == 0
    assert told(capsys) == f"{registry.address}/app:1 still stands for {digest(OLD.manifest)}"
    move(registry, NEW.manifest)
    assert main(["pin", "--check"]) == 1
    moved = f"{registry.address}/app:1 has moved from {digest(OLD.manifest)} to {digest(NEW.manifest)}"
    assert told(capsys).startswith(moved)
    assert changed(before, path) == []


@pytest.mark.parametrize("option", ["--check", "--update"])
def test_the_cache_does_not_know_today(
    option: str,
    registry: Registry,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(workplace, f'base-image = "{registry.address}/app:1"')
    assert main(["pin"]) == 0
    monkeypatch.setenv("HATCH_OCI_OFFLINE", "1")
    assert main(["pin", option]) == 1
    assert "HATCH_OCI_OFFLINE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("base", "arguments", "message"),
    [
        ("scratch", [], "'scratch' is not out of a registry: there is nothing to pin"),
        ("oci:base", ["--check"], "'oci:base' is not out of a registry: there is nothing to pin"),
        (f"app@sha256:{'0' * 64}", ["--update"], "has a digest, but no tag that could be followed"),
        ("UPPER", [], "Field `tool.hatch.build.targets.oci.base-image` is not an image reference"),
    ],
)
def test_what_cannot_be_pinned_is_one_line(
    base: str, arguments: list[str], message: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(workplace, f'base-image = "{base}"')
    assert main(["pin", *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_without_a_project_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pin"]) == 1
    assert "there is no pyproject.toml" in capsys.readouterr().err


def test_a_build_on_a_tag_says_so_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arm = small_image("etc/arm", ARM64)
    index = index_of([(OLD.manifest, {"platform": AMD64}), (arm.manifest, {"platform": ARM64})])
    monkeypatch.setenv("HATCH_QUIET", "0")
    settings = 'wheel = false\nplatforms = ["linux/amd64", "linux/arm64"]\n'
    with served(OLD, arm, both=index, **{digest(index): index}) as registry:
        tagged = f"{registry.address}/app:both"
        build(builder_of(project, f'{settings}base-image = "{tagged}"'))
        line = f"Base {tagged} is not pinned: `python -m hatch_oci pin` writes its digest behind the tag"
        assert capsys.readouterr().err.count(line) == 1
        build(builder_of(project, f'{settings}base-image = "{tagged}@{digest(index)}"'))
    write_base(project)
    build(builder_of(project, 'wheel = false\nbase-image = "oci:base"'))
    build(builder_of(project, 'wheel = false\nbase-image = "scratch"\nentrypoint = ["/x"]'))
    assert "is not pinned" not in capsys.readouterr().err
