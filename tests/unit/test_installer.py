"""Wheels that nobody would make, laid down here and by pypa/installer: the same files, but for what is meant."""

from __future__ import annotations

import csv
import io
import posixpath
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from hatch_oci.layers.entry import Kind
from hatch_oci.layers.venv import Venv
from tests.peer import File, effect, files_below, lay_down
from tests.unit.odd_wheels import NAME, PYTHON, SAMPLES, SITE, Sample, data
from tests.unit.wheels import content_of, hash_of, install

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the venvs of images are those of POSIX")


class Installed(NamedTuple):
    """The files of a wheel by their paths in the venv, and its RECORD with such paths."""

    files: dict[str, File]
    rows: list[tuple[str, ...]]


def venv_in(folder: Path) -> Venv:
    return Venv(str(folder / "v"), f"/usr/bin/{PYTHON}", PYTHON, "3.13.1")


def ours(wheel: Path, folder: Path) -> Installed:
    venv = venv_in(folder)
    root = f"{venv.prefix.strip('/')}/"
    entries = [entry for entry in install(wheel, venv).values() if entry.kind is Kind.FILE]
    return described({entry.path.removeprefix(root): File(entry.mode, content_of(entry)) for entry in entries})


def theirs(wheel: Path, folder: Path) -> Installed:
    prefix = venv_in(folder).prefix
    lay_down(wheel, prefix, PYTHON, NAME, {"INSTALLER": b"hatch-oci-image\n", "REQUESTED": b""})
    return described(files_below(Path(prefix)))


def described(files: dict[str, File]) -> Installed:
    (record,) = (path for path in files if path.endswith(".dist-info/RECORD"))
    text = files.pop(record).content.decode()
    rows = csv.reader(io.StringIO(text, newline=""))
    # Some paths can be written in several ways, as ./a and a, or as ../../../lib/a and ../../a.
    return Installed(files, sorted((posixpath.normpath(f"{SITE}/{path}"), *rest) for path, *rest in rows))


def made(sample: Sample) -> set[str]:
    """Return the paths of the scripts that are made from entry points."""
    lines = sample.entry_points.partition("[demo.plugins]")[0].splitlines()
    return {f"bin/{line.partition('=')[0].strip()}" for line in lines if "=" in line}


@pytest.fixture(params=list(SAMPLES.values()), ids=list(SAMPLES))
def sample(request: pytest.FixtureRequest) -> Sample:
    found = request.param
    assert isinstance(found, Sample)
    return found


def test_what_is_laid_down_is_the_same(sample: Sample, tmp_path: Path) -> None:
    wheel = sample.write(tmp_path)
    found, expected = ours(wheel, tmp_path), theirs(wheel, tmp_path)
    scripts = made(sample)
    assert found.files.keys() == expected.files.keys() >= scripts
    assert {path for path in found.files if found.files[path] != expected.files[path]} <= scripts
    for path in scripts:
        assert effect(found.files[path]) == effect(expected.files[path])
    assert [row for row in found.rows if row[0] not in scripts] == [
        row for row in expected.rows if row[0] not in scripts
    ]


def test_record_holds_every_file_once_with_its_hash(sample: Sample, tmp_path: Path) -> None:
    found = ours(sample.write(tmp_path), tmp_path)
    rows = [(path, hash_of(file.content), str(len(file.content))) for path, file in found.files.items()]
    record = f"{SITE}/{NAME}-{sample.version}.dist-info/RECORD"
    assert found.rows == sorted([*rows, (record, "", "")])


@pytest.mark.parametrize("line", ["#!python3", "#!python3.11", "#!python2"])
def test_a_script_may_name_a_version_of_python(line: str, tmp_path: Path) -> None:
    # The specification has "starts with exactly b'#!python'", and an interpreter without a folder cannot be run.
    script = data("scripts/tool")
    wheel = Sample({script: f"{line}\nprint()\n".encode()}, executable=frozenset({script})).write(tmp_path)
    assert ours(wheel, tmp_path) == theirs(wheel, tmp_path)
