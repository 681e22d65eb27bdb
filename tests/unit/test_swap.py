from __future__ import annotations

import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hatch_oci.output.swap import _exchange_in_steps, link_or_copy, put_back, put_in_place

Exchange = Callable[[Path, Path], None]
MEMORY = Path("/dev/shm")  # where Linux has another file system than for temporary files, as a rule


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    if not MEMORY.is_dir() or MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system")
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


def make(path: Path, kind: str, content: str) -> Path:
    if kind == "folder":
        path.mkdir()
        (path / "inside").write_text(content)
    else:
        path.write_text(content)
    return path


def content(path: Path) -> str:
    return (path / "inside" if path.is_dir() else path).read_text()


def shares_blocks(folder: Path) -> bool:
    """Tell whether the file system of `folder` can make two files of the same blocks."""
    if sys.platform != "linux":
        return False
    import fcntl

    with (folder / "one").open("wb") as one, (folder / "two").open("wb") as two:
        one.write(b"x" * 4096)
        one.flush()
        try:
            fcntl.ioctl(two.fileno(), 0x40049409, one.fileno())
        except OSError:
            return False
    return True


EXCHANGES = pytest.mark.parametrize("exchange", [put_in_place, _exchange_in_steps])
"""The one way that the system has, and the other for file systems that lack it."""


@EXCHANGES
@pytest.mark.parametrize("first", ["file", "folder"])
@pytest.mark.parametrize("second", ["file", "folder"])
def test_two_paths_change_places(tmp_path: Path, first: str, second: str, exchange: Exchange) -> None:
    one, two = make(tmp_path / "one", first, "1"), make(tmp_path / "two", second, "2")
    exchange(one, two)
    assert (content(one), content(two)) == ("2", "1")
    assert sorted(tmp_path.iterdir()) == [one, two]


@EXCHANGES
def test_two_paths_in_different_folders_change_places(tmp_path: Path, exchange: Exchange) -> None:
    (tmp_path / "below").mkdir()
    one, two = make(tmp_path / "one", "folder", "1"), make(tmp_path / "below" / "two ü", "folder", "2")
    exchange(one, two)
    assert (content(one), content(two)) == ("2", "1")
    assert list((tmp_path / "below").iterdir()) == [two]


@EXCHANGES
def test_a_symlink_changes_places_and_not_what_it_leads_to(tmp_path: Path, exchange: Exchange) -> None:
    one, real = make(tmp_path / "one", "folder", "1"), make(tmp_path / "real", "folder", "real")
    (tmp_path / "link").symlink_to(real)
    exchange(one, tmp_path / "link")
    assert one.is_symlink()
    assert (content(tmp_path / "link"), content(real)) == ("1", "real")


def test_where_nothing_was_the_first_is_moved(tmp_path: Path) -> None:
    put_in_place(make(tmp_path / "one", "folder", "1"), tmp_path / "two")
    assert content(tmp_path / "two") == "1"
    assert list(tmp_path.iterdir()) == [tmp_path / "two"]


class Overtaken(type(Path())):  # type: ignore[misc]  # which class a path is of depends on the system
    """A path at whose move another build puts something there."""

    def rename(self, target: Path) -> Path:
        if not target.exists():
            make(target, "folder", "2")
        return super().rename(target)  # type: ignore[no-any-return]


def test_what_came_a_moment_before_is_exchanged(tmp_path: Path) -> None:
    made = make(tmp_path / "one", "folder", "1")
    put_in_place(Overtaken(made), tmp_path / "two")
    assert content(tmp_path / "two") == "1"
    assert content(made) == "2"


class Interrupted(type(Path())):  # type: ignore[misc]  # which class a path is of depends on the system
    """A path at whose move somebody types Ctrl-C."""

    def rename(self, _target: object) -> Path:
        raise KeyboardInterrupt


def test_a_ctrl_c_between_two_steps_leaves_the_old_output(tmp_path: Path) -> None:
    made, old = make(tmp_path / "made", "folder", "new"), make(tmp_path / "old", "folder", "old")
    with pytest.raises(KeyboardInterrupt):
        _exchange_in_steps(Interrupted(made), old)
    assert content(old) == "old"
    assert sorted(tmp_path.iterdir()) == [made, old]


def test_what_a_killed_build_moved_aside_comes_back(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(tmp_path / "out.aside", "folder", "old")
    put_back(out)
    assert content(out) == "old"
    make(tmp_path / "out.aside", "folder", "older")
    put_back(out)
    put_back(out)
    assert content(out) == "old"
    assert list(tmp_path.iterdir()) == [out]


@EXCHANGES
def test_an_exchange_between_file_systems_fails_and_changes_nothing(
    tmp_path: Path, elsewhere: Path, exchange: Exchange
) -> None:
    one, two = make(tmp_path / "one", "file", "1"), make(elsewhere / "two", "file", "2")
    with pytest.raises(OSError, match="cross-device"):
        exchange(one, two)
    assert (content(one), content(two)) == ("1", "2")


def test_a_file_is_shared_within_a_file_system(tmp_path: Path) -> None:
    source, target = make(tmp_path / "source", "file", "content"), tmp_path / "target"
    source.chmod(0o444)
    assert link_or_copy(source, target)
    assert content(target) == "content"
    assert target.samefile(source) is not shares_blocks(tmp_path)


def test_a_large_file_is_whole(tmp_path: Path) -> None:
    data = bytes(range(256)) * 16384
    (tmp_path / "source").write_bytes(data)
    link_or_copy(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == data


def test_a_file_on_another_file_system_is_copied(tmp_path: Path, elsewhere: Path) -> None:
    data = bytes(range(256)) * 16384
    source = elsewhere / "source"
    source.write_bytes(data)
    source.chmod(0o444)
    assert not link_or_copy(source, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == data
    assert stat.S_ISREG((tmp_path / "target").lstat().st_mode)


def test_without_a_source_there_is_no_target(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        link_or_copy(tmp_path / "absent", tmp_path / "target")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="tried first where blocks may be shared")
def test_a_target_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    source, target = make(tmp_path / "source", "file", "new"), make(tmp_path / "target", "file", "old")
    with pytest.raises(FileExistsError):
        link_or_copy(source, target)
    assert content(target) == "old"
