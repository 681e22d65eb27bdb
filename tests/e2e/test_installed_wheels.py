"""The wheels of the example's lock, as they lie in the image and as pypa/installer lays them down: the same files."""

import csv
import re
import zipfile
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.tags import Tag, parse_tag

from tests.peer import File, effect, files_below, lay_down

from .projects import EXAMPLE
from .trees import VENV, Tree, site_packages

pytestmark = pytest.mark.e2e

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
PROJECT = re.compile(r"bin/hello-service|lib/python3\.\d+/site-packages/hello_service(-1\.0\.0\.dist-info)?/.*")
"""What the venv has of the project's own wheel, which is in no lock."""


class Found(NamedTuple):
    """A wheel in the cache, and what it says of itself."""

    blob: Path
    dist_info: str
    tags: frozenset[Tag]

    @property
    def filename(self) -> str:
        """Answer its name: the parts of its tags are sets in which each goes with each."""
        parts = [{tag.interpreter for tag in self.tags}, {tag.abi for tag in self.tags}]
        parts.append({tag.platform for tag in self.tags})
        return "-".join([self.dist_info.removesuffix(".dist-info"), *(".".join(sorted(part)) for part in parts)])


def test_installer_lays_down_the_same(tree: Tree, shared_cache: Path, tmp_path: Path) -> None:
    """The text of the scripts for entry points may differ, and with it their hashes in RECORD; what they do may not."""
    python = site_packages(tree.root).parent.name
    for name, found in _locked_wheels(shared_cache, tree.architecture, python).items():
        wheel = tmp_path / f"{found.filename}.whl"
        wheel.symlink_to(found.blob)
        lay_down(wheel, f"/{VENV}", python, name, {"INSTALLER": b"hatch-oci-image\n"}, str(tmp_path / "root"))
    ours, theirs = files_below(tree.root / VENV), files_below(tmp_path / "root" / VENV)
    ours = {path: file for path, file in ours.items() if path != "pyvenv.cfg" and not PROJECT.fullmatch(path)}
    scripts = _scripts(site_packages(tmp_path / "root"))
    assert "bin/uvicorn" in scripts

    assert ours.keys() == theirs.keys()
    assert {path: file.mode for path, file in ours.items()} == {path: file.mode for path, file in theirs.items()}
    records = {path for path in ours if path.endswith(".dist-info/RECORD")}
    assert {path for path in ours if ours[path] != theirs[path]} <= records | scripts
    for path in records:
        assert _rows(ours[path], scripts) == _rows(theirs[path], scripts), path
    for path in scripts:
        assert effect(ours[path]) == effect(theirs[path]), path


def _locked_wheels(cache: Path, architecture: str, python: str) -> dict[str, Found]:
    """Answer the wheel of each package of the lock that fits; other tests cache those for other Pythons."""
    wheels = {}
    for pin in re.split(r"\n(?=\S)", (EXAMPLE / "requirements.txt").read_text()):
        if found := re.match(r"([\w.-]+)==", pin):
            blobs = (cache / "v1/blobs/sha256" / digest for digest in re.findall(r"sha256:(\w{64})", pin))
            fitting = [one for one in _wheels(blobs) if _fits(one, architecture, python)]
            assert len(fitting) == 1, f"{found[1]}: {fitting}"
            wheels[found[1]] = fitting[0]
    assert {"msgspec", "starlette", "uvicorn"} <= wheels.keys()
    return wheels


def _wheels(blobs: Iterator[Path]) -> Iterator[Found]:
    for blob in filter(zipfile.is_zipfile, filter(Path.exists, blobs)):
        with zipfile.ZipFile(blob) as archive:
            [described] = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/WHEEL", name)]
            lines = archive.read(described).decode().splitlines()
        tags = [parse_tag(line.removeprefix("Tag:").strip()) for line in lines if line.startswith("Tag:")]
        yield Found(blob, described.partition("/")[0], frozenset().union(*tags))


def _fits(wheel: Found, architecture: str, python: str) -> bool:
    """Tell whether a wheel is for the base's Python with glibc."""
    platform = re.compile(rf"any|manylinux\w+_{MACHINES[architecture]}")
    interpreters = {"py3", python.replace("python", "cp").replace(".", "")}
    return any(tag.interpreter in interpreters and platform.fullmatch(tag.platform) for tag in wheel.tags)


def _scripts(site: Path) -> set[str]:
    """Answer the paths of the scripts that are made from entry points."""
    points = [point for found in distributions(path=[str(site)]) for point in found.entry_points]
    return {f"bin/{point.name}" for point in points if point.group in ("console_scripts", "gui_scripts")}


def _rows(record: File, scripts: set[str]) -> set[tuple[str, ...]]:
    """Answer the rows of a RECORD, those of scripts without hash and size."""
    rows = [tuple(row) for row in csv.reader(record.content.decode().splitlines())]
    assert len(set(rows)) == len(rows)
    return {row if row[0].removeprefix("../../../") not in scripts else row[:1] for row in rows}
