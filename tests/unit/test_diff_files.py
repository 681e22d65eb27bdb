"""`diff`: files, wherever they end up, and each attribute of them."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence

import pytest

from tests.unit.comparisons import LOWER, Diff, files_of, image_of
from tests.unit.filesystems import Member, fifo, file, folder, hard_link, link, opaque, whiteout


def owned(member: Member, uid: int) -> Member:
    member[0].uid = uid
    return member


def dated(member: Member, mtime: int) -> Member:
    member[0].mtime = mtime
    return member


def device(name: str, minor: int) -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.devmajor, info.devminor = tarfile.CHRTYPE, 1, minor
    return info, b""


def extended(member: Member, value: str) -> Member:
    member[0].pax_headers = {"SCHILY.xattr.security.capability": value}
    return member


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ([file("a", b"a")], [file("a", b"b")], "content"),
        ([file("a", b"a")], [file("a", b"ab")], "size,content"),
        ([file("a", b"a")], [file("a", b"a", 0o644)], "mode"),
        ([file("a")], [owned(file("a"), 7)], "owner"),
        ([file("a")], [dated(file("a"), 7)], "date"),
        ([file("a")], [extended(file("a"), "x")], "extended"),
        ([file("a")], [fifo("a")], "kind,mode,size,content"),
        ([file("a", mode=0o777)], [folder("a", 0o777)], "kind,size,content"),
        ([folder("a")], [folder("a", 0o700)], "mode"),
        ([folder("a")], [owned(folder("a"), 7)], "owner"),
        ([link("a", "b")], [link("a", "c")], "link"),
        ([device("a", 3)], [device("a", 5)], "device"),
        ([file("b", b"b"), hard_link("a", "b")], [file("b", b"b"), file("a", b"c")], "content"),
        ([file("b", b"b"), hard_link("a", "b")], [file("b", b"b"), file("a", b"b")], None),
        ([file("a", b"x"), file("a", b"a")], [file("a", b"a")], None),
        ([file("./a")], [file("/a")], None),
        ([file("d/a")], [folder("d"), file("d/a")], None),
    ],
)
def test_each_attribute_of_a_file(
    old: Sequence[Member], new: Sequence[Member], changed: str | None, diff: Diff
) -> None:
    files = files_of(diff(image_of(old), image_of(new)))
    files.pop("/d", None)  # one that no layer has an entry for has no date
    assert files == ({"/a": changed} if changed else {})


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ([], [whiteout("c")], {"/c": "removed"}),
        ([whiteout("c")], [], {"/c": "added"}),
        ([], [opaque("d"), file("d/n")], {"/d/a": "removed", "/d/b": "removed", "/d/n": "added"}),
        ([], [whiteout("d")], {"/d": "removed", "/d/a": "removed", "/d/b": "removed"}),
        ([], [whiteout("c"), file("c", b"c")], {}),
        ([], [file("c", b"c")], {}),
        ([], [file("c", b"d")], {"/c": "content"}),
        ([], [hard_link("n", "d/a")], {"/n": "added"}),
        ([file("n", b"a")], [hard_link("n", "d/a")], {}),
        ([], [link("l", "d"), file("l/a", b"x")], {"/d/a": "content", "/l": "added"}),
        ([], [folder("d", 0o700)], {"/d": "mode"}),
    ],
)
def test_layers_above_hide_and_replace(
    old: Sequence[Member], new: Sequence[Member], changed: dict[str, str], diff: Diff
) -> None:
    assert files_of(diff(image_of(LOWER, old), image_of(LOWER, new))) == changed


def test_a_file_that_is_larger_than_any_header_is_read_whole(diff: Diff) -> None:
    old, new = (image_of([file("large", bytes(3_000_000) + end)]) for end in (b"1", b"2"))
    (change,) = diff(old, new)["platforms"]["linux/amd64"]["files"].items()
    assert (change[0], set(change[1]["attributes"])) == ("/large", {"content"})
