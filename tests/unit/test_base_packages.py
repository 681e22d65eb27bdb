"""Which Python packages a base brings along."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_oci.base.packages import find_packages
from hatch_oci.base.python import Python
from tests.unit.filesystems import Member, file, folder, link, tree_of, whiteout
from tests.unit.locks import GLIBC


def packages(
    scratch: Path, *layers: Sequence[Member], executable: str = "/usr/local/bin/python3.13", threads: bool = False
) -> dict[str, str]:
    return find_packages(tree_of(scratch, *layers), Python(executable, "3.13.1", threads, GLIBC))


SITE = "usr/local/lib/python3.13/site-packages"


def test_packages_are_told_by_their_folders(tmp_path: Path) -> None:
    members = [
        file(f"{SITE}/torch-2.5.1+cu124.dist-info/METADATA"),
        file(f"{SITE}/Typing_Extensions-4.12.2.dist-info/METADATA"),
        file(f"{SITE}/ruamel.yaml.clib-0.2.8.dist-info/METADATA"),
        file(f"{SITE}/old_style-1.0-py3.13.egg-info/PKG-INFO"),
        file(f"{SITE}/single-2.0.egg-info"),
        file(f"{SITE}/a-1.dist-info/METADATA"),
    ]
    assert packages(tmp_path, members) == {
        "torch": "2.5.1+cu124",
        "typing-extensions": "4.12.2",
        "ruamel-yaml-clib": "0.2.8",
        "old-style": "1.0",
        "single": "2.0",
        "a": "1",
    }


@pytest.mark.parametrize(
    "name",
    ["torch", "torch.py", "torch-2.5.dist-info.bak", "~orch-2.5.dist-info", "-2.5.dist-info", "torch-.dist-info"],
)
def test_other_names_are_no_packages(name: str, tmp_path: Path) -> None:
    assert packages(tmp_path, [file(f"{SITE}/{name}/x")]) == {}


@pytest.mark.parametrize(
    ("executable", "where"),
    [
        ("/usr/local/bin/python3.13", "usr/local/lib/python3.13/site-packages"),
        ("/opt/conda/bin/python3.13", "opt/conda/lib/python3.13/site-packages"),
        ("/usr/bin/python3.13", "usr/lib/python3/dist-packages"),
        ("/usr/bin/python3.13", "usr/local/lib/python3.13/dist-packages"),
        ("/usr/bin/python3.13", "usr/lib/python3.13/site-packages"),
        ("/usr/bin/python3.13", "usr/lib64/python3.13/site-packages"),
        # Where Fedora's pip installs to, if root asks it.
        ("/usr/bin/python3.13", "usr/local/lib/python3.13/site-packages"),
        ("/usr/bin/python3.13", "usr/local/lib64/python3.13/site-packages"),
    ],
)
def test_packages_lie_where_the_distribution_has_them(executable: str, where: str, tmp_path: Path) -> None:
    assert packages(tmp_path, [file(f"{where}/x-1.0.dist-info/METADATA")], executable=executable) == {"x": "1.0"}


def test_packages_of_another_python_are_none(tmp_path: Path) -> None:
    members = [
        file("usr/local/lib/python3.12/site-packages/x-1.0.dist-info/METADATA"),
        file("usr/lib/python3/dist-packages/y-1.0.dist-info/METADATA"),
        file("usr/local/lib/python3.13t/site-packages/z-1.0.dist-info/METADATA"),
    ]
    assert packages(tmp_path, members) == {}
    assert packages(tmp_path, members, executable="/usr/local/bin/python3.13t", threads=True) == {"z": "1.0"}


def test_the_first_folder_on_the_path_wins(tmp_path: Path) -> None:
    members = [
        file("usr/lib/python3/dist-packages/x-1.0.dist-info/METADATA"),
        file("usr/local/lib/python3.13/dist-packages/x-2.0.dist-info/METADATA"),
    ]
    assert packages(tmp_path, members, executable="/usr/bin/python3.13") == {"x": "2.0"}


def test_folders_are_found_through_symlinks_and_whiteouts_count(tmp_path: Path) -> None:
    lower = [
        folder("opt/packages"),
        file("opt/packages/x-1.0.dist-info/METADATA"),
        file("opt/packages/gone-1.0.dist-info/METADATA"),
        folder("usr/local/lib/python3.13"),
        link(SITE, "/opt/packages"),
    ]
    assert packages(tmp_path, lower, [whiteout("opt/packages/gone-1.0.dist-info")]) == {"x": "1.0"}


def test_a_base_without_any_has_none(tmp_path: Path) -> None:
    assert packages(tmp_path, [file("bin/sh"), file(SITE)]) == {}


@given(st.lists(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=30), max_size=5))
def test_whatever_lies_there_is_a_package_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    members = [file(f"{SITE}/{name}.dist-info/x") for name in names if not name.startswith(".")]
    for name, version in packages(tmp_path_factory.mktemp("base"), members).items():
        assert name
        assert version
        assert name == name.lower()
