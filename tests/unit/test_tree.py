from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from hatch_oci.base.tree import Tree, read_tree
from hatch_oci.errors import ContentError
from hatch_oci.image.digest import Digest
from tests.unit.filesystems import (
    PACKERS,
    Member,
    fifo,
    file,
    folder,
    hard_link,
    link,
    listing,
    opaque,
    tar_of,
    tree_of,
    whiteout,
)

MOST = 1024


def real_path(tree: Tree, path: str) -> str | None:
    found = tree.find(path)
    return found[0] if found else None


def content(tree: Tree, path: str) -> bytes | None:
    return tree.read([path], MOST).get(path)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([[file("a")]], {"/a": "file"}),
        ([[file("./a"), folder("./")]], {"/a": "file"}),
        ([[file("/a/b")]], {"/a": "folder", "/a/b": "file"}),
        ([[file("a//b/./c")]], {"/a": "folder", "/a/b": "folder", "/a/b/c": "file"}),
        ([[folder("a/"), link("l", "a"), fifo("p")]], {"/a": "folder", "/l": "link", "/p": "other"}),
        ([[file("a")], [file("b")]], {"/a": "file", "/b": "file"}),
        ([[file("d/a")], [folder("d"), file("d/b")]], {"/d": "folder", "/d/a": "file", "/d/b": "file"}),
        ([[file("a/b")], [file("a")]], {"/a": "file"}),
        ([[file("a")], [file("a/b")]], {"/a": "folder", "/a/b": "file"}),
        ([[file("a")], [folder("a")]], {"/a": "folder"}),
        ([[link("a", "b")], [folder("a"), file("a/c")]], {"/a": "folder", "/a/c": "file"}),
        ([[file("d/x"), link("a", "d")], [folder("a")]], {"/a": "folder", "/d": "folder", "/d/x": "file"}),
        ([[file("a/b"), link("c", "a")], [file("c")]], {"/a": "folder", "/a/b": "file", "/c": "file"}),
    ],
)
def test_layers_are_merged(layers: Sequence[Sequence[Member]], expected: dict[str, str], tmp_path: Path) -> None:
    assert listing(tree_of(tmp_path, *layers)) == expected


LOWER = [file("etc/a"), file("etc/b"), file("etc/sub/c"), file("top")]
EVERYTHING = ["/etc", "/etc/a", "/etc/b", "/etc/sub", "/etc/sub/c", "/top"]


@pytest.mark.parametrize(
    ("upper", "left"),
    [
        ([whiteout("top")], ["/etc", "/etc/a", "/etc/b", "/etc/sub", "/etc/sub/c"]),
        ([whiteout("etc/a")], ["/etc", "/etc/b", "/etc/sub", "/etc/sub/c", "/top"]),
        ([whiteout("etc")], ["/top"]),
        ([opaque("etc")], ["/etc", "/top"]),
        ([opaque("etc"), file("etc/new")], ["/etc", "/etc/new", "/top"]),
        ([file("etc/new"), opaque("etc")], ["/etc", "/etc/new", "/top"]),
        ([file("etc/a"), whiteout("etc/a")], ["/etc", "/etc/a", "/etc/b", "/etc/sub", "/etc/sub/c", "/top"]),
        ([whiteout("etc"), file("etc/new")], ["/etc", "/etc/new", "/top"]),
        ([file("etc/new"), whiteout("etc")], ["/etc", "/etc/new", "/top"]),
        ([file("./etc/.wh.a"), file("/.wh.top")], ["/etc", "/etc/b", "/etc/sub", "/etc/sub/c"]),
        ([whiteout("no/such"), opaque("neither"), file(".wh.")], EVERYTHING),
    ],
)
def test_whiteouts_hide_what_is_below_and_nothing_else(
    upper: Sequence[Member], left: list[str], tmp_path: Path
) -> None:
    assert list(listing(tree_of(tmp_path, LOWER, upper))) == left


def test_what_a_layer_hid_a_later_one_brings_back(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, [file("a", b"1")], [whiteout("a")], [file("a", b"3")])
    assert content(tree, "/a") == b"3"


def test_a_whiteout_takes_a_link_away_and_not_what_it_leads_to(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, [file("usr/lib/x"), link("lib", "usr/lib")], [whiteout("lib")])
    assert listing(tree) == {"/usr": "folder", "/usr/lib": "folder", "/usr/lib/x": "file"}


@pytest.mark.parametrize("target", ["usr/lib", "/usr/lib", "./usr//lib/", "../usr/lib", "also"])
def test_later_layers_write_and_delete_through_links(target: str, tmp_path: Path) -> None:
    lower = [file("usr/lib/old", b"old"), file("usr/lib/gone"), link("lib", target), link("also", "usr/lib")]
    tree = tree_of(tmp_path, lower, [file("lib/x/new", b"new"), whiteout("lib/gone")], [file("lib/x/newer", b"newer")])
    found = listing(tree)
    assert found["/lib"] == "link"
    assert [path for path in found if path.startswith("/usr/lib/")] == [
        "/usr/lib/old",
        "/usr/lib/x",
        "/usr/lib/x/new",
        "/usr/lib/x/newer",
    ]
    assert (content(tree, "/lib/x/new"), content(tree, "/usr/lib/x/newer")) == (b"new", b"newer")


def test_a_link_that_changes_within_a_layer_leads_the_rest_elsewhere(tmp_path: Path) -> None:
    upper = [file("l/one"), link("l", "b"), file("l/two")]
    assert list(listing(tree_of(tmp_path, [folder("a"), folder("b"), link("l", "a")], upper))) == [
        "/a",
        "/a/one",
        "/b",
        "/b/two",
        "/l",
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("", "/"),
        ("/usr/bin/python", "/usr/bin/python3.13"),
        ("usr/bin//./python3", "/usr/bin/python3.13"),
        ("/bin/python", "/usr/bin/python3.13"),
        ("/usr/bin/../bin/python", "/usr/bin/python3.13"),
        ("/../../usr/bin/python", "/usr/bin/python3.13"),
        ("/up", "/"),
        ("/far", "/usr/bin/python3.13"),
        ("/bin", "/usr/bin"),
        ("/dangling", None),
        ("/dangling/x", None),
        ("/loop", None),
        ("/loop/x", None),
        ("/self", None),
        ("/usr/bin/python/x", None),
        ("/nothing", None),
    ],
)
def test_links_are_followed_within_the_tree(path: str, expected: str | None, tmp_path: Path) -> None:
    members = [
        file("usr/bin/python3.13"),
        link("usr/bin/python3", "python3.13"),
        link("usr/bin/python", "/bin/python3"),
        link("bin", "usr/bin"),
        link("up", "../../.."),
        link("far", "../../bin/./../bin/python"),
        link("dangling", "nowhere"),
        link("loop", "pool"),
        link("pool", "/loop"),
        link("self", "self/x"),
    ]
    assert real_path(tree_of(tmp_path, members), path) == expected


@pytest.mark.parametrize(("count", "found"), [(40, True), (41, False)])
def test_as_many_links_are_followed_as_linux_does(count: int, found: bool, tmp_path: Path) -> None:
    links = [link(f"l{number}", f"l{number + 1}") for number in range(count)]
    tree = tree_of(tmp_path, [*links, file(f"l{count}")])
    assert (tree.find("/l0") is not None) is found


def test_hard_links_are_the_file_itself(tmp_path: Path) -> None:
    lower = [file("a", b"first"), hard_link("b", "a"), hard_link("d/c", "./b"), link("s", "a"), hard_link("t", "/a")]
    tree = tree_of(tmp_path, lower, [whiteout("a"), hard_link("e", "d/c")])
    paths = ["/b", "/d/c", "/e", "/t"]
    assert tree.read(paths, MOST) == dict.fromkeys(paths, b"first")
    assert tree.find("/a") is None


@pytest.mark.parametrize("target", ["nothing", "folder", "../../etc/passwd"])
def test_hard_links_to_nothing_are_no_files(target: str, tmp_path: Path) -> None:
    tree = tree_of(tmp_path, [folder("folder"), hard_link("h", target)])
    assert listing(tree)["/h"] == "other"
    assert tree.read(["/h"], MOST) == {}


def test_content_is_that_of_the_last_layer_and_the_last_entry(tmp_path: Path) -> None:
    tree = tree_of(
        tmp_path, [file("a", b"1"), file("b", b"lower")], [file("a", b"2"), file("./a", b"3"), file("a", b"4")]
    )
    assert tree.read(["/a", "/b"], MOST) == {"/a": b"4", "/b": b"lower"}


def test_reading_stops_where_it_should_and_leaves_out_what_is_no_file(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, [file("a", b"0123456789"), link("l", "a"), folder("d"), link("gone", "x"), fifo("p")])
    assert tree.read(["/a", "/l", "/d", "/gone", "/p", "/none"], 4) == {"/a": b"0123", "/l": b"0123"}


def test_a_name_that_comes_again_as_another_kind_does_not_matter(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, [file("a", b"1"), hard_link("kept", "a"), link("a", "elsewhere")])
    assert content(tree, "/kept") == b"1"


@pytest.mark.parametrize("name", ["../a", "a/../../b", "a/..", "..", "/../a", "./../a", "a/.././.wh.x"])
@pytest.mark.parametrize("make", [file, folder])
def test_names_that_climb_out_are_refused(name: str, make: type, tmp_path: Path) -> None:
    with pytest.raises(ContentError) as error:
        tree_of(tmp_path, [file("fine"), make(name)])
    assert str(error.value) == f"a layer of the base has an entry that climbs out: {name!r}"


def test_a_wrong_diff_id_is_refused_whichever_layer_has_it(tmp_path: Path) -> None:
    data = [tar_of([file("a")]), tar_of([file("b")])]
    paths = [tmp_path / "0", tmp_path / "1"]
    for path, raw in zip(paths, data, strict=True):
        path.write_bytes(PACKERS["gzip"](raw))
    right = [Digest.of(raw) for raw in data]
    assert list(listing(read_tree(paths, right))) == ["/a", "/b"]
    for wrong in ([right[0], right[0]], [right[1], right[1]], right[::-1]):
        with pytest.raises(ContentError, match=r"unpacks to other bytes than its diff_id sha256:[0-9a-f]{64} says"):
            read_tree(paths, wrong)


def test_no_layers_make_an_empty_tree() -> None:
    tree = read_tree([], [])
    assert (listing(tree), real_path(tree, "/")) == ({}, "/")


def test_the_order_within_a_layer_does_not_matter(tmp_path: Path) -> None:
    upper = [opaque("d"), file("d/new"), file("d/sub/x"), whiteout("gone"), file("usr/lib/y"), folder("d")]
    lower = [file("d/old"), file("gone/z"), folder("usr/lib"), link("lib", "usr/lib")]
    expected = ["/d", "/d/new", "/d/sub", "/d/sub/x", "/lib", "/usr", "/usr/lib", "/usr/lib/y"]
    for seed in range(10):
        scratch = tmp_path / str(seed)
        scratch.mkdir()
        shuffled = random.Random(seed).sample(upper, len(upper))
        assert list(listing(tree_of(scratch, lower, shuffled))) == expected
