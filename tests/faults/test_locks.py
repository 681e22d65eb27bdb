"""Locks and tables of `pyproject.toml` that nobody meant."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from tests.faults.workshop import Workshop
from tests.unit.dependencies import package_wheel

MIB = 1024 * 1024
TABLE = 'base-image = "oci:base"\nwheel = false\nentrypoint = ["python3"]\nlock = "pylock.toml"'
HEAD = 'lock-version = "1.0"\ncreated-by = "test"\n'
PACKAGE = f'{HEAD}[[packages]]\nname = "demo"\nversion = "1.0"\n'


def wheels(entry: str) -> str:
    return f'{PACKAGE}wheels = [{{{entry}, hashes = {{sha256 = "{"0" * 64}"}}}}]\n'


@pytest.mark.few(6)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "pylock.toml is no lock", id="empty"),
        pytest.param("x = 5", "pylock.toml is no lock", id="something else"),
        pytest.param("\0", "pylock.toml is no lock", id="a NUL"),
        pytest.param(b"\xff\xfe", "cannot read", id="no UTF-8"),
        pytest.param("x = " + "[" * 50_000, "pylock.toml is no lock", id="deep arrays"),
        pytest.param("x = " + '{"a" = ' * 50_000, "pylock.toml is no lock", id="deep tables"),
        pytest.param("x = " + "9" * 5000, "pylock.toml is no lock", id="a number of 5000 digits"),
        pytest.param("x" + ".x" * 3000 + " = 1", "", id="a key of 3000 parts"),
        pytest.param(f"{HEAD}packages = 5", "pylock.toml is no lock", id="packages that are none"),
        pytest.param(f"{HEAD}packages = [5]", "pylock.toml is no lock", id="a package that is none"),
        pytest.param(f"{PACKAGE}wheels = 5", "pylock.toml is no lock", id="wheels that are none"),
        pytest.param(f"{PACKAGE}wheels = [5]", "pylock.toml is no lock", id="a wheel that is none"),
        pytest.param(f"{PACKAGE}marker = 5", "pylock.toml is no lock", id="a marker that is none"),
        pytest.param(f'{PACKAGE}marker = "x == 1"', "pylock.toml is no lock", id="a marker of nothing"),
        pytest.param(
            HEAD.replace("1.0", "2.0") + "packages = []", "pylock.toml is no lock", id="a version of tomorrow"
        ),
        pytest.param(f'{PACKAGE}wheels = [{{path = "demo-1.0-py3-none-any.whl", hashes = {{}}}}]', "", id="no hash"),
        pytest.param(wheels('path = "x.whl"'), "", id="a name that is none"),
        pytest.param(wheels('path = "\\u001b[2J-1.0-py3-none-any.whl"'), "", id="escapes of a terminal"),
        pytest.param(wheels('url = "http://[x/demo-1.0-py3-none-any.whl"'), "pylock.toml is no lock", id="no URL"),
        pytest.param(wheels('url = "ftp://x.invalid/demo-1.0-py3-none-any.whl"'), "no URL to fetch from", id="ftp"),
        pytest.param(wheels('url = "file:///etc/passwd#/demo-1.0-py3-none-any.whl"'), "", id="passwd by file:"),
        pytest.param(
            wheels('url = "file:///dev/zero/demo-1.0-py3-none-any.whl"'),
            "demo-1.0-py3-none-any.whl",
            id="below a device",
        ),
        pytest.param(
            wheels('name = "demo-1.0-py3-none-any.whl", url = "file:///dev/zero"'), "a pipe or a device", id="a device"
        ),
        pytest.param(
            wheels('name = "demo-1.0-py3-none-any.whl", path = "../../../../../../../../dev/zero"'),
            "a pipe or a device",
            id="a device by a path",
        ),
        pytest.param(
            wheels('name = "demo-1.0-py3-none-any.whl", path = "../home/secret"'),
            "is not what the lock pins",
            id="a secret out of the project",
        ),
        pytest.param(
            f'{HEAD}[[packages]]\nname = "demo"\n'
            f'[packages.vcs]\ntype = "git"\nurl = "file:///etc"\ncommit-id = "{"0" * 40}"',
            "only wheels with a hash",
            id="a repository",
        ),
    ],
)
def test_lock_that_is_none(text: str | bytes, words: str, workshop: Workshop) -> None:
    (workshop.home / "secret").write_text("hunter2 of the user")
    refuse(workshop, text, words)


def refuse(workshop: Workshop, text: str | bytes, *words: str) -> None:
    """See that a build with this lock is refused, and nothing of this machine told."""
    workshop.write_base()
    workshop.write_project(TABLE, needs=["demo"])
    (workshop.project / "pylock.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    workshop.refuse_build(*words)
    said = workshop.build().said
    assert "hunter2" not in said
    assert "root:" not in said


def test_secret_of_this_machine_gets_in_by_its_hash_alone(workshop: Workshop) -> None:
    """And if its hash is known, it is still no wheel."""
    secret = b"hunter2 of the user"
    (workshop.home / "secret").write_bytes(secret)
    hashes = f'hashes = {{sha256 = "{sha256(secret).hexdigest()}"}}'
    entry = f'name = "demo-1.0-py3-none-any.whl", path = "{workshop.home}/secret", {hashes}'
    refuse(workshop, f"{PACKAGE}wheels = [{{{entry}}}]\n", "is not a wheel")


@pytest.mark.parametrize("name", ["pylock.toml", "requirements.txt"])
def test_huge_lock(name: str, workshop: Workshop) -> None:
    """Of 3 GiB, most of which is a hole on this disk."""
    workshop.write_base()
    workshop.write_project(TABLE.replace("pylock.toml", name), needs=["demo"])
    with (workshop.project / name).open("wb") as file:
        file.truncate(3 * 1024 * MIB)
    workshop.refuse_build("is larger than the 33554432 bytes")


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(os.mkfifo, id="pipe"),
        pytest.param(lambda path: path.symlink_to("/dev/zero"), id="device"),
        pytest.param(Path.mkdir, id="folder"),
        pytest.param(lambda path: path.symlink_to(path), id="symlink to itself"),
    ],
)
def test_lock_that_is_no_file(make: Callable[[Path], object], workshop: Workshop) -> None:
    workshop.write_base()
    workshop.write_project(TABLE, needs=["demo"])
    make(workshop.project / "pylock.toml")
    workshop.refuse_build("there is no such file", deadline=15)


def test_lock_that_names_a_workspace_out_of_the_project(workshop: Workshop) -> None:
    """What would be built there is no project; and nothing there is changed."""
    outside = workshop.folder / "outside"
    outside.mkdir()
    (outside / "setup.py").write_text("raise SystemExit('built')")
    text = f'{HEAD}[[packages]]\nname = "demo"\n[packages.directory]\npath = "../outside"\n'
    refuse(workshop, text, "")
    assert [path.name for path in outside.iterdir()] == ["setup.py"]


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "table",
    [
        'copy = "static"',
        "copy = [5]",
        'copy = [{ from = 5, to = "x" }]',
        'copy = [{ from = "static" }]',
        'copy = [{ from = "static", to = "../etc" }]',
        'copy = [{ from = "static", to = "/srv", mode = 644 }]',
        'copy = [{ from = "static", to = "/srv", mode = "99999" }]',
        'copy = [{ from = "static", to = "/srv", owner = "root" }]',
        'copy = [{ from = "static", to = "/srv", include = "x" }]',
        'copy = [{ from = "a\\u0000b", to = "/srv" }]',
        "env = 5",
        "env = { A = 5 }",
        'env = { "A=B" = "x" }',
        "labels = []",
        'platforms = ["linux"]',
        'platforms = [["linux/amd64"]]',
        "ports = [1e400]",
        "ports = [true]",
        "ports = [99999999999999999999]",
        "ports = [nan]",
        "wheel = []",
        "lock = 1979-05-27",
        'base-image = "{env:NOPE}"',
        'base-image = "{root:"',
        'base-image = "{x.__class__.__mro__}"',
        'base-image = "\\u001b[2J"',
        'base-image = "oci:"',
        'entrypoint = "\'"',
        'prefix = "/"',
        'mirrors = { "docker.io" = 5 }',
        'insecure-registries = "x"',
        'trusted-realms = [{ a = "b" }]',
        'user = "a b"',
        'tags = ["/../x"]',
        'repository = "https://user:hunter2@registry.example/app"',
        'created = "0000-00-00"',
        'x = "' + "y" * 100_000 + '"',
        "x" * 10_000 + " = 1",
        '"\\u001b]0;title\\u0007" = 1',
    ],
)
def test_table_of_another_shape(table: str, workshop: Workshop) -> None:
    workshop.write_project(table)
    workshop.refuse_build("tool.hatch.build.targets.oci", deadline=15)


def test_wheel_beside_the_lock_is_taken(workshop: Workshop) -> None:
    """The others are this one, but for one thing."""
    workshop.write_base()
    workshop.write_project(TABLE, needs=["demo"])
    wheel = package_wheel(workshop.project, "demo")
    entry = f'path = "{wheel.name}", hashes = {{sha256 = "{sha256(wheel.read_bytes()).hexdigest()}"}}'
    (workshop.project / "pylock.toml").write_text(f"{PACKAGE}wheels = [{{{entry}}}]\n")
    done = workshop.build()
    assert done.code == 0, done.said
