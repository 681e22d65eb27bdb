"""What the target's table says about dependencies, and what the project says that it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hatch_oci.config import needs_of, uses_hatchling
from hatch_oci.dependency_settings import DependencySettings
from hatch_oci.errors import ConfigError
from hatch_oci.lock.needs import Needs, Wanted
from tests.unit.projects import builder_of, read_table

PROJECT = """
dependencies = ["httpx>=0.27", "tomli; python_version < '3.11'"]
[project.optional-dependencies]
web-ui = ["fastapi"]
all = ["My_App[web-ui]", "uvloop"]
[dependency-groups]
docs = ["sphinx", {include-group = "base"}]
base = ["furo==1"]
round = [{include-group = "trip"}]
trip = [{include-group = "round"}]
odd = ["not a requirement"]
wrong = [5]
"""


def read(**values: Any) -> DependencySettings:
    return read_table({key.replace("_", "-"): value for key, value in values.items()}).dependencies


def needs(folder: Path, *extras: str, groups: tuple[str, ...] = ()) -> Needs:
    return needs_of(builder_of(folder, project=PROJECT).metadata, Wanted(extras, groups))


def names(found: Needs) -> list[str]:
    return [one.name for one in found.requirements]


def test_without_a_word_the_lock_that_is_there_goes_in() -> None:
    assert read() == DependencySettings(
        lock="auto",
        wanted=Wanted((), ()),
        excluded=frozenset(),
        sdists=frozenset(),
        system_site_packages=False,
        layers="auto",
        bytecode=frozenset(),
    )


def test_what_is_said_is_taken() -> None:
    found = read(
        lock="locks/pylock.toml",
        extras=["web"],
        dependency_groups=["docs"],
        exclude_packages=["Torch", "nvidia_cublas.cu12"],
        allow_sdist=["Odd_One"],
        system_site_packages=True,
        layers="one",
        bytecode=["app"],
    )
    assert found == DependencySettings(
        lock="locks/pylock.toml",
        wanted=Wanted(("web",), ("docs",)),
        excluded=frozenset({"torch", "nvidia-cublas-cu12"}),
        sdists=frozenset({"odd-one"}),
        system_site_packages=True,
        layers="one",
        bytecode=frozenset({"app"}),
    )


def test_a_lock_may_be_refused_and_bytecode_wished_for_altogether() -> None:
    assert read(lock=False).lock is None
    assert read(bytecode=True).bytecode == {"dependencies", "app", "stdlib"}
    assert read(bytecode=False).bytecode == read(bytecode=[]).bytecode == frozenset()


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read(
            lock=5,
            extras="web",
            allow_sdist=[5],
            system_site_packages="yes",
            layers="many",
            bytecode=["app", "tests"],
        )
    assert caught.value.mistakes == [
        "Field `t.lock` must be a string or false",
        "Field `t.extras` must be an array",
        "Element #1 of field `t.allow-sdist` must be a string",
        "Field `t.system-site-packages` must be a boolean",
        "Field `t.layers` must be one of: auto, one, per-package",
        "Element #2 of field `t.bytecode` must be one of: dependencies, app, stdlib",
    ]
    with pytest.raises(ConfigError, match=r"^Field `t\.bytecode` must be a boolean or an array$"):
        read(bytecode="app")


def test_a_project_needs_its_dependencies_and_what_is_wanted_besides(tmp_path: Path) -> None:
    plain = needs(tmp_path)
    assert (plain.name, names(plain)) == ("my-app", ["httpx", "tomli"])
    assert names(needs(tmp_path, "Web_UI", groups=("docs",))) == ["httpx", "tomli", "fastapi", "sphinx", "furo"]


def test_an_extra_that_names_another_of_the_project_needs_what_that_does(tmp_path: Path) -> None:
    found = names(needs(tmp_path, "all"))
    assert {"fastapi", "uvloop"} < set(found)
    assert "My_App" not in found


def test_each_extra_that_the_project_does_not_have_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        needs(tmp_path, "cli", "web-ui", "gui")
    assert caught.value.mistakes == [
        f"Field `tool.hatch.build.targets.oci.extras` names {extra!r}, which the project does not have"
        for extra in ("cli", "gui")
    ]


@pytest.mark.parametrize(
    ("group", "problem"),
    [("nowhere", "nowhere"), ("round", "round"), ("odd", "not a requirement"), ("wrong", "wrong|5|int")],
)
def test_a_group_that_cannot_be_had_is_told_in_a_line(group: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=f"(?s)^Field `tool.hatch.build.targets.oci.dependency-groups`: .*({problem})"
    ):
        needs(tmp_path, groups=(group,))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[build-system]\nbuild-backend = "hatchling.build"', True),
        ('[build-system]\nbuild-backend = "flit_core.buildapi"', False),
        ('[project]\nname = "x"', False),
        ("no TOML", False),
        ("build-system = 5", False),
        ("\xff", False),
        (None, False),
    ],
)
def test_what_builds_a_member_is_told_by_its_pyproject(text: str | None, expected: bool, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text, "latin-1")
    assert uses_hatchling(tmp_path) is expected
