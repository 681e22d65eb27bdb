"""A process that builds for a long time, as a server of builds would."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.base import digest
from tests.e2e.projects import REPOSITORY
from tests.faults.conftest import Try
from tests.faults.sample import LAYOUT, digest_of, environment_of, write_project
from tests.unit.bases import AMD64, served
from tests.unit.locked import MAJOR, MINOR, base_image

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is asked of Linux")

BASES = 20
MORE_MEMORY = 2 << 20
"""Bytes that a process may have more at the end than after the first builds: less than 5 kB for each of the others."""


def test_many_builds_in_one_process(
    tmp_path: Path, amount: Callable[[int, int], int], record_property: Callable[[str, object], None], attempt: Try
) -> None:
    """Each of another content; and from time to time on another base, which is fetched."""
    project = write_project(tmp_path / "project")
    images = [base_image(AMD64, (), f"{MAJOR}.{MINOR}.{number}") for number in range(BASES)]
    builds = amount(40, 500)
    with served(*images) as registry:
        bases = [f'base-image = "{registry.address}/app@{digest(image.manifest)}"' for image in images]
        command = (sys.executable, "-m", "tests.faults.endure", str(project), str(builds), *bases)
        env = environment_of(tmp_path / "home") | {"PYTHONPATH": str(REPOSITORY)}
        done = attempt(*command, folder=project, env=env, deadline=300)
    assert done.code == 0, done.said
    held = json.loads(done.said)
    assert len(held) == BASES
    first, last = held[BASES // 4], held[-1]
    assert (last["files"], last["threads"]) == (first["files"], first["threads"])
    assert last["memory"] - first["memory"] < MORE_MEMORY, held
    assert digest_of(project / "dist" / LAYOUT)
    record_property("cases", builds)
