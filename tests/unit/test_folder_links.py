from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hatch_oci.layers.entry import Kind
from hatch_oci.layers.folder import Copy
from tests.unit.copies import ALL, copied, failure, files, write_static


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_static(tmp_path / "project")


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("link", "index.html"),
        ("link", "./css/../index.html"),
        ("img/raw/link", "../../css"),
        ("link", "not/there/yet"),
        ("css/link", ".."),
        ("link", "."),
    ],
)
def test_symlinks_inside_stay_symlinks(name: str, target: str, project: Path) -> None:
    (project / "static" / name).symlink_to(target)
    entry = copied(ALL, project)[f"srv/{name}"]
    assert (entry.kind, entry.link, entry.content, entry.mode) == (Kind.LINK, target, None, 0o777)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("link", "/etc/passwd"),
        ("link", ".."),
        ("css/link", "../../secret"),
        ("link", "css/../../static/index.html"),
        ("img/raw/link", "../../../x"),
    ],
)
def test_symlinks_that_lead_out_are_refused(name: str, target: str, project: Path) -> None:
    path = project / "static" / name
    path.symlink_to(target)
    assert failure(ALL, project) == f"copy: the symlink {path} leads to {target}, out of what is copied; exclude it"
    assert f"srv/{name}" not in copied(replace(ALL, exclude=("link",)), project)


def test_a_symlink_that_leads_out_through_another_is_refused(project: Path) -> None:
    (project / "static/css/root").symlink_to("..")
    (project / "static/sly").symlink_to("css/root/../secret")
    assert failure(ALL, project) == (
        f"copy: the symlink {project / 'static/sly'} leads to css/root/../secret, out of what is copied; exclude it"
    )
    (project / "static/sly").unlink()
    (project / "static/fine").symlink_to("css/root/img")
    assert copied(ALL, project)["srv/fine"].link == "css/root/img"


def test_symlinks_that_lead_in_circles_are_copied_as_they_are(project: Path) -> None:
    (project / "static/one").symlink_to("two")
    (project / "static/two").symlink_to("./one")
    assert copied(ALL, project)["srv/one"].link == "two"


@pytest.mark.parametrize("source", ["link", "link/sub", "here/../link", "static/out.txt"])
def test_a_source_that_a_symlink_leads_out_of_the_project_is_refused(source: str, project: Path) -> None:
    outside = project.parent / "outside"
    (outside / "sub").mkdir(parents=True)
    (outside / "out.txt").touch()
    (project / "here").mkdir()
    (project / "link").symlink_to(outside)
    (project / "static/out.txt").symlink_to(outside / "out.txt")
    assert failure(Copy(source, "/srv"), project).startswith(
        f"copy: {source} is, through a symlink, {(project / source).resolve()}, out of the project"
    )


def test_a_source_may_lie_outside_where_all_can_see_it(project: Path) -> None:
    (project.parent / "shared").mkdir()
    (project.parent / "shared/a").touch()
    (project / "inner").symlink_to("static/css")
    for source in ("../shared", str(project.parent / "shared")):
        assert files(Copy(source, "/srv"), project) == ["srv/a"]
    assert files(Copy("inner", "/srv"), project) == ["srv/print.css", "srv/style.css"]
