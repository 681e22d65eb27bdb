"""Power cuts: what was not synced is gone, and the old or the new result is whole all the same."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import forks
from tests.faults.mounts import copy_at_rest, journalled, make_journalled
from tests.faults.sample import BUILD, check_old_or_new, environment_of, results, set_content, write_project

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts are Linux's")

SIZE = 96 << 20


def commit(folder: Path) -> None:
    """Let a file system write what it did to its names: the contents of files may still wait, those first made, too."""
    with (folder / "other").open("wb") as file:
        os.fsync(file.fileno())


@pytest.mark.parametrize("then", ["at once", "after a commit"])
def test_a_power_cut(
    then: str, tmp_path: Path, amount: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    """Killed before one of its accesses to files, the build leaves what it wrote to a disk that forgets the rest."""
    project, disk = write_project(tmp_path / "project"), tmp_path / "disk"
    disk.mkdir()
    dist, log = disk / "dist", tmp_path / "said"
    pristine, store, cut = (tmp_path / name for name in ("pristine", "store", "cut"))
    set_content(project, 1)
    assert forks.run(*BUILD, "-d", project / "new", folder=project, env=environment_of(tmp_path / "home")).code == 0
    new = results(project / "new")
    set_content(project, 0)
    make_journalled(pristine, SIZE)
    with journalled(disk, pristine):
        env = environment_of(disk / "home")
        assert forks.run(*BUILD, "-d", dist, folder=project, env=env).code == 0
        old = results(dist)
    set_content(project, 1)

    assert None not in (old[0], new[0])
    cases, step, ended = 0, 0, False
    while not ended:
        copy_at_rest(pristine, store)
        with journalled(disk, store):
            first = forks.killed_before_access(step)
            with forks.started(*BUILD, "-d", dist, folder=project, env=env, log=log, first=first) as process:
                process.join(60)
            assert process.exitcode in (0, -signal.SIGKILL), log.read_text()
            if then == "after a commit":
                commit(disk)
            copy_at_rest(store, cut)
        with journalled(disk, cut):
            check_old_or_new(dist, old, new)
            assert forks.run(*BUILD, "-d", dist, folder=project, env=env).code == 0
            assert results(dist) == new
        cases, step, ended = cases + 1, step + amount(60, 8), process.exitcode == 0
    record_property("cases", cases)
    assert cases > 3
