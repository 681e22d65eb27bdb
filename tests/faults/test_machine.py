"""What a machine does meanwhile: files that change, clocks that jump, homes that are not there."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from demo.base import digest
from tests.e2e.pushes import tags_of
from tests.e2e.registries import serve
from tests.e2e.requirements import missing, require
from tests.faults import forks
from tests.faults.conftest import Try
from tests.faults.mounts import as_stranger, closed
from tests.faults.sample import BUILD, LAYOUT, results, temporaries, write_project
from tests.unit.bases import AMD64, served
from tests.unit.locked import MAJOR, MINOR, base_image

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="clocks and users are Linux's")

COMMAND = (sys.executable, "-m", *BUILD)
LARGE = 128 << 20
YEAR = 365 * 24 * 3600


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project")


def build(project: Path, env: Mapping[str, str]) -> None:
    done = forks.run(*BUILD, folder=project, env=env)
    assert done.code == 0, done.said


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, LARGE // 2)


def rewrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")


def replace(path: Path) -> None:
    path.with_name("new").write_bytes(b"new")
    path.with_name("new").replace(path)


@contextmanager
def meanwhile(act: Callable[[threading.Event], None]) -> Iterator[None]:
    """Do something in a thread while the block runs; it is told when that is over."""
    over = threading.Event()
    thread = threading.Thread(target=act, args=(over,))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("change", [grow, shrink, rewrite, replace])
def test_large_file_that_changes_while_it_is_read(
    change: Callable[[Path], None], project: Path, env: dict[str, str], attempt: Try
) -> None:
    """It is refused, but for one that is replaced: who has it open reads all of the old one."""
    build(project, env)
    old = results(project / "dist")
    cache = Path(env["HATCH_OCI_CACHE_DIR"])
    path = project / "static" / "1" / "noise"
    path.write_bytes(b"")
    os.truncate(path, LARGE)

    def act(over: threading.Event) -> None:
        # Its layer is the one of which most is written at once.
        while not over.is_set() and not any(size_of(one) > 4096 for one in temporaries(cache, project / "dist")):
            time.sleep(0.001)
        change(path)

    with meanwhile(act):
        done = attempt(*COMMAND[:-1], "oci", folder=project, env=env)
    if change is replace and done.code == 0:
        assert results(project / "dist")[0] not in (None, old[0])
    else:
        done.check_refusal(f"{path} changed while the image was built")
        assert results(project / "dist") == old
    assert temporaries(cache, project / "dist") == []


def size_of(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


@pytest.fixture
def clock() -> dict[str, str]:
    """Return the variables that let a command have a clock of its own.

    The dates of files stay, and so does the monotonic clock, as with a clock that is set.
    """
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        missing("libfaketime")
    return {"LD_PRELOAD": str(found[0]), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}


@pytest.mark.parametrize("offset", ["-50y", "-1h", "+30y"])
def test_clock_that_is_wrong(
    offset: str, project: Path, env: dict[str, str], clock: dict[str, str], attempt: Try
) -> None:
    """Nothing depends on it: neither the result, nor what the cache is worth."""
    build(project, env)
    right = results(project / "dist")
    wrong = env | clock | {"FAKETIME": offset}
    for cache in (env["HATCH_OCI_CACHE_DIR"], str(project.with_name("cache"))):
        done = attempt(*COMMAND, folder=project, env=wrong | {"HATCH_OCI_CACHE_DIR": cache})
        assert done.code == 0, done.said
        assert results(project / "dist") == right


def test_clock_that_jumps(
    tmp_path: Path, env: dict[str, str], clock: dict[str, str], attempt: Try, amount: Callable[[int, int], int]
) -> None:
    """Two builds that fetch their base, and write to one cache, while the clock goes back and forth by years."""
    image = base_image(AMD64, (), f"{MAJOR}.{MINOR}.2")
    offset = tmp_path / "offset"
    jumping = env | clock | {"FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1"}
    jumps = random.Random(7)

    def set_clock() -> None:
        # At once: half a number would be another time.
        offset.with_name("next").write_text(f"{jumps.randrange(-30 * YEAR, 30 * YEAR):+d}\n")
        offset.with_name("next").replace(offset)

    def jump(over: threading.Event) -> None:
        while not over.wait(0.005):
            set_clock()

    with served(image) as registry:
        base = f'base-image = "{registry.address}/app@{digest(image.manifest)}"'
        project = write_project(tmp_path / "project", base)
        build(project, env)
        right = results(project / "dist")
        set_clock()
        for number in range(amount(1, 5)):
            jumping["HATCH_OCI_CACHE_DIR"] = str(tmp_path / f"cache{number}")
            with (
                meanwhile(jump),
                subprocess.Popen([*COMMAND, "-d", "other"], cwd=project, env=jumping) as process,
            ):
                done = attempt(*COMMAND, folder=project, env=jumping)
            assert (done.code, process.returncode) == (0, 0), done.said
            assert results(project / "dist") == results(project / "other") == right


@pytest.mark.parametrize("home", ["missing", "closed", "file", "unknown user"])
def test_no_home_folder(home: str, project: Path, env: dict[str, str], tmp_path: Path, attempt: Try) -> None:
    """A home is made where it can be; else the cache must be named, and nothing else is missed."""
    folder = tmp_path / "nowhere"
    chosen = env.pop("HATCH_OCI_CACHE_DIR")
    env["HOME"] = str(folder)
    push: tuple[str | Path, ...] = (sys.executable, "-m", "hatch_oci", "push", "-q", project / "dist" / LAYOUT)
    beginning: tuple[str, ...] = ()
    if home == "closed":
        folder.mkdir()
        with closed(folder) as heeding:
            refused = attempt(*heeding, *COMMAND, folder=project, env=env)
    elif home == "unknown user":
        del env["HOME"]
        beginning = as_stranger()
        refused = attempt(*beginning, *COMMAND, folder=project, env=env)
    else:
        if home == "file":
            folder.write_text("")
        refused = attempt(*COMMAND, folder=project, env=env)
    if home == "missing":
        assert refused.code == 0, refused.said
        assert (folder / ".cache" / "hatch-oci").is_dir()
    elif home == "unknown user":
        refused.check_refusal("there is no home folder to keep a cache in: set HATCH_OCI_CACHE_DIR to a folder")
    else:
        refused.check_refusal(f"cannot write to the cache {folder}", "HATCH_OCI_CACHE_DIR")
    require("docker-registry")
    with serve(tmp_path / "storage", tmp_path / "registry") as address:
        for command in (COMMAND, (*push, "--to", f"{address}/app", "--tag", "1")):
            done = attempt(*beginning, *command, folder=project, env=env | {"HATCH_OCI_CACHE_DIR": chosen})
            assert done.code == 0, done.said
        # Beside the list of the documents.
        assert [tag for tag in tags_of(address, "app") if not tag.startswith("sha256-")] == ["1"]
    assert sorted(path.name for path in project.iterdir()) == sorted(
        ["base", "dist", "pylock.toml", "pyproject.toml", "src", "static", "wheels"]
    )
