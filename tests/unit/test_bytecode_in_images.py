"""Bytecode of the app, of dependencies and of the standard library, in images built as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.building import blob
from tests.unit.filesystems import elf, file
from tests.unit.locked import (
    LOADERS,
    MAJOR,
    MINOR,
    NAME,
    SITE,
    STDLIB,
    contents_of,
    held,
    layers,
    made,
    refused,
    write_bases,
)


def test_bytecode_of_all_three_goes_in_where_its_source_lies(locked: Path) -> None:
    library = [file(f"{STDLIB}/os.py", b"import nothing\n"), file(f"{STDLIB}/site-packages/pip.py", b"")]
    write_bases(locked, library, at="with")
    table = 'base-image = "oci:with"\nbytecode = true'
    result = made(locked, table)
    assert list(layers(result))[1] == f"bytecode of {NAME}"
    tag = f"cpython-{MAJOR}{MINOR}"
    assert held(result, f"bytecode of {NAME}") == [f"{STDLIB}/__pycache__", f"{STDLIB}/__pycache__/os.{tag}.pyc"]
    assert f"{SITE}/web/__pycache__/__init__.{tag}.pyc" in held(result, "wheel web 1.0")
    app = "wheel My.App 1.2.3+local.1"
    files = contents_of(blob(result, {"digest": layers(result)[app]}))
    assert f"/{SITE}/my_app/__init__.py".encode() in files[f"{SITE}/my_app/__pycache__/__init__.{tag}.pyc"]
    assert b"__pycache__" in files[f"{SITE}/my_app-1.2.3+local.1.dist-info/RECORD"]
    assert layers(made(locked, table)) == layers(result)


@pytest.mark.parametrize("part", ["app", "dependencies", "stdlib"])
def test_bytecode_goes_in_only_where_it_is_asked_for(part: str, locked: Path) -> None:
    write_bases(locked, [file(f"{STDLIB}/os.py", b"")], at="with")
    result = made(locked, f'base-image = "oci:with"\nbytecode = ["{part}"]')
    with_bytecode = {name for name in layers(result) if any("__pycache__" in path for path in held(result, name))}
    own = {"app": "wheel My.App 1.2.3+local.1", "dependencies": "wheel web 1.0", "stdlib": f"bytecode of {NAME}"}
    assert with_bytecode == {own[part]}


def test_bytecode_for_another_python_is_refused(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = 12 if MINOR != 12 else 13
    members = [file(f"opt/bin/python3.{other}", elf(f"/lib/{LOADERS['amd64']}"))]
    write_bases(locked, members, at="other")
    table = f'base-image = "oci:other"\npython = "/opt/bin/python3.{other}"\nbytecode = ["app"]\nlock = false'
    assert refused(locked, capsys, table) == [
        f"bytecode needs a Python 3.{other} to compile with, this is {MAJOR}.{MINOR}."
    ]
