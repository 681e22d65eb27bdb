from __future__ import annotations

from collections.abc import Sequence

import pytest

from hatch_oci.base.outline import Outline
from hatch_oci.errors import SourceError
from hatch_oci.ground import Ground
from hatch_oci.layers.entry import Entry, Kind, file_entry, folder_entry, link_entry

BASE = Outline(
    {
        "": {"lib": "usr/lib", "abs": "/usr/lib", "chain": "lib", "loop": "loop2", "loop2": "loop"},
        "usr": {},
        "usr/lib": {"os-release": None, "release": "os-release"},
        "etc": {"up": "../chain/..", "localtime": "/usr/share/zone", "hosts": None},
        "var": {"run": "/run", "lock": "/run/lock", "spool": "../usr/lib/os-release"},
        "tmp": {},
    }
)


def lay(*layers: Sequence[Entry]) -> list[Entry]:
    """Lay layers, and return the entries of the last."""
    ground = Ground(BASE)
    laid: list[Entry] = []
    for number, entries in enumerate(layers, 1):
        laid = ground.lay(entries, f"layer {number}")
    return laid


def paths(*layers: Sequence[Entry]) -> list[str]:
    return [entry.path for entry in lay(*layers)]


def failure(*layers: Sequence[Entry]) -> str:
    with pytest.raises(SourceError) as caught:
        lay(*layers)
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("lib/a", "usr/lib/a"),
        ("abs/a", "usr/lib/a"),
        ("chain/a", "usr/lib/a"),
        ("etc/up/a", "usr/a"),
        ("etc/up/lib/a", "usr/lib/a"),
        ("usr/lib/a", "usr/lib/a"),
        ("a", "a"),
    ],
)
def test_an_entry_lies_where_the_bases_symlinks_lead(path: str, real: str) -> None:
    assert paths([file_entry(path, b"")]) == [real]
    assert paths([folder_entry(path)]) == [real]
    assert paths([link_entry(f"{path}/b", "c")]) == [real, f"{real}/b"]


@pytest.mark.parametrize("path", ["usr", "lib", "chain", "etc/up", "tmp"])
def test_a_folder_that_the_base_has_is_not_written_again(path: str) -> None:
    assert paths([folder_entry(path, 0o700, 1000)]) == []


def test_one_path_by_two_names_is_one_path() -> None:
    expected = "layer 1 and layer 2 both want the path /usr/lib/z"
    assert failure([file_entry("lib/z", b"")], [file_entry("usr/lib/z", b"")]) == expected
    assert failure([file_entry("chain/z", b""), file_entry("abs/z", b"")]) == (
        "layer 1: two files of one layer want the path /usr/lib/z"
    )


@pytest.mark.parametrize("made", [folder_entry("var/run"), file_entry("var/run/a", b""), folder_entry("var/run/a")])
def test_a_symlink_that_leads_nowhere_is_not_replaced_by_a_folder(made: Entry) -> None:
    assert failure([made]) == (
        "layer 1: /var/run is a symlink from the base to /run, where there is nothing: name /run itself"
    )


def test_a_symlink_leads_where_an_earlier_layer_made_a_folder() -> None:
    made = [folder_entry("run")]
    assert paths(made, [file_entry("var/run/app.pid", b"")]) == ["run/app.pid"]
    assert failure(made, [file_entry("var/lock/a", b"")]).startswith("layer 2: /var/lock is a symlink from the base")


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (folder_entry("etc/hosts"), "/etc/hosts is a file from the base, not a folder"),
        (file_entry("etc/hosts/a/b", b""), "/etc/hosts is a file from the base, not a folder"),
        (folder_entry("var/spool"), "/usr/lib/os-release, where the symlink /var/spool leads, is a file from the base"),
        (file_entry("loop/a", b""), "the symlinks on the way to /loop lead in a circle"),
    ],
)
def test_what_is_no_folder_is_not_made_one(made: Entry, problem: str) -> None:
    assert failure([made]).startswith(f"layer 1: {problem}")


@pytest.mark.parametrize("path", ["etc/hosts", "etc/localtime", "usr/lib/release", "var/run"])
def test_a_file_may_replace_a_file_and_a_symlink_that_leads_to_no_folder(path: str) -> None:
    for entry in (file_entry(path, b"new"), link_entry(path, "elsewhere")):
        assert lay([entry]) == [entry]


def test_a_symlink_may_replace_one_and_no_folder() -> None:
    assert paths([link_entry("lib", "usr/lib")]) == ["lib"]
    assert failure([link_entry("tmp", "var")]) == "layer 1 would replace /tmp, which is a folder of the base"
    assert failure([file_entry("etc", b"")]) == "layer 1 would replace /etc, which is a folder of the base"
    assert failure([file_entry("abs", b"")]) == (
        "layer 1 would replace /abs, which is a symlink of the base to the folder /usr/lib"
    )


def test_what_an_earlier_layer_put_over_the_base_counts() -> None:
    assert paths([link_entry("lib", "tmp")], [file_entry("lib/a", b"")]) == ["tmp/a"]
    assert failure([link_entry("etc/hosts", "x")], [folder_entry("etc/hosts")]) == (
        "layer 2: /etc/hosts is a symlink from layer 1 to x, where there is nothing: name /etc/x itself"
    )
    assert failure([file_entry("a/b", b"")], [link_entry("a", "b")]) == "layer 1 and layer 2 both want the path /a"
    assert failure([link_entry("a", "b")], [link_entry("a", "b")]) == "layer 1 and layer 2 both want the path /a"


def test_a_folder_that_an_earlier_layer_made_gets_the_owner_it_is_asked_for_with() -> None:
    made = [file_entry("srv/data/a", b"")]
    owned = folder_entry("srv/data", 0o750, 1000, 1000)
    assert lay(made, [owned, file_entry("srv/data/b", b"")])[0] == owned
    assert paths(made, [owned], [folder_entry("srv/data"), file_entry("srv/data/b", b"")]) == ["srv/data/b"]
    assert paths(made, [owned], [owned]) == []


@pytest.mark.parametrize("path", ["", "..", "a/../b", "a//b", ".wh.a", "lib/.wh.a"])
def test_a_path_that_is_none_is_refused_before_symlinks_are_followed(path: str) -> None:
    for kind in (Kind.FILE, Kind.FOLDER):
        assert failure([Entry(path, kind, 0o644)]).startswith("layer 1: ")


def test_a_path_may_be_as_deep_as_names_allow() -> None:
    deep = "/".join("d" * 2000)
    assert lay([file_entry(deep, b"")])[-1].path == deep
