"""What a build writes, and what it clears away: the forms of an image, their records, and what earlier builds left."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.unit.building import build, fails, names, read
from tests.unit.locked import record
from tests.unit.projects import builder_of

pytestmark = pytest.mark.usefixtures("build_cache")

STATIC = 'base-image = "scratch"\nwheel = false\ncopy = [{from = ".", to = "/srv", exclude = ["src"]}]'
MADE = "my_app-1.2.3+local.1"


def test_only_the_layout_is_written_unless_more_is_asked_for(project: Path) -> None:
    build(builder_of(project, STATIC))
    assert sorted(path.name for path in (project / "dist").iterdir()) == [f"{MADE}.oci", f"{MADE}.oci.json"]


def test_each_form_holds_the_same_image_and_has_the_same_record(project: Path) -> None:
    dist = project / "dist"
    made = build(builder_of(project, STATIC))
    first = record(made)
    for form, suffix in (("oci-archive", ".oci.tar"), ("docker-archive", ".docker.tar")):
        (dist / f"{MADE}.oci.json").unlink()
        # What is there of other forms is no part of this one.
        assert list(builder_of(project, STATIC).build(versions=[form])) == [str(dist / f"{MADE}{suffix}")]
        assert {**record(made), "work": None} == {**first, "work": None}
        with tarfile.open(dist / f"{MADE}{suffix}") as tar:
            index = tar.extractfile("index.json")
            assert index is not None
            assert index.read() == (made / "index.json").read_bytes()


def test_forms_may_be_set_in_the_table(project: Path) -> None:
    builder = builder_of(project, f'{STATIC}\nversions = ["oci-archive", "layout"]')
    assert [Path(path).name for path in builder.build()] == [f"{MADE}.oci.tar", f"{MADE}.oci"]


def test_a_docker_archive_of_several_platforms_is_refused_before_anything_is_done(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = 'base-image = "oci:nowhere"\nwheel = false\nplatforms = ["linux/amd64", "linux/arm64"]'
    assert fails(builder_of(project, f'{table}\nversions = ["docker-archive"]'), capsys) == [
        (
            "a Docker archive holds an image for one platform, not for linux/amd64, linux/arm64: "
            "set one of them in `platforms`, and build once for each"
        )
    ]


@pytest.mark.parametrize("form", ["oci-archive", "docker-archive"])
def test_an_archive_is_never_sparse(
    form: str, project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HATCH_OCI_SPARSE", "1")
    assert fails(builder_of(project, f'{STATIC}\nversions = ["{form}"]'), capsys) == [
        "an archive holds all layers: build it without HATCH_OCI_SPARSE"
    ]


def test_clean_removes_layouts_and_records_and_nothing_else(project: Path) -> None:
    builder = builder_of(project, 'base-image = "scratch"\nwheel = false')
    build(builder)
    dist = project / "dist"
    ours = ("my_app-0.9.oci.json", "my_app-1.0.oci.tar", "my_app-1.0.docker.tar")
    for name in (*ours, "my_app-1.0.tar", "my_app-extra-1.0.oci.json", "my_app-1.0.whl", "other-1.0.oci.json"):
        (dist / name).touch()
    list(builder.build(clean_only=True))
    assert sorted(path.name for path in dist.iterdir()) == [
        "my_app-1.0.tar",
        "my_app-1.0.whl",
        "my_app-extra-1.0.oci.json",
        "other-1.0.oci.json",
    ]


def test_what_a_killed_build_moved_aside_is_back_though_this_one_fails(project: Path) -> None:
    aside = project / "dist" / "my_app-1.2.3+local.1.oci.aside"
    made = build(builder_of(project, 'base-image = "scratch"\nwheel = false'))
    made.rename(aside)
    with pytest.raises(SystemExit):
        build(builder_of(project, 'base-image = "oci:nowhere"\nwheel = false'))
    assert (made / "index.json").is_file()
    made.rename(aside)
    list(builder_of(project, 'base-image = "scratch"\nwheel = false').build(clean_only=True))
    assert list((project / "dist").iterdir()) == []


def test_clean_takes_a_symlink_in_the_place_of_a_layout_away(project: Path) -> None:
    (project / "dist").mkdir()
    (project / "dist" / "my_app-1.0.oci").symlink_to(project / "static")
    list(builder_of(project, 'base-image = "scratch"\nwheel = false').build(clean_only=True))
    assert list((project / "dist").iterdir()) == []
    assert (project / "static" / "page.html").is_file()


@pytest.mark.parametrize("directory", [None, "out", "."])
def test_no_image_holds_the_one_that_was_built_before(project: Path, directory: str | None) -> None:
    builder = builder_of(
        project, 'base-image = "scratch"\nwheel = false\ncopy = [{from = ".", to = "/srv", exclude = ["notes"]}]'
    )
    (project / "dist").mkdir()
    for suffix in (".oci.json", ".oci.tar", ".docker.tar"):
        (project / "dist" / f"my_app-1.0{suffix}").touch()
    (project / "sub").mkdir()
    (project / "sub" / "my_app-1.0.oci").touch()
    (project / "notes").touch()
    where = None if directory is None else str(project / directory)
    first, second = (read(Path(next(iter(builder.build(directory=where)))))[0] for _ in range(2))
    assert first == second
    made = (project / "dist" if where is None else Path(where)) / "my_app-1.2.3+local.1.oci"
    assert names(made, first["layers"][0]) == [
        "srv",
        "srv/pyproject.toml",
        *(f"srv/{name}" for name in ("src", "src/my_app", "src/my_app/__init__.py", "static", "static/page.html")),
        *("srv/sub", "srv/sub/my_app-1.0.oci"),
    ]


def test_a_folder_of_the_build_directory_is_copied_where_from_names_it(project: Path) -> None:
    table = (
        'base-image = "scratch"\nwheel = false\ncopy = [{from = "dist", to = "/a"}, {from = "dist/site", to = "/b"}]'
    )
    builder = builder_of(project, table)
    (project / "dist" / "site").mkdir(parents=True)
    (project / "dist" / "site" / "page.html").touch()
    (project / "dist" / "other-1.0.oci.json").touch()
    for _ in range(2):
        manifest, _ = read(build(builder))
        made = project / "dist" / "my_app-1.2.3+local.1.oci"
        assert [names(made, layer) for layer in manifest["layers"]] == [
            ["a", "a/other-1.0.oci.json", "a/site", "a/site/page.html"],
            ["b", "b/page.html"],
        ]
