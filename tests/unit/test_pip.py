"""A wheel installed here, and the same wheel installed by pip: both into venvs of the running Python."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from hatch_oci.layers.entry import complete
from hatch_oci.layers.layer import write_layer
from hatch_oci.layers.venv import Venv, venv_entries, wheel_entries
from hatch_oci.layers.wheel import open_wheel
from hatch_oci.store.blobs import BlobStore
from tests.e2e.requirements import missing
from tests.unit.wheels import write_wheel

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the venvs of images are those of POSIX")

THREADING = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
NAME = f"python{sys.version_info.major}.{sys.version_info.minor}{THREADING}"
VERSION = sys.version.split()[0].rstrip("+")

INFO = "Demo_App-1.0.dist-info"
DATA = "Demo_App-1.0.data"
CLI = b"""
import sys


def main():
    print("main", sys.argv[1:], sys.prefix)
    return 3


class App:
    @staticmethod
    def run():
        print("App.run")
"""
FILES = {
    "demo_app/__init__.py": b"",
    "demo_app/__main__.py": b"from demo_app.cli import main\n\nmain()\n",
    "demo_app/cli.py": CLI,
    "demo_app/start.sh": b"#!/bin/sh\n",
    'demo_app/a, "b".txt': b"quoted in RECORD",
    "demo_app/größe.txt": "größe".encode(),
    "demo_app/empty/.keep": b"",
    "top.py": b"",
    f"{DATA}/purelib/pure.py": b"pure = True\n",
    f"{DATA}/platlib/demo_app/plat.py": b"plat = True\n",
    f"{DATA}/scripts/tool": b"#!python\nimport sys\nprint('tool', sys.prefix)\n",
    f"{DATA}/scripts/window": b"#!pythonw\r\nprint('window')\r\n",
    f"{DATA}/scripts/numbered": b"#!python3.99 -E -s\nprint('numbered')\n",
    f"{DATA}/scripts/shell": b"#!/bin/sh\necho shell\n",
    f"{DATA}/scripts/binary": b"\x7fELF\0\xff",
    f"{DATA}/data/share/demo/data.txt": b"shared",
    f"{DATA}/data/etc/demo.conf": b"",
    f"{DATA}/headers/demo.h": b"/* C */\n",
    f"{DATA}/headers/sub/more.h": b"",
    f"{INFO}/licenses/LICENSE": b"MIT",
}
ENTRY_POINTS = """
[console_scripts]
demo = demo_app.cli:main
demo-dotted = demo_app.cli:App.run [extra]

[gui_scripts]
demo-window = demo_app.cli:App.run
"""
METADATA = "Metadata-Version: 2.1\nName: demo-app\nVersion: 1.0\nProvides-Extra: extra\nRequires-Python: >=3.9\n"
# pip makes scripts executable only if they are so in the wheel.
EXECUTABLE = {"demo_app/start.sh", f"{DATA}/data/etc/demo.conf"} | {name for name in FILES if "/scripts/" in name}


class Installed(NamedTuple):
    """A venv with the wheel in it."""

    prefix: Path
    before: frozenset[str]

    @property
    def site(self) -> Path:
        return self.prefix / "lib" / NAME / "site-packages"

    @property
    def files(self) -> dict[str, Path]:
        """What the wheel brought, by its path."""
        return {path: self.prefix / path for path in paths_in(self.prefix) - self.before}

    def record(self) -> dict[str, list[str]]:
        with (self.site / INFO / "RECORD").open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        assert len({row[0] for row in rows}) == len(rows)
        return {row[0]: row[1:] for row in rows}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        words = [str(self.prefix / "bin" / command[0]), *command[1:]]
        return subprocess.run(words, capture_output=True, text=True, check=False, env=clean())


def clean() -> dict[str, str]:
    """Return an environment in which only the venv tells where modules are."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP_", "VIRTUAL_ENV"))}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_CONFIG_FILE": os.devnull}


def paths_in(folder: Path) -> frozenset[str]:
    return frozenset(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
    )


@pytest.fixture(scope="session")
def pip(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return a pip, which is asked to work on other interpreters than its own."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if not importlib.util.find_spec("ensurepip"):
        missing("pip, or ensurepip to make one")
    folder = tmp_path_factory.mktemp("pip")
    venv.create(folder, with_pip=True)
    return [str(folder / "bin/python"), "-m", "pip"]


@pytest.fixture(scope="module")
def wheel_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wheel(
        tmp_path_factory.mktemp("wheel"),
        FILES,
        filename="demo_app-1.0-py3-none-any.whl",
        info=INFO,
        metadata=METADATA,
        entry_points=ENTRY_POINTS,
        executable=EXECUTABLE,
    )


@pytest.fixture(scope="module")
def theirs(pip: list[str], wheel_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    prefix = tmp_path_factory.mktemp("p") / "v"
    venv.create(prefix, symlinks=True)
    installed = Installed(prefix, paths_in(prefix))
    options = ["--no-deps", "--no-index", "--no-compile", "--no-cache-dir"]
    subprocess.run([*pip, "--python", prefix / "bin/python", "install", *options, wheel_path], env=clean(), check=True)
    return installed


@pytest.fixture(scope="module")
def ours(wheel_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return unpacked(wheel_path, tmp_path_factory.mktemp("o"))


def unpacked(wheel_path: Path, folder: Path) -> Installed:
    """Write the layers of a venv and a wheel, and let tar unpack them where they belong."""
    prefix = folder / "v"
    prefix.mkdir()
    description = Venv(str(prefix), os.path.realpath(sys.executable), NAME, VERSION)
    before: frozenset[str] = frozenset()
    with open_wheel(wheel_path) as wheel:
        for entries in (venv_entries(description), wheel_entries(wheel, description, requested=True)):
            before = paths_in(prefix)
            store = BlobStore(folder / "cache")
            layer = write_layer(complete(entries, lambda _path: False), "", "gzip", store)
            strip = f"--strip-components={len(prefix.parts) - 1}"
            command = ["tar", "-xzpf", str(store.path(layer.descriptor.digest)), strip, "-C", str(prefix)]
            subprocess.run(command, check=True)
    return Installed(prefix, before)


@pytest.fixture
def changed(wheel_path: Path, tmp_path: Path) -> Iterator[Installed]:
    """Return a venv that a test may change."""
    installed = unpacked(wheel_path, tmp_path)
    yield installed
    shutil.rmtree(installed.prefix)


def without_pips_own(found: Mapping[str, object], prefix: str = "") -> set[str]:
    return set(found) - {f"{prefix}{INFO}/direct_url.json"}


def test_the_same_files_are_there(theirs: Installed, ours: Installed) -> None:
    assert set(ours.files) == without_pips_own(theirs.files, f"lib/{NAME}/site-packages/")


def test_files_have_the_same_content_but_for_scripts(theirs: Installed, ours: Installed) -> None:
    written = {"bin/demo", "bin/demo-dotted", "bin/demo-window", "bin/window"}
    written |= {f"lib/{NAME}/site-packages/{INFO}/{name}" for name in ("RECORD", "INSTALLER")}
    for path in set(ours.files) - written:
        theirs_here = theirs.files[path].read_bytes().replace(str(theirs.prefix).encode(), str(ours.prefix).encode())
        assert ours.files[path].read_bytes() == theirs_here, path


def test_the_same_files_can_be_run(theirs: Installed, ours: Installed) -> None:
    def executable(installed: Installed) -> set[str]:
        return {path for path, real in installed.files.items() if os.access(real, os.X_OK) and real.stat().st_mode & 1}

    assert executable(ours) == executable(theirs)


def test_record_has_the_same_rows(theirs: Installed, ours: Installed) -> None:
    expected, found = theirs.record(), ours.record()
    assert set(found) == without_pips_own(expected)
    rewritten = {path for path in found if path.startswith("../../../bin/")} | {f"{INFO}/INSTALLER"}
    assert {path: found[path] for path in set(found) - rewritten} == {
        path: expected[path] for path in set(found) - rewritten
    }


def test_importlib_finds_every_file_as_record_says(ours: Installed) -> None:
    program = """
import base64, hashlib, importlib.metadata as metadata, json
found = metadata.distribution("demo-app")
assert found.version == "1.0" and found.metadata["Name"] == "demo-app", found
assert found.read_text("INSTALLER") == "hatch-oci-image\\n"
assert found.read_text("REQUESTED") == "" and found.read_text("direct_url.json") is None
for file in found.files:
    data = file.locate().read_bytes()
    if file.hash:
        right = base64.urlsafe_b64encode(hashlib.new(file.hash.mode, data).digest()).rstrip(b"=").decode()
        assert (file.hash.value, file.size) == (right, len(data)), file
print(json.dumps([str(file) for file in found.files if not file.hash]))
"""
    done = ours.run("python", "-c", program)
    assert done.stderr == ""
    assert json.loads(done.stdout) == [f"{INFO}/RECORD"]


@pytest.mark.parametrize(
    ("command", "output", "code"),
    [
        (("demo", "a b", "-c"), "main ['a b', '-c'] PREFIX", 3),
        (("demo-dotted",), "App.run", 0),
        (("demo-window",), "App.run", 0),
        (("tool",), "tool PREFIX", 0),
        (("window",), "window", 0),
        (("shell",), "shell", 0),
        (("python", "-m", "demo_app"), "main [] PREFIX", 0),
        (("python3", "-c", "import pure, top, demo_app.plat; print(pure.pure)"), "True", 0),
        ((NAME, "-c", "import sys; print(sys.version.split()[0])"), sys.version.split()[0], 0),
    ],
)
def test_scripts_and_python_run(command: tuple[str, ...], output: str, code: int, ours: Installed) -> None:
    done = ours.run(*command)
    assert (done.stdout.strip(), done.returncode) == (output.replace("PREFIX", str(ours.prefix)), code), done.stderr


def test_the_venv_is_like_one_that_python_makes(theirs: Installed, ours: Installed) -> None:
    def settings(installed: Installed) -> dict[str, str]:
        lines = (installed.prefix / "pyvenv.cfg").read_text().splitlines()
        return {key: value for key, _, value in (line.partition(" = ") for line in lines)}

    expected, found = settings(theirs), settings(ours)
    assert found.keys() <= expected.keys()
    assert (found["version"], found["include-system-site-packages"]) == (VERSION, "false")
    assert Path(found["executable"]).samefile(expected["executable"])
    for name in ("python", "python3", NAME):
        assert (ours.prefix / "bin" / name).samefile(sys.executable)
    assert (ours.prefix / "lib64").samefile(ours.prefix / "lib")
    place = "import sys, sysconfig; print(sys.prefix, sys.base_prefix, sysconfig.get_paths())"
    printed = ours.run("python", "-c", place).stdout
    assert printed == theirs.run("python", "-c", place).stdout.replace(str(theirs.prefix), str(ours.prefix))


def test_pip_finds_nothing_to_complain_of(pip: list[str], ours: Installed) -> None:
    command = [*pip, "--python", str(ours.prefix / "bin/python")]
    done = subprocess.run([*command, "check"], capture_output=True, text=True, env=clean(), check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "No broken requirements found.")


def test_pip_uninstalls_all_of_it(pip: list[str], changed: Installed) -> None:
    command = [*pip, "--python", str(changed.prefix / "bin/python"), "uninstall", "--yes", "demo-app"]
    done = subprocess.run(command, capture_output=True, text=True, env=clean(), check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert changed.files == {}
    assert (changed.prefix / "pyvenv.cfg").is_file()
