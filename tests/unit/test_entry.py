from __future__ import annotations

import random

import pytest

from hatch_oci.errors import SourceError
from hatch_oci.layers.entry import Entry, Kind, complete, file_entry, folder_entry, link_entry


def nothing(_path: str) -> bool:
    return False


def paths(entries: list[Entry]) -> list[str]:
    return [entry.path for entry in entries]


def test_missing_parents_are_added_as_roots_own() -> None:
    entries = complete([file_entry("srv/www/index.html", b"")], nothing)
    assert paths(entries) == ["srv", "srv/www", "srv/www/index.html"]
    assert {(entry.kind, entry.mode, entry.uid, entry.gid) for entry in entries[:2]} == {(Kind.FOLDER, 0o755, 0, 0)}


def test_a_folder_that_is_there_gets_no_entry() -> None:
    there = {"srv", "usr/lib"}
    entries = complete(
        [folder_entry("srv", 0o700), file_entry("srv/a", b""), file_entry("usr/lib/b", b"")],
        {*there, "usr"}.__contains__,
    )
    assert paths(entries) == ["srv/a", "usr/lib/b"]


def test_a_folder_of_its_own_keeps_mode_and_owner() -> None:
    (parent, _) = complete([file_entry("data/a", b""), folder_entry("data", 0o750, 1000, 1001)], nothing)
    assert (parent.path, parent.mode, parent.uid, parent.gid) == ("data", 0o750, 1000, 1001)


def test_order_is_that_of_the_parts_whatever_came_first() -> None:
    names = ["a-b/c", "a/z", "a/b/c", "a.txt", "B", "ä"]
    expected = ["B", "a", "a/b", "a/b/c", "a/z", "a-b", "a-b/c", "a.txt", "ä"]
    for seed in range(20):
        random.Random(seed).shuffle(names)
        assert paths(complete([file_entry(name, b"") for name in names], nothing)) == expected


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([file_entry("a/b", b"1"), file_entry("a/b", b"1")], "two files of one layer want the path /a/b"),
        ([file_entry("a", b""), link_entry("a", "b")], "two files of one layer want the path /a"),
        ([link_entry("a", "b"), folder_entry("a")], "two files of one layer want the path /a"),
        ([folder_entry("a"), file_entry("a", b"")], "two files of one layer want the path /a"),
        ([file_entry("a", b""), file_entry("a/b", b"")], "/a would be both a file and the folder of /a/b"),
        ([file_entry("a/b/c", b""), link_entry("a", "x")], "/a would be both a file and the folder of /a/b/c"),
    ],
)
def test_two_that_want_one_path_are_refused(entries: list[Entry], problem: str) -> None:
    for order in (entries, entries[::-1]):
        with pytest.raises(SourceError) as error:
            complete(order, nothing)
        assert str(error.value) == problem


def test_one_folder_may_come_twice() -> None:
    assert paths(complete([folder_entry("a"), folder_entry("a", 0o700)], nothing)) == ["a"]


@pytest.mark.parametrize(
    "path", ["", "/", "/a", "a/", "a//b", ".", "a/./b", "..", "../a", "a/..", "a/../b", "a\0", "\0"]
)
def test_names_that_are_no_path_are_refused(path: str) -> None:
    with pytest.raises(SourceError) as error:
        complete([file_entry(path, b"")], nothing)
    assert str(error.value) == f"not a path to pack: {path!r}"


@pytest.mark.parametrize("path", [".wh.a", "a/.wh.b", ".wh.a/b", "a/.wh..wh..opq", ".wh."])
@pytest.mark.parametrize("entry", [file_entry, link_entry])
def test_names_that_delete_are_refused(entry: type, path: str) -> None:
    with pytest.raises(SourceError) as error:
        complete([entry(path, b"" if entry is file_entry else "x")], nothing)
    assert str(error.value) == f"cannot pack {path!r}: in a layer, names that begin with .wh. delete files"


@pytest.mark.parametrize("path", [".wh", "a.wh.b", "..a", "a..", "...", ".whx", " ", "-rf", "*", "a\nb", "a\\b", "C:"])
def test_names_that_only_look_odd_are_kept(path: str) -> None:
    assert paths(complete([file_entry(path, b"")], nothing)) == [path]


@pytest.mark.parametrize("entry", [file_entry("caf\udce9", b""), link_entry("a", "caf\udce9"), folder_entry("\udcff")])
def test_names_that_are_not_utf8_are_refused(entry: Entry) -> None:
    with pytest.raises(SourceError) as error:
        complete([entry], nothing)
    assert str(error.value) == f"cannot pack {entry.path!r}: its name is not UTF-8"
    str(error.value).encode()


def test_small_entries_say_what_they_are() -> None:
    file = file_entry("bin/run", b"#!", 0o755)
    assert file.content is not None
    assert (file.kind, file.mode, file.size, list(file.content())) == (Kind.FILE, 0o755, 2, [b"#!"])
    link = link_entry("bin/sh", "dash")
    assert (link.kind, link.mode, link.size, link.link, link.content) == (Kind.LINK, 0o777, 0, "dash", None)
    folder = folder_entry("srv")
    assert (folder.kind, folder.mode, folder.size, folder.content) == (Kind.FOLDER, 0o755, 0, None)
