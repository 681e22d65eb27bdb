"""What a project of several parts, extras and groups brings into its image."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.backends import write_project
from tests.unit.locked import (
    BOTH,
    CP,
    ONE,
    SITE,
    held,
    layers,
    made,
    record,
    refused,
)
from tests.unit.locks import write_lock


def test_an_extra_that_names_others_of_the_project_brings_what_they_need(locked: Path) -> None:
    extras = '[project.optional-dependencies]\nweb = ["web"]\nall = ["My.App[web]"]'
    lock = (locked / "pylock.toml").read_text().replace("[[packages]]", 'extras = ["all", "web"]\n[[packages]]', 1)
    (locked / "pylock.toml").write_text(lock)
    assert "wheel web 1.0" in layers(made(locked, f'{ONE}\nextras = ["all"]', needs="", more=extras))


def test_a_group_that_names_an_extra_of_the_project_brings_what_that_needs(locked: Path) -> None:
    groups = '[project.optional-dependencies]\nweb = ["web"]\n[dependency-groups]\nlive = ["my-app[web]"]'
    lock = (locked / "pylock.toml").read_text().replace("[[packages]]", 'dependency-groups = ["live"]\n[[packages]]', 1)
    (locked / "pylock.toml").write_text(lock)
    result = made(locked, f'{ONE}\ndependency-groups = ["live"]', needs="", more=groups)
    assert "wheel web 1.0" in layers(result)


def with_members(locked: Path, **folders: str) -> None:
    more = "".join(
        f'[[packages]]\nname = "{name}"\ndirectory = {{path = "{path}"}}\n' for name, path in folders.items()
    )
    write_lock(locked / "pylock.toml", [], more=more)


def test_members_of_the_workspace_have_a_layer_of_their_own(locked: Path) -> None:
    write_project(locked.parent / "plain", "plain")
    hatchling = locked.parent / "other"
    (hatchling / "other").mkdir(parents=True)
    (hatchling / "other" / "__init__.py").touch()
    (hatchling / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "other"\nversion = "2.0"\n'
    )
    with_members(locked, plain="../plain", other="../other")
    result = made(locked, BOTH, needs='"plain", "other>=2"')
    assert list(layers(result))[2] == "workspace plain, other"
    assert layers(result)["workspace plain, other"] == layers(result, "linux/arm64")["workspace plain, other"]
    assert {f"{SITE}/plain/__init__.py", f"{SITE}/other/__init__.py"} < set(held(result, "workspace plain, other"))
    assert record(result)["platforms"]["linux/amd64"]["packages"]["other"] == "2.0"


def test_members_whose_folders_have_the_same_name_are_told_apart(locked: Path) -> None:
    write_project(locked.parent / "a" / "core", "one")
    write_project(locked.parent / "b" / "core", "two")
    with_members(locked, one="../a/core", two="../b/core")
    result = made(locked, needs='"one", "two"')
    assert {f"{SITE}/one/__init__.py", f"{SITE}/two/__init__.py"} < set(held(result, "workspace one, two"))


def test_the_workspaces_root_may_be_a_member(locked: Path) -> None:
    write_project(locked.parent / "top", "top")
    for path in (locked.parent / "top").iterdir():
        path.rename(locked.parent / path.name)
    write_project(locked.parent / "plain", "plain")
    with_members(locked, plain="../plain", top="..")
    result = made(locked, BOTH, needs='"top"')
    assert f"{SITE}/top/__init__.py" in held(result, "workspace plain, top")


def test_a_member_that_makes_a_wheel_for_another_machine_is_refused(
    locked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_project(locked.parent / "core", "core", f"{CP}-{CP}-linux_x86_64")
    with_members(locked, core="../core")
    made(locked, needs='"core"')
    lines = refused(locked, capsys, BOTH, needs='"core"')
    assert f"core-1.0-{CP}-{CP}-linux_x86_64.whl" in lines[0]
    assert "linux/arm64" in lines[0]


def test_a_member_that_is_not_there_is_an_error_of_ours(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_members(locked, gone="../gone")
    lines = refused(locked, capsys, needs='"gone"')
    assert "gone" in lines[0]
    assert len(lines) <= 2
