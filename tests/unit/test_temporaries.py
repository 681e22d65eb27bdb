from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hatch_oci.store.temporaries import sweep, temporary_file, temporary_folder

HOLDER = """
import sys
from pathlib import Path
from hatch_oci.store.temporaries import temporary_file, temporary_folder
make = {"file": temporary_file, "folder": temporary_folder}[sys.argv[2]]
with make(Path(sys.argv[1]), "part.") as made:
    if sys.argv[2] == "folder":
        (made / "inside").mkdir()
        (made / "inside" / "file").write_text("content")
    else:
        made.write(b"content")
        made.flush()
    print("ready", flush=True)
    sys.stdin.read()
"""

KINDS = pytest.mark.parametrize("kind", ["file", "folder"])
LOCKS = pytest.mark.skipif(sys.platform == "win32", reason="locks are POSIX; elsewhere nothing is swept")


@contextmanager
def holder(folder: Path, kind: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that holds a temporary until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(folder), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def make(folder: Path, name: str, kind: str) -> Path:
    path = folder / name
    if kind == "folder":
        path.mkdir()
        (path / "file").write_bytes(b"content")
    else:
        path.write_bytes(b"content")
    return path


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_temporary_file_goes_at_the_end(tmp_path: Path) -> None:
    with temporary_file(tmp_path, "part.") as file:
        file.write(b"content")
        (path,) = tmp_path.iterdir()
        assert path == Path(file.name)
        assert path.name.startswith("part.")
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_file_that_was_renamed_stays(tmp_path: Path) -> None:
    with temporary_file(tmp_path, "part.") as file:
        file.write(b"content")
        file.flush()
        Path(file.name).replace(tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_bytes() == b"content"


def test_a_temporary_folder_goes_at_the_end_with_all_in_it(tmp_path: Path) -> None:
    with temporary_folder(tmp_path, "part.") as folder:
        assert folder.parent == tmp_path
        assert folder.name.startswith("part.")
        make(folder, "inside", "folder")
        make(folder, "read-only", "file").chmod(0o444)
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_folder_that_was_renamed_stays(tmp_path: Path) -> None:
    with temporary_folder(tmp_path, "part.") as folder:
        make(folder, "file", "file")
        folder.rename(tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept" / "file").exists()


def fail_in(folder: Path, kind: str) -> None:
    with temporary_file(folder, "") if kind == "file" else temporary_folder(folder, ""):
        raise LookupError


@KINDS
def test_an_error_takes_the_temporary_away_and_goes_on(tmp_path: Path, kind: str) -> None:
    with pytest.raises(LookupError):
        fail_in(tmp_path, kind)
    assert list(tmp_path.iterdir()) == []


def test_temporaries_are_told_apart(tmp_path: Path) -> None:
    with temporary_file(tmp_path, "a.") as first, temporary_file(tmp_path, "a.") as second:
        assert first.name != second.name
    with temporary_folder(tmp_path, "a.") as left, temporary_folder(tmp_path, "a.") as right:
        assert left != right


@KINDS
def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path, kind: str) -> None:
    with pytest.raises(FileNotFoundError):
        fail_in(tmp_path / "absent", kind)


@LOCKS
@KINDS
def test_what_a_killed_process_held_is_swept_once_it_is_old(tmp_path: Path, kind: str) -> None:
    with holder(tmp_path, kind) as process:
        process.kill()
        process.wait()
    (left,) = tmp_path.glob("part.*")
    sweep(tmp_path, "part.")
    assert left.exists(), "a young one stays: its maker may be about to lock it"
    age(left, 61)
    sweep(tmp_path, "part.")
    assert list(tmp_path.iterdir()) == []


@LOCKS
@KINDS
def test_what_a_living_process_holds_is_never_swept(tmp_path: Path, kind: str) -> None:
    with holder(tmp_path, kind) as process:
        (held,) = tmp_path.glob("part.*")
        age(held, 24 * 3600)
        sweep(tmp_path, "part.")
        assert held.exists()
        process.communicate()
        assert process.returncode == 0
    assert list(tmp_path.iterdir()) == [], "its maker took it away"


@LOCKS
@KINDS
def test_what_this_process_holds_is_never_swept(tmp_path: Path, kind: str) -> None:
    with temporary_file(tmp_path, "") if kind == "file" else temporary_folder(tmp_path, ""):
        (held,) = tmp_path.iterdir()
        age(held, 3600)
        sweep(tmp_path, "")
        assert held.exists()


@LOCKS
@KINDS
@pytest.mark.parametrize(("seconds", "stays"), [(0, True), (30, True), (-3600, True), (61, False), (10**6, False)])
def test_only_old_temporaries_are_swept(tmp_path: Path, kind: str, seconds: float, stays: bool) -> None:
    path = make(tmp_path, "part.1", kind)
    age(path, seconds)
    sweep(tmp_path, "part.")
    assert path.exists() is stays


@LOCKS
def test_a_read_only_temporary_is_swept(tmp_path: Path) -> None:
    path = make(tmp_path, "part.1", "file")
    path.chmod(0o444)
    age(path, 61)
    sweep(tmp_path, "part.")
    assert not path.exists()


@KINDS
def test_what_has_another_name_is_never_swept(tmp_path: Path, kind: str) -> None:
    path = make(tmp_path, "app-1.0.oci", kind)
    age(path, 10**6)
    sweep(tmp_path, ".app-1.0.oci.")
    assert path.exists()


@LOCKS
@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symlinks")
def test_what_a_symlink_leads_to_is_never_swept(tmp_path: Path) -> None:
    folder = make(tmp_path, "precious", "folder")
    age(folder, 3600)
    (tmp_path / "part.1").symlink_to(folder)
    sweep(tmp_path, "part.")
    assert (folder / "file").exists()


def test_there_may_be_nothing_to_sweep(tmp_path: Path) -> None:
    sweep(tmp_path, "part.")
    sweep(tmp_path / "absent", "part.")
    assert not (tmp_path / "absent").exists()


SWEEPER = """
import os, sys
from contextlib import suppress
from pathlib import Path
from hatch_oci.store.temporaries import sweep
folder = Path(sys.argv[1])
print("ready", flush=True)
while True:
    for path in folder.iterdir():
        with suppress(OSError):
            os.utime(path, (0, 0))
    sweep(folder, "part.")
"""


@LOCKS
@KINDS
def test_one_that_is_taken_for_old_before_it_is_locked_is_made_again(kind: str, tmp_path: Path) -> None:
    """As by somebody whose clock is years ahead."""
    with subprocess.Popen([sys.executable, "-c", SWEEPER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as sweeper:
        try:
            assert sweeper.stdout is not None
            assert sweeper.stdout.readline() == "ready\n"
            for _ in range(5000):
                if kind == "file":
                    with temporary_file(tmp_path, "part.") as file:
                        assert Path(file.name).exists()
                else:
                    with temporary_folder(tmp_path, "part.") as folder:
                        assert folder.exists()
        finally:
            sweeper.kill()
