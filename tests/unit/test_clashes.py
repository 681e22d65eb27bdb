"""Two wheels that put different files at one path, whichever layers they go into."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from hatch_oci.errors import LockError, OCIError
from hatch_oci.layers.venv import Venv
from hatch_oci.layers.wheel import open_wheel
from hatch_oci.lock.dependencies import Dependency, check_clashes
from hatch_oci.store.blobs import BlobStore
from tests.unit.dependencies import Files, dependency, package_wheel, snapshot
from tests.unit.facts import read_fact, write_fact
from tests.unit.wheels import SITE, VENV

SHARED = {"space/__init__.py": b"# shared\n"}


class Shelf:
    """Wheels of projects that are made by and by."""

    def __init__(self, folder: Path, store: BlobStore) -> None:
        self.folder = folder
        self.store = store

    def __call__(self, name: str, files: Files, entry_points: str = "", **parts: str) -> Dependency:
        path = package_wheel(self.folder, name, files, entry_points=entry_points, **parts)
        return dependency(self.store, path)

    def check(self, *dependencies: Dependency, app: Path | None = None, venv: Venv = VENV) -> None:
        with ExitStack() as stack:
            wheel = stack.enter_context(open_wheel(app)) if app else None
            check_clashes(dependencies, wheel, venv, self.store)

    def clash(self, *dependencies: Dependency, app: Path | None = None) -> str:
        with pytest.raises(LockError) as caught:
            self.check(*dependencies, app=app)
        return str(caught.value)


@pytest.fixture
def shelf(tmp_path: Path, store: BlobStore) -> Shelf:
    return Shelf(tmp_path / "wheels", store)


def said(one: str, other: str, path: str) -> str:
    names = f"{one}-1.0-py3-none-any.whl and {other}-1.0-py3-none-any.whl"
    return f"{names} put different files at /{path}: exclude one of them"


def test_wheels_apart_are_no_clash(shelf: Shelf) -> None:
    shelf.check(shelf("one", {"one.py": b"1"}), shelf("two", {"two.py": b"2"}), app=package_wheel(shelf.folder, "app"))
    shelf.check()
    # Nothing had to be found out.
    assert not (shelf.store.folder / "facts" / "clashes").exists()


def test_a_namespace_that_wheels_share_is_no_clash(shelf: Shelf) -> None:
    one = shelf("one", {**SHARED, "space/one.py": b"1"})
    two = shelf("two", {**SHARED, "space/two.py": b"2"})
    bare = shelf("bare", {"space/bare.py": b"3"})
    shelf.check(one, two, bare)


@pytest.mark.parametrize(
    ("files", "path"),
    [
        ({"space/__init__.py": b"# mine\n"}, f"{SITE}/space/__init__.py"),
        ({"two-1.0.data/purelib/space/__init__.py": b"# mine\n"}, f"{SITE}/space/__init__.py"),
        ({"two-1.0.data/platlib/space/__init__.py": b"# mine\n"}, f"{SITE}/space/__init__.py"),
        ({"six.py": b"# mine\n"}, f"{SITE}/six.py"),
        ({"two-1.0.data/scripts/tool": b"# mine\n"}, "app/.venv/bin/tool"),
        ({"two-1.0.data/data/bin/tool": b"# mine\n"}, "app/.venv/bin/tool"),
        ({"two-1.0.data/data/share/x/a": b"# mine\n"}, "app/.venv/share/x/a"),
        ({"two-1.0.data/data/top": b"# mine\n"}, "app/.venv/top"),
        (
            {"two-1.0.data/data/lib/python3.13/site-packages/space/__init__.py": b"# mine\n"},
            f"{SITE}/space/__init__.py",
        ),
    ],
)
def test_different_files_at_one_path_name_both_wheels(files: Files, path: str, shelf: Shelf) -> None:
    data = {"one-1.0.data/scripts/tool": b"1", "one-1.0.data/data/share/x/a": b"1", "one-1.0.data/data/top": b"1"}
    one = shelf("one", {**SHARED, "six.py": b"1", **data})
    two = shelf("two", files)
    assert shelf.clash(one, two) == shelf.clash(two, one) == said("one", "two", path)


def test_one_script_of_two_wheels_is_a_clash_unless_it_is_the_same(shelf: Shelf) -> None:
    script = "[console_scripts]\ntool = {}:main\n"
    one = shelf("one", {"one.py": b""}, script.format("one"))
    two = shelf("two", {"two.py": b""}, script.format("two"))
    same = shelf("same", {"same.py": b""}, script.format("one"))
    assert shelf.clash(one, two) == said("one", "two", "app/.venv/bin/tool")
    shelf.check(one, same)


def test_data_files_in_one_folder_are_no_clash(shelf: Shelf) -> None:
    one = shelf("one", {"one-1.0.data/data/share/man/one.1": b"1", "one-1.0.data/headers/a.h": b"1"})
    two = shelf("two", {"two-1.0.data/data/share/man/two.1": b"2", "two-1.0.data/headers/a.h": b"2"})
    shelf.check(one, two)


def test_a_file_of_the_app_against_one_of_a_dependency_names_both(shelf: Shelf) -> None:
    one = shelf("one", {"app/util.py": b"1"})
    app = package_wheel(shelf.folder, "app", {"app/util.py": b"mine"})
    assert shelf.clash(one, app=app) == said("one", "app", f"{SITE}/app/util.py")
    same = package_wheel(shelf.folder / "same", "app", {"app/util.py": b"1", "app/more.py": b""})
    shelf.check(one, app=same)


def test_a_script_of_the_app_against_one_of_a_dependency_names_both(shelf: Shelf) -> None:
    one = shelf("one", {"one.py": b""}, "[console_scripts]\napp = one:main\n")
    app = package_wheel(shelf.folder, "app", entry_points="[gui_scripts]\napp = app:main\n")
    assert shelf.clash(one, app=app) == said("one", "app", "app/.venv/bin/app")


def test_dependencies_that_clash_are_found_beside_an_app_that_does_not(shelf: Shelf) -> None:
    one, two = shelf("one", SHARED), shelf("two", {"space/__init__.py": b"# mine\n"})
    app = package_wheel(shelf.folder, "app")
    assert shelf.clash(one, two, app=app) == said("one", "two", f"{SITE}/space/__init__.py")


@pytest.mark.parametrize("app", [False, True])
def test_a_file_against_a_folder_names_both_wheels(app: bool, shelf: Shelf) -> None:
    one = shelf("one", {"space": b"a file"})
    files = {"space/__init__.py": b""}
    message = (
        shelf.clash(one, app=package_wheel(shelf.folder, "two", files))
        if app
        else shelf.clash(one, shelf("two", files))
    )
    assert {"one-1.0-py3-none-any.whl", "two-1.0-py3-none-any.whl"} <= set(message.replace(":", " ").split())
    assert f"/{SITE}/space" in message


def test_what_was_found_out_is_remembered(shelf: Shelf) -> None:
    one, two = shelf("one", {**SHARED, "space/one.py": b""}), shelf("two", SHARED)
    app = package_wheel(shelf.folder, "app", SHARED)
    shelf.check(one, two)
    shelf.check(one, two, app=app)
    before = snapshot(shelf.store.folder)
    for dependency_ in (one, two):
        dependency_.blob.path.rename(dependency_.blob.path.with_suffix(".away"))
    shelf.check(two, one)
    shelf.check(one, two, app=app)
    assert {name.removesuffix(".away"): value for name, value in snapshot(shelf.store.folder).items()} == before


def test_what_was_found_out_of_other_wheels_is_not_taken_for_these(shelf: Shelf) -> None:
    one, two = shelf("one", SHARED), shelf("two", SHARED)
    shelf.check(one, two)
    newer = shelf("two", {"space/__init__.py": b"# mine\n"}, version="1.1")
    with pytest.raises(LockError, match=r"two-1\.1-py3-none-any\.whl"):
        shelf.check(one, newer)
    shelf.check(one, two, app=package_wheel(shelf.folder, "app", SHARED))
    other = package_wheel(shelf.folder / "other", "app", {"space/__init__.py": b"# mine\n"})
    assert shelf.clash(one, two, app=other) == said("one", "app", f"{SITE}/space/__init__.py")


def test_what_holds_for_one_venv_is_not_taken_for_another(shelf: Shelf) -> None:
    # A data file that is, by chance, the script that another wheel gets in a venv at /srv.
    script = b"#!/srv/bin/python\nprint(1)\n"
    one = shelf("one", {"one-1.0.data/scripts/tool": b"#!python\nprint(1)\n"})
    two = shelf("two", {"two-1.0.data/data/bin/tool": script})
    shelf.check(one, two, venv=replace(VENV, prefix="/srv"))
    assert shelf.clash(one, two) == said("one", "two", "app/.venv/bin/tool")


def test_a_clash_is_found_each_time(shelf: Shelf) -> None:
    one, two = shelf("one", SHARED), shelf("two", {"space/__init__.py": b"# mine\n"})
    assert shelf.clash(one, two) == shelf.clash(one, two)


@pytest.mark.parametrize("memory", [b"true", b"null", b"{}", b"", b"\xff"])
def test_a_damaged_memory_is_no_answer(memory: bytes, shelf: Shelf) -> None:
    one, two = shelf("one", SHARED), shelf("two", SHARED)
    shelf.check(one, two)
    (fact,) = (shelf.store.folder / "facts" / "clashes").iterdir()
    write_fact(fact, memory)
    shelf.check(one, two)
    assert read_fact(fact) is False


def test_a_wheel_that_is_damaged_is_named(shelf: Shelf) -> None:
    one, two = shelf("one", SHARED), shelf("two", SHARED)
    two.blob.path.chmod(0o644)
    two.blob.path.write_bytes(b"no wheel")
    with pytest.raises(OCIError, match=r"^two-1\.0-py3-none-any\.whl is not a wheel"):
        shelf.check(one, two)
