"""A cache that is damaged, and one that several builds use at once: the result is the same, and whole."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from demo.base import digest
from tests.e2e.pushes import tags_of
from tests.e2e.registries import serve
from tests.e2e.requirements import require
from tests.faults import forks
from tests.faults.conftest import Try
from tests.faults.sample import (
    BUILD,
    check_old_or_new,
    results,
    set_content,
    temporaries,
    write_project,
)
from tests.faults.trial import Trial
from tests.unit.bases import AMD64, served, small_image
from tests.unit.layouts import write_layout
from tests.unit.locked import MAJOR, MINOR, base_image

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it forks no servers")

AT_ONCE = 8
PUSH = (sys.executable, "-m", "hatch_oci", "push", "-q")


@pytest.fixture
def base() -> Iterator[str]:
    """Serve a base, which is asked for only if something of it is not in the cache."""
    image = base_image(AMD64, (), f"{MAJOR}.{MINOR}.2")
    with served(image) as registry:
        yield f'base-image = "{registry.address}/app@{digest(image.manifest)}"'


@pytest.fixture
def project(base: str, tmp_path: Path) -> Path:
    project = write_project(tmp_path / "project", base)
    set_content(project, 0, 40_000)
    return project


def build(project: Path, env: dict[str, str]) -> None:
    done = forks.run(*BUILD, folder=project, env=env)
    assert done.code == 0, done.said


def flip(path: Path, rng: random.Random) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file:
        position = rng.randrange(path.stat().st_size)
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 1 << rng.randrange(8)]))


def truncate(path: Path, rng: random.Random) -> None:
    path.chmod(0o644)
    os.truncate(path, rng.randrange(path.stat().st_size))


def prolong(path: Path, rng: random.Random) -> None:
    path.chmod(0o644)
    with path.open("ab") as file:
        file.write(rng.randbytes(10))


def remove(path: Path, _rng: random.Random) -> None:
    path.unlink()


DAMAGES = pytest.mark.parametrize("damage", [flip, truncate, prolong, remove])
Damage = Callable[[Path, random.Random], None]


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def blobs_of(env: dict[str, str]) -> list[Path]:
    return files_below(Path(env["HATCH_OCI_CACHE_DIR"]) / "v1" / "blobs")


def is_whole(path: Path) -> bool:
    """Tell whether a blob is what it is called."""
    return hashlib.sha256(path.read_bytes()).hexdigest() == path.name


def some(paths: list[Path], amount: Callable[[int, int], int]) -> list[Path]:
    return paths[:: amount(4, 1)]


@DAMAGES
def test_corrupted_cache_blob(
    damage: Damage,
    project: Path,
    env: dict[str, str],
    amount: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    """Each in turn: the base's, wheels of the lock, layers. The results may be links to the very same."""
    build(project, env)
    whole = results(project / "dist")
    rng = random.Random(7)
    blobs = blobs_of(env)
    for path in some(blobs, amount):
        damage(path, rng)
        build(project, env)
        assert results(project / "dist") == whole
        # What this build did not need waits for one that does.
        if path.exists() and not is_whole(path):
            path.unlink()
    assert all(map(is_whole, blobs_of(env)))
    record_property("cases", len(some(blobs, amount)))
    assert len(blobs) >= 9


@DAMAGES
def test_corrupted_cache_fact(
    damage: Damage,
    project: Path,
    env: dict[str, str],
    amount: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    """What is remembered as JSON: of the base's files, its Python, the lock, the wheels, the layers, each blob."""
    build(project, env)
    whole = results(project / "dist")
    rng = random.Random(7)
    facts = files_below(Path(env["HATCH_OCI_CACHE_DIR"]) / "v1" / "facts")
    for path in some(facts, amount):
        damage(path, rng)
        build(project, env)
        assert results(project / "dist") == whole
    record_property("cases", len(some(facts, amount)))
    assert len(facts) >= 15


@DAMAGES
def test_cache_blob_that_is_corrupted_during_a_build(
    damage: Damage,
    project: Path,
    env: dict[str, str],
    amount: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    """That build may write what its digest refutes, or refuse, but the next one makes it whole."""
    build(project, env)
    whole = results(project / "dist")
    rng = random.Random(7)
    tries = amount(3, 25)
    for _ in range(tries):
        log = project.with_name("said")
        with forks.started(*BUILD, folder=project, env=env, log=log) as process:
            time.sleep(rng.uniform(0, 0.1))
            with suppress(FileNotFoundError):
                damage(rng.choice(blobs_of(env)), rng)
            process.join()
        if process.exitcode != 0:
            Trial(process.exitcode or 0, log.read_text(), 0, 0).check_refusal()
        build(project, env)
        assert results(project / "dist") == whole
        for path in blobs_of(env):
            if not is_whole(path):
                path.unlink()
    record_property("cases", tries)


@pytest.mark.parametrize("damage", [flip, truncate, prolong])
def test_corrupted_layout_that_is_pushed(
    damage: Damage, tmp_path: Path, env: dict[str, str], amount: Callable[[int, int], int], attempt: Try
) -> None:
    """Whichever blob it is: the tag goes on nothing."""
    require("docker-registry")
    with serve(tmp_path / "storage", tmp_path / "registry") as address:
        layout = write_layout(tmp_path / "layout", [small_image()])
        for path in some(files_below(layout / "blobs"), amount):
            whole = path.read_bytes()
            damage(path, random.Random(7))
            # Where nothing is known to be elsewhere: that would be taken, and be whole.
            fresh = env | {"HATCH_OCI_CACHE_DIR": str(tmp_path / path.name)}
            repository = path.name[:12]
            push = (*PUSH, layout, "--to", f"{address}/{repository}", "--tag", "1")
            attempt(*push, folder=tmp_path, env=fresh).check_refusal(path.name)
            assert tags_of(address, repository) == []
            path.write_bytes(whole)


@pytest.mark.parametrize("cache", ["cold", "warm"])
@pytest.mark.parametrize("output", ["of its own", "the same"])
def test_builds_sharing_one_cache(
    cache: str, output: str, project: Path, env: dict[str, str], record_property: Callable[[str, object], None]
) -> None:
    """Eight at once; also where they write the same output, which is whole from the first on."""
    build(project, env)
    whole = results(project / "dist")
    if cache == "cold":
        shutil.rmtree(env["HATCH_OCI_CACHE_DIR"])
        # Not the folder itself: hatchling makes it in two steps, between which another one may come.
        for path in (project / "dist").iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    folders = [project / f"dist{number if output == 'of its own' else ''}" for number in range(AT_ONCE)]
    with ExitStack() as stack:
        processes = []
        for number, folder in enumerate(folders):
            log = project.with_name(f"said{number}")
            one = forks.started(*BUILD, "-d", folder, folder=project, env=env, log=log)
            processes.append(stack.enter_context(one))
        while any(process.is_alive() for process in processes):
            if output == "the same":
                check_old_or_new(project / "dist", (None, b""), whole)
            time.sleep(0.01)
        said = [project.with_name(f"said{number}").read_text() for number in range(AT_ONCE)]
        assert [process.exitcode for process in processes] == [0] * AT_ONCE, said
    for folder in folders:
        assert results(folder) == whole
        assert temporaries(Path(env["HATCH_OCI_CACHE_DIR"]), folder) == []
    assert all(map(is_whole, blobs_of(env)))
    record_property("cases", AT_ONCE)
