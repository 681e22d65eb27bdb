"""Disks that are full, or that nobody may write to: one clear line, nothing half written, and the old result whole."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import forks
from tests.faults.conftest import Try
from tests.faults.mounts import closed, read_only, resize, small_disk
from tests.faults.sample import (
    BUILD,
    LAYOUT,
    Results,
    check_old_or_new,
    digest_of,
    results,
    set_content,
    temporaries,
    write_project,
)
from tests.faults.trial import Trial

PAGE = 4096
AMPLE = {"size": 64 << 20, "nr_inodes": 10_000}
NOISE = 20_000
COMMAND = (sys.executable, "-m", *BUILD)
NO_SPACE, READ_ONLY, DENIED = "No space left on device", "Read-only file system", "Permission denied"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts are Linux's")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = write_project(tmp_path / "project")
    set_content(project, 0, NOISE)
    return project


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


def build(project: Path, env: dict[str, str], dist: Path, expect: int | None = 0) -> Trial:
    done = forks.run(*BUILD, "-d", dist, folder=project, env=env)
    if expect is not None:
        assert done.code == expect, done.said
    return done


def old_and_new(project: Path, env: dict[str, str], dist: Path) -> tuple[Results, Results]:
    """Return what was built into `dist`, and what is going to be, which was once built elsewhere."""
    set_content(project, 1, NOISE)
    build(project, env, project / "new")
    set_content(project, 0, NOISE)
    build(project, env, dist)
    set_content(project, 1, NOISE)
    return results(dist), results(project / "new")


def options(what: str, step: int, used: int = 0) -> dict[str, int]:
    """Return the options of a disk on which there is place for so many files, or pages, beside what is `used`."""
    return AMPLE | ({"nr_inodes": used + step} if what == "files" else {"size": (used + step) * PAGE})


FULL = pytest.mark.parametrize("what", ["files", "bytes"])


@FULL
def test_full_disk_under_the_cache_at_every_write(
    what: str,
    project: Path,
    env: dict[str, str],
    disk: Path,
    amount: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    """The disk is one file, or page, larger from try to try; what is in the cache is used once there is room."""
    dist = project / "dist"
    old, new = old_and_new(project, env, dist)
    env["HATCH_OCI_CACHE_DIR"] = str(disk / "cache")
    tries = range(2, 1000, amount(12, 1))
    for step in tries:
        with small_disk(disk, **options(what, step)):
            done = build(project, env, dist, expect=None)
            if done.code == 0:
                break
            done.check_refusal("cannot write to the cache", NO_SPACE, "HATCH_OCI_CACHE_DIR")
            check_old_or_new(dist, old, new)
            assert temporaries(disk / "cache", dist) == []
            if step % 7 == 0:
                resize(disk, **AMPLE)
                build(project, env, project / "other")
                assert results(project / "other") == new
    record_property("cases", tries.index(step))
    assert tries.index(step) > amount(2, 30)
    assert results(dist) == new


@FULL
def test_full_disk_under_the_output_at_every_write(
    what: str,
    project: Path,
    env: dict[str, str],
    disk: Path,
    amount: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    """The old results lie on the disk, and are whole until the new ones are."""
    dist = disk / "dist"
    tries = range(0, 1000, amount(7, 1))
    with small_disk(disk, **AMPLE):
        old, new = old_and_new(project, env, dist)
        status = os.statvfs(disk)
        used = status.f_files - status.f_ffree if what == "files" else status.f_blocks - status.f_bfree
        for step in tries:
            # What the last try did not take away would be used up now, and what is there would not suffice.
            resize(disk, **options(what, step, used))
            done = build(project, env, dist, expect=None)
            check_old_or_new(dist, old, new)
            assert temporaries(Path(env["HATCH_OCI_CACHE_DIR"]), dist) == []
            if done.code == 0:
                break
            done.check_refusal(f"cannot write {dist / LAYOUT}", NO_SPACE)
        assert results(dist) == new
    record_property("cases", tries.index(step))
    assert tries.index(step) > amount(1, 5)


@FULL
def test_full_disk_under_the_temporary_folder_at_every_write(
    what: str,
    project: Path,
    env: dict[str, str],
    disk: Path,
    record_property: Callable[[str, object], None],
) -> None:
    dist = project / "dist"
    old, new = old_and_new(project, env, dist)
    # With less there is no place for anything, and Python takes another folder.
    tries = range(2, 1000)
    for step in tries:
        with small_disk(disk, **options(what, step)):
            done = build(project, env | {"TMPDIR": str(disk)}, dist, expect=None)
            if done.code == 0:
                break
            done.check_refusal("the project's wheel could not be built", NO_SPACE)
            assert results(dist) == old
    record_property("cases", tries.index(step))
    assert tries.index(step) >= 1
    assert results(dist) == new


@pytest.mark.parametrize("why", [READ_ONLY, DENIED])
def test_read_only_output(why: str, project: Path, env: dict[str, str], attempt: Try) -> None:
    dist = project / "dist"
    build(project, env, dist)
    old = results(dist)
    set_content(project, 1)
    if why == DENIED:
        with closed(dist) as heeding:
            done = attempt(*heeding, *COMMAND, folder=project, env=env)
    else:
        with read_only(dist):
            done = attempt(*COMMAND, folder=project, env=env)
    done.check_refusal(f"cannot write {dist / LAYOUT}: {why}")
    assert results(dist) == old


def test_an_output_folder_that_cannot_be_listed(project: Path, env: dict[str, str], attempt: Try) -> None:
    """What is in it can be replaced all the same, though the folder itself cannot be synced."""
    dist = project / "dist"
    old, new = old_and_new(project, env, dist)
    with closed(dist, 0o333) as heeding:
        done = attempt(*heeding, *COMMAND, folder=project, env=env)
    assert done.code == 0, done.said
    assert results(dist) == new != old


@pytest.mark.parametrize("cache", ["new", "warm"])
@pytest.mark.parametrize("why", [READ_ONLY, DENIED])
def test_read_only_cache(cache: str, why: str, project: Path, env: dict[str, str], attempt: Try) -> None:
    folder = Path(env["HATCH_OCI_CACHE_DIR"])
    folder.mkdir()
    if cache == "warm":
        build(project, env, project / "dist")
    old = results(project / "dist")
    set_content(project, 1)
    if why == DENIED:
        with closed(folder / "v1" / "incoming" if cache == "warm" else folder) as heeding:
            done = attempt(*heeding, *COMMAND, folder=project, env=env)
    else:
        with read_only(folder):
            done = attempt(*COMMAND, folder=project, env=env)
    done.check_refusal(f"cannot write to the cache {folder / 'v1'}: {why}")
    assert results(project / "dist") == old


@pytest.mark.parametrize("why", [READ_ONLY, DENIED])
def test_read_only_project(why: str, project: Path, env: dict[str, str], tmp_path: Path, attempt: Try) -> None:
    """It is refused where the build directory would be made there, and built elsewhere."""
    build(project, env, tmp_path / "first")
    elsewhere = (*COMMAND, "-d", tmp_path / "second")
    if why == DENIED:
        with closed(project) as heeding:
            refused = attempt(*heeding, *COMMAND, folder=project, env=env)
            done = attempt(*heeding, *elsewhere, folder=project, env=env)
    else:
        with read_only(project):
            refused = attempt(*COMMAND, folder=project, env=env)
            done = attempt(*elsewhere, folder=project, env=env)
    refused.check_refusal(f"cannot use {project / 'dist'}: {why}")
    assert done.code == 0, done.said
    assert results(tmp_path / "second") == results(tmp_path / "first")


def make_file(path: Path) -> None:
    path.write_text("mine")


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "mine").write_text("mine")


def make_symlink(path: Path) -> None:
    make_folder(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def make_symlink_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


THINGS = pytest.mark.parametrize("make", [make_file, make_folder, make_symlink, make_symlink_to_nothing])


@THINGS
def test_existing_output_that_is_something_else(
    make: Callable[[Path], None], project: Path, env: dict[str, str], attempt: Try
) -> None:
    """What has the result's own name is replaced, but nothing that a symlink leads to."""
    dist = project / "dist"
    dist.mkdir()
    make(dist / LAYOUT)
    done = attempt(*COMMAND, folder=project, env=env)
    assert done.code == 0, done.said
    assert digest_of(dist / LAYOUT)
    assert not (dist / LAYOUT).is_symlink()
    if make is make_symlink:
        assert (dist / "elsewhere" / "mine").read_text() == "mine"


@THINGS
def test_existing_build_directory_that_is_something_else(
    make: Callable[[Path], None], project: Path, env: dict[str, str], attempt: Try
) -> None:
    """Where it is a folder, or leads to one, that is used, and what is in it stays."""
    make(project / "dist")
    done = attempt(*COMMAND, folder=project, env=env)
    if make in (make_file, make_symlink_to_nothing):
        done.check_refusal(f"cannot use {project / 'dist'}: File exists")
    else:
        assert done.code == 0, done.said
        assert digest_of(project / "dist" / LAYOUT)
        assert (project / "dist" / "mine").read_text() == "mine"


@pytest.mark.parametrize("what", ["HATCH_OCI_CACHE_DIR", "TMPDIR"])
def test_folder_on_another_file_system_than_the_output(
    what: str, project: Path, env: dict[str, str], disk: Path, attempt: Try
) -> None:
    """Nothing can be linked or renamed from one to the other, and the results are the same."""
    build(project, env, project / "near")
    with small_disk(disk, **AMPLE):
        for _ in range(2):
            done = attempt(*COMMAND, folder=project, env=env | {what: str(disk)})
            assert done.code == 0, done.said
        assert results(project / "dist") == results(project / "near")
        if what == "TMPDIR":
            assert list(disk.iterdir()) == []
