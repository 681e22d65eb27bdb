"""Pushes that end in the middle: by SIGKILL at ten moments, by Ctrl-C, by a wire that breaks."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from .projects import hatchling_build, layout_of, set_table
from .pushes import ALONE, APP, pull, push, push_command, tags_of, top_digest
from .registries import serve
from .shell import SEARCH_PATH
from .taps import serve_tap

pytestmark = pytest.mark.e2e

MOMENTS = 10
# Seconds within which a push ends that was told to.
PATIENCE = 20
TABLE = """
base-image = "scratch"
platforms = ["linux/amd64", "linux/arm64"]
wheel = false
lock = false
copy = [{ from = "noise/1", to = "/1" }, { from = "noise/2", to = "/2" }, { from = "noise/3", to = "/3" }]
entrypoint = ["/1/noise"]
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Serve an empty registry."""
    with serve(tmp_path / "storage", tmp_path / "registry") as address:
        yield address


@pytest.fixture
def layout(project: Path, user: dict[str, str]) -> Path:
    """Build an index of two platforms, of some megabytes that gzip makes no smaller."""
    for number in (1, 2, 3):
        folder = project / "noise" / str(number)
        folder.mkdir(parents=True)
        (folder / "noise").write_bytes(os.urandom(number * 300_000))
    set_table(project, TABLE + ALONE)
    hatchling_build(project, user)
    return layout_of(project)


def start(env: Mapping[str, str], *options: str | Path) -> subprocess.Popen[str]:
    """Start a push."""
    return subprocess.Popen(
        [str(word) for word in push_command(*options)],
        env={**env, "PATH": SEARCH_PATH},
        cwd=env["HOME"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def push_until(env: Mapping[str, str], address: str, to: str, layout: Path, limit: int, number: int) -> tuple[int, str]:
    """Push, and send it a signal when so many bytes went up; answer the exit code, and what it said."""
    running: list[subprocess.Popen[str]] = []

    def stop() -> None:
        # The first bytes may come before Popen has returned.
        while not running:
            time.sleep(0.01)
        running[0].send_signal(number)

    with serve_tap(address, limit, stop) as tap:
        process = start(env, layout, "--to", f"{tap.address}/{to}", "--tag", "1.0", "--tag", "latest")
        running.append(process)
        try:
            _, said = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            process.communicate()
    return process.returncode, said


def measure(env: Mapping[str, str], address: str, layout: Path) -> int:
    """Answer how many bytes go up in a whole push, to a repository whose name is as long as the others'."""
    with serve_tap(address) as tap:
        push(env, layout, "--to", f"{tap.address}/acme/push-xx", "--tag", "1.0", "--tag", "latest")
        return tap.up


def assert_tags_are_whole(address: str, repository: str, folder: Path, env: Mapping[str, str], digest: str) -> None:
    for tag in tags_of(address, repository):
        assert pull(f"{address}/{repository}:{tag}", folder, env) == digest


def test_a_push_that_was_killed_leaves_no_tag_on_what_is_incomplete_and_goes_on(
    layout: Path, address: str, user: dict[str, str], tmp_path: Path
) -> None:
    digest = top_digest(layout)
    total = measure(user | {"HATCH_OCI_CACHE_DIR": str(tmp_path / "measured")}, address, layout)
    # Most of it is blobs; the last three are among the manifests.
    limits = [total * moment // MOMENTS for moment in range(1, MOMENTS - 2)] + [total - 2400, total - 1000, total - 250]
    for number, limit in enumerate(limits):
        repository = f"acme/push-{number:02}"
        env = user | {"HATCH_OCI_CACHE_DIR": str(tmp_path / f"cache{number}")}
        code, _ = push_until(env, address, repository, layout, limit, signal.SIGKILL)
        assert code == -signal.SIGKILL
        assert_tags_are_whole(address, repository, tmp_path / "pulled", env, digest)
        push(env, layout, "--to", f"{address}/{repository}", "--tag", "1.0", "--tag", "latest")
        assert sorted(tags_of(address, repository)) == ["1.0", "latest"]
        assert_tags_are_whole(address, repository, tmp_path / "pulled", env, digest)


def test_a_push_that_was_killed_over_an_older_image_leaves_that_whole(
    project: Path, layout: Path, address: str, user: dict[str, str], tmp_path: Path
) -> None:
    push(user, layout, "--to", f"{address}/{APP}", "--tag", "1.0")
    older = top_digest(layout)
    (project / "noise" / "3" / "noise").write_bytes(os.urandom(900_000))
    hatchling_build(project, user)
    assert top_digest(layout) != older
    push_until(user, address, APP, layout, 500_000, signal.SIGKILL)
    assert tags_of(address, APP) == ["1.0"]
    assert_tags_are_whole(address, APP, tmp_path / "pulled", user, older)


def test_ctrl_c_ends_a_push_at_once_with_130(layout: Path, address: str, user: dict[str, str]) -> None:
    """Also while the registry takes nothing any more."""
    code, said = push_until(user, address, APP, layout, 700_000, signal.SIGINT)
    assert code == 130
    assert "Traceback" not in said
    assert tags_of(address, APP) == []


@pytest.mark.parametrize("tenth", [1, 5, 9])
def test_a_wire_that_breaks_once_is_taken_up_again(
    tenth: int, layout: Path, address: str, user: dict[str, str], tmp_path: Path
) -> None:
    digest = top_digest(layout)
    breaks: list[Callable[[], None]] = []
    with serve_tap(address, 3_600_000 * tenth // 20, lambda: breaks[0]()) as tap:

        def break_all() -> None:
            tap.limit = None
            for each in list(tap.sockets):
                each.shutdown(2)

        breaks.append(break_all)
        done = push(user, layout, "--to", f"{tap.address}/{APP}", "--tag", "1.0")
        assert "trying again" in done.stderr
    assert_tags_are_whole(address, APP, tmp_path / "pulled", user, digest)
    assert tags_of(address, APP) == ["1.0"]
