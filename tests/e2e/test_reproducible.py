"""The same sources and lock on the same base are the same image, wherever and by whatever Python it is built.

Each build has a cache of its own, so that each makes every layer, those of the dependencies too.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .bases import MINOR
from .conftest import Registry
from .images import read_image
from .interpreters import find_python, venv_with_plugin
from .projects import NAME, VERSION, copy_example, environment, hatchling_build

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("package_index")]

MINORS = ("3.11", "3.12", "3.13", "3.14")


# Enough for two file systems to list them in different orders.
MORE_FILES = [*(f"file{number}.txt" for number in range(12)), "grün.txt"]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """Answer a folder on another file system where there is one, which lists and links files its own way."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else tmp_path))
    yield folder
    shutil.rmtree(folder)


def test_two_clones(tmp_path: Path, elsewhere: Path, registry: Registry) -> None:
    """Path, umask, file modes, times and order, time zone, locale and hash seed change nothing."""
    assert _there(tmp_path, elsewhere, registry) == _here(tmp_path, registry)


def test_other_pythons(tmp_path: Path, elsewhere: Path, registry: Registry) -> None:
    """Builds by other Pythons, with the plugin installed there as users do, give the same digest."""
    others = {minor: find_python(minor) for minor in MINORS if minor != MINOR}
    found = {minor: python for minor, python in others.items() if python is not None}
    if not found:
        # Also where all is required: Debian has but one Python, so .ci/run can't install a second.
        pytest.skip(f"missing: any of Python {', '.join(others)} with venv (on PATH, beside this one, or pyenv's)")
    digests = {MINOR: _here(tmp_path, registry)}
    for minor, python in found.items():
        inside = venv_with_plugin(python, tmp_path / f"venv-{minor}")
        digests[minor] = _there(tmp_path / minor, elsewhere / minor, registry, python=inside)
    assert digests == dict.fromkeys(digests, digests[MINOR])


def _here(folder: Path, registry: Registry) -> str:
    env = environment(
        folder / "home",
        BASE_IMAGE=registry.base("oci"),
        TZ="Pacific/Auckland",
        PYTHONHASHSEED="1",
        LC_ALL="C.UTF-8",
    )
    project = copy_example(folder / "here", mtime=1_700_000_000)
    for name in MORE_FILES:
        (project / "static" / name).write_text(name)
    hatchling_build(project, env, umask=0o022)
    return _digest(project / "dist")


def _there(folder: Path, place: Path, registry: Registry, *, python: Path | None = None) -> str:
    env = environment(
        folder / "another-home",
        BASE_IMAGE=registry.base("oci"),
        TZ="America/Caracas",
        PYTHONHASHSEED="4242",
        # ASCII indeed: without the other two, Python takes UTF-8 in its stead.
        LC_ALL="C",
        PYTHONCOERCECLOCALE="0",
        PYTHONUTF8="0",
    )
    project = copy_example(place / "with a space" / "hello", umask=0o077, mtime=1_234_567_890, backwards=True)
    for name in reversed(MORE_FILES):
        (project / "static" / name).write_text(name)
    # The image itself is too large for memory.
    output = folder / "output"
    hatchling_build(project, env, python=python, umask=0o077, output=str(output))
    return _digest(output)


def _digest(folder: Path) -> str:
    return str(read_image(folder / f"{NAME}-{VERSION}.oci").descriptor["digest"])
