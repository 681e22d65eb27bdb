"""The publisher, as Hatch calls it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hatch.cli.application import Application
from hatch.utils.fs import Path as HatchPath

from demo.base import digest
from hatch_oci.publisher import OCIPublisher
from tests.unit.bases import small_image
from tests.unit.layouts import write_layout
from tests.unit.uploads import Uploads, refuse

IMAGE = small_image()
DIGEST = digest(IMAGE.manifest)
HATCHS = {"no_prompt": False, "initialize_auth": False}
Publish = Callable[..., None]
# Hatch does not say of which types their arguments are.
_APPLICATION: Any = Application
_PUBLISHER: Any = OCIPublisher


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project's folder, which is not the one that the user is in."""
    monkeypatch.setenv("HATCH_OCI_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def layout(project: Path, to: str) -> Path:
    return write_layout(project / "dist/app-1.0.oci", [IMAGE], to, ["1.0", "latest"])


@pytest.fixture
def publish(project: Path) -> Publish:
    """Return what publishes, with a table of `tool.hatch.publish.oci` and with options of the command line."""

    def publish(*artifacts: Path, table: dict[str, Any] | None = None, verbosity: int = 0, **options: str) -> None:
        app = _APPLICATION(sys.exit, verbosity=verbosity, enable_color=False, interactive=False)
        given = {key.replace("_", "-"): value for key, value in options.items()} | HATCHS
        publisher = _PUBLISHER(app, HatchPath(project), HatchPath(project / "cache"), table or {}, {})
        publisher.publish(list(map(str, artifacts)), given)

    return publish


def failure(publish: Publish, capsys: pytest.CaptureFixture[str], *artifacts: Path, **given: Any) -> str:
    with pytest.raises(SystemExit) as caught:
        publish(*artifacts, **given)
    assert caught.value.code == 1
    output, errors = capsys.readouterr()
    assert "Traceback" not in output + errors
    return (output + errors).strip()


@pytest.mark.usefixtures("layout")
def test_the_image_in_dist_goes_where_it_belongs(
    registry: Uploads, to: str, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    publish()
    told = "".join(capsys.readouterr())
    for line in (f"{to}:1.0", f"{to}:latest", f"{to}@{DIGEST}"):
        assert line in told
    assert {tag: one.content for tag, one in registry.repositories["acme/app"].manifests.items()} == {
        "1.0": IMAGE.manifest,
        "latest": IMAGE.manifest,
    }


@pytest.mark.usefixtures("layout")
def test_the_table_says_where_else(registry: Uploads, publish: Publish) -> None:
    publish(table={"repository": f"{registry.address}/table/app", "tags": ["a", "b"]})
    assert list(registry.repositories["table/app"].manifests) == ["a", "b"]
    assert "acme/app" not in registry.repositories


@pytest.mark.usefixtures("layout")
def test_options_win_over_the_table(registry: Uploads, publish: Publish, tmp_path: Path) -> None:
    table = {"repository": f"{registry.address}/table/app", "tags": ["a", "b"]}
    to = f"{registry.address}/option/app"
    publish(table=table, repository=to, tag="c", digest_file=str(tmp_path / "digest"))
    assert list(registry.repositories) == ["option/app"]
    assert list(registry.repositories["option/app"].manifests) == ["c"]
    assert (tmp_path / "digest").read_text() == f"{DIGEST}\n"


def test_the_layout_may_be_named(registry: Uploads, project: Path, to: str, publish: Publish) -> None:
    publish(write_layout(project / "elsewhere", [IMAGE], to))
    assert list(registry.repositories["acme/app"].manifests) == ["1"]


def test_the_folder_of_the_layout_may_be_named(registry: Uploads, project: Path, to: str, publish: Publish) -> None:
    write_layout(project / "images/app-1.oci", [IMAGE], to)
    publish(project / "images")
    assert list(registry.repositories["acme/app"].manifests) == ["1"]


def test_the_layout_is_found_among_other_artifacts(
    registry: Uploads, project: Path, layout: Path, publish: Publish
) -> None:
    """As of `hatch publish -p oci dist/*`."""
    others = [project / "dist/app-1.0-py3-none-any.whl", project / "dist/app-1.0.tar.gz"]
    for other in others:
        other.write_text("")
    publish(*others, layout)
    assert list(registry.repositories["acme/app"].manifests) == ["1.0", "latest"]


def test_the_folder_of_the_targets_own_directory_is_looked_into(
    registry: Uploads, project: Path, to: str, publish: Publish
) -> None:
    (project / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "1"\n[tool.hatch.build.targets.oci]\ndirectory = "images"\n'
    )
    write_layout(project / "images/app-1.oci", [IMAGE], to)
    publish()
    assert list(registry.repositories["acme/app"].manifests) == ["1"]


@pytest.mark.usefixtures("layout")
def test_all_mistakes_are_told_at_once(registry: Uploads, publish: Publish, capsys: pytest.CaptureFixture[str]) -> None:
    told = failure(publish, capsys, table={"repo": "x", "disable": False}, tags="1", digset_file="y")
    assert told.splitlines() == [
        "Field `tool.hatch.publish.oci.repo` is not known",
        "Option `tags` is not known; there are: repository, tag, digest-file",
        "Option `digset-file` is not known; there are: repository, tag, digest-file",
    ]
    assert registry.requests == []


@pytest.mark.usefixtures("layout")
@pytest.mark.parametrize(
    ("key", "value"),
    [("tags", "latest"), ("tags", [1]), ("tags", {"a": "b"}), ("repository", 5), ("repository", ["a.example/b"])],
)
def test_a_value_of_another_type_is_a_mistake(
    key: str, value: Any, registry: Uploads, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"ield `tool.hatch.publish.oci.{key}` must be " in failure(publish, capsys, table={key: value})
    assert registry.requests == []


def test_where_no_image_is_one_is_to_be_built(
    project: Path, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failure(publish, capsys) == f"no image in {project / 'dist'}: run `hatch build -t oci`"


def test_an_image_that_names_no_registry_says_what_to_do(
    project: Path, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    write_layout(project / "dist/app-1.oci", [IMAGE], "hello")
    assert "'hello' names no registry: set `repository`" in failure(publish, capsys)


@pytest.mark.usefixtures("layout")
def test_missing_credentials_give_a_hint(
    registry: Uploads, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.answers["HEAD", "*"] = refuse(401, times=99, headers={"WWW-Authenticate": 'Basic realm="me"'})
    told = failure(publish, capsys)
    assert f"{registry.address} refuses acme/app: " in told
    assert f"`docker login {registry.address}`" in told.replace("\n", " ")


@pytest.mark.usefixtures("layout")
def test_an_error_with_v_shows_where_it_came_from(
    registry: Uploads, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.answers["HEAD", "*"] = refuse(400, times=99)
    with pytest.raises(SystemExit):
        publish(verbosity=1)
    assert "Traceback" in "".join(capsys.readouterr())
