"""`diff`: what two images have otherwise, by their documents, layers, packages and files."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from demo.base import Image, Layer, digest, image
from hatch_oci.cli import main
from tests.unit.bases import AMD64, ARM64, index_of, served
from tests.unit.filesystems import (
    PACKERS,
    Member,
    fifo,
    file,
    folder,
    hard_link,
    link,
    opaque,
    tar_of,
    whiteout,
)
from tests.unit.layouts import blob_path, layers_of, write_layout

SITE = "usr/lib/python3.13/site-packages"
DPKG = """Package: libc6
Status: install ok installed
Version: {libc6}
Description: a library
 Version: not one

Package: gone
Status: deinstall ok config-files
Version: 1
"""
APK = "C:Q1x\nP:musl\nV:{musl}\nF:lib\nR:libc.so\n\nP:busybox\nV:1.36.1-r2\n"


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with an empty cache."""
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HATCH_OCI_CACHE_DIR", str(tmp_path / "cache"))
    return folder


def image_of(*layers: Sequence[Member], pack: str = "gzip", on: dict[str, str] = AMD64, **settings: Any) -> Image:
    """Return an image of layers with these members."""
    packed = [(PACKERS[pack](tar_of(members)), tar_of(members)) for members in layers]
    made = [Layer(blob, digest(tar), f"hatch-oci-image: layer {n}") for n, (blob, tar) in enumerate(packed)]
    return image(made, settings, on)


Diff = Callable[[Image, Image], dict[str, Any]]


@pytest.fixture
def diff(workplace: Path, capsys: pytest.CaptureFixture[str]) -> Diff:
    """Return what compares two images as programs do it; what is told to people goes to `text`."""

    def compare(old: Image, new: Image) -> dict[str, Any]:
        for name, one in (("old", old), ("new", new)):
            write_layout(workplace / name, [one])
        assert main(["diff", "old", "new", "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return compare


def files_of(found: dict[str, Any]) -> dict[str, str]:
    """Return the files that differ: their state, or which attributes are others."""
    files = found["platforms"]["linux/amd64"]["files"]
    return {
        path: ",".join(change["attributes"]) if change["state"] == "changed" else change["state"]
        for path, change in files.items()
    }


def one_of(found: dict[str, Any], section: str) -> dict[str, Any]:
    """Return a section about the only platform: the old and the new value of each name."""
    return {name: (one["old"], one["new"]) for name, one in found["platforms"]["linux/amd64"][section].items()}


def test_the_same_image_is_the_same(diff: Diff, capsys: pytest.CaptureFixture[str]) -> None:
    one = image_of([file("a", b"a")])
    found = diff(one, one)
    assert found["same"] is True
    assert main(["diff", "old", "new"]) == 0
    assert capsys.readouterr().out == f"same {digest(one.manifest)}\n"


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


LOWER = [folder("d"), file("d/a", b"a"), file("d/b", b"b"), file("c", b"c")]


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


def test_other_layers_may_make_the_same_files(diff: Diff) -> None:
    found = diff(image_of(LOWER), image_of(LOWER[:2], LOWER[2:]))
    assert files_of(found) == {}
    layers = found["platforms"]["linux/amd64"]["layers"]
    assert [(one["old"] is None, one["new"] is None) for one in layers] == [
        (False, True),
        (True, False),
        (True, False),
    ]


def test_a_layer_may_be_compressed_otherwise(diff: Diff, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = image_of(LOWER), image_of(LOWER, pack="gzip members")
    (layer,) = diff(old, new)["platforms"]["linux/amd64"]["layers"]
    assert (layer["old"]["digest"], layer["new"]["digest"]) == (*layers_of(old), *layers_of(new))
    assert layer["old"]["diff-id"] == layer["new"]["diff-id"] == digest(tar_of(LOWER))
    assert layer["old"]["holds"] == "layer 0"
    assert main(["diff", "old", "new"]) == 0
    assert "layer 0, with the same content" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("history", "holds"),
    [
        ([{"created_by": "hatch-oci-image: x"}, {"created_by": "y", "empty_layer": True}], "x"),
        ([{"created_by": "x", "empty_layer": "odd"}], "x"),
        ([{"created_by": None}], "None"),
        ([{"empty_layer": True}], ""),
        ([], ""),
        (None, ""),
    ],
)
def test_what_a_layer_holds_is_taken_from_a_history_that_fits(history: Any, holds: str, diff: Diff) -> None:
    found = diff(with_history(image_of(LOWER), history), with_history(image_of(LOWER[:1]), history))
    layers = found["platforms"]["linux/amd64"]["layers"]
    assert [one[side]["holds"] for side, one in zip(("old", "new"), layers, strict=True)] == [holds, holds]


def with_history(one: Image, history: Any) -> Image:
    """Return the image with another history in its config."""
    manifest = json.loads(one.manifest)
    name = manifest["config"]["digest"]
    config = json.dumps(json.loads(one.blobs[name]) | {"history": history}).encode()
    manifest["config"] |= {"digest": digest(config), "size": len(config)}
    return Image(json.dumps(manifest).encode(), {**one.blobs, digest(config): config})


def test_what_both_have_is_not_read(diff: Diff) -> None:
    """The layer is no tar at all."""
    broken = Layer(b"no tar", digest(b"no tar"), "broken")
    found = diff(image([broken], {"User": "a"}, AMD64), image([broken], {"User": "b"}, AMD64))
    assert one_of(found, "configuration") == {"config.User": ("a", "b")}


@pytest.mark.parametrize(
    ("old", "new", "changed", "reads"),
    [
        ([file("c", b"1"), folder("d")], [file("c", b"2"), folder("d", 0o700)], {"/c": "content", "/d": "mode"}, False),
        ([whiteout("c"), file("x", b"1")], [whiteout("c"), file("x", b"2")], {"/x": "content"}, False),
        ([hard_link("x", "c"), file("y", b"1")], [hard_link("x", "c"), file("y", b"2")], {"/y": "content"}, False),
        ([hard_link("x", "c")], [hard_link("x", "d/a")], {"/x": "content"}, True),
        ([link("x", "c")], [link("x", "d")], {"/x": "link"}, True),
        ([file("x")], [folder("x")], {"/x": "kind,size,content"}, True),
        ([file("d")], [folder("d")], {"/d": "kind,size,content", "/d/a": "added", "/d/b": "added"}, True),
        ([whiteout("c"), file("x")], [file("c", b"c"), file("x")], {"/c": "added"}, True),
        ([file("x")], [file("x"), file("y")], {"/y": "added"}, True),
    ],
)
def test_a_layer_below_is_read_only_where_it_matters(
    old: Sequence[Member],
    new: Sequence[Member],
    changed: dict[str, str],
    reads: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, other = image_of(LOWER, old), image_of(LOWER, new)
    with served(one, other, two=other.manifest) as registry:
        assert main(["diff", f"{registry.address}/app:1", f"{registry.address}/app:two", "--json", "-q"]) == 0
        fetched = {path.rpartition("/")[2] for method, path in registry.log if method == "GET" and "/blobs/" in path}
    assert files_of(json.loads(capsys.readouterr().out)) == changed
    assert (layers_of(one)[0] in fetched) is reads


def test_the_configuration_is_told_value_by_value(diff: Diff) -> None:
    old = image_of(LOWER, Env=["A=1", "B=2"], Cmd=["x"], Labels={"l": "1"}, ExposedPorts={"80/tcp": {}})
    new = image_of(LOWER, Env=["B=3", "C=4", "A=1"], Cmd=["x", "y"], Labels={"l": "2"})
    assert one_of(diff(old, new), "configuration") == {
        "config.Env.B": ("2", "3"),
        "config.Env.C": (None, "4"),
        "config.Cmd": ('["x"]', '["x", "y"]'),
        "config.Labels.l": ("1", "2"),
        "config.ExposedPorts.80/tcp": ("{}", None),
    }


def test_annotations_are_told(diff: Diff) -> None:
    old = image_of(LOWER)
    manifest = json.loads(old.manifest) | {"annotations": {"a": "1"}}
    new = Image(json.dumps(manifest).encode(), old.blobs)
    assert one_of(diff(old, new), "manifest") == {"annotations.a": (None, "1")}


def test_documents_that_say_the_same_are_told_apart(diff: Diff, capsys: pytest.CaptureFixture[str]) -> None:
    old = image_of(LOWER)
    new = Image(json.dumps(json.loads(old.manifest), indent=2).encode(), old.blobs)
    assert diff(old, new)["same"] is False
    assert main(["diff", "old", "new"]) == 0
    assert "nothing but how their JSON is written" in capsys.readouterr().out


def test_packages_have_versions(diff: Diff) -> None:
    def system(web: str, libc6: str, tzdata: str, more: Sequence[Member] = ()) -> Image:
        return image_of(
            [
                folder(f"{SITE}/My_Web-{web}.dist-info"),
                file(f"{SITE}/My_Web-{web}.dist-info/METADATA", b"x"),
                folder(f"{SITE}/same-1.0.dist-info"),
                folder("srv/not_a_package-1.0.dist-info"),
                file("var/lib/dpkg/status", DPKG.format(libc6=libc6).encode()),
                file("var/lib/dpkg/status.d/tzdata", f"Package: tzdata\nVersion: {tzdata}\n".encode()),
                file("var/lib/dpkg/status.d/tzdata.md5sums", b"Package: none\nVersion: 1\n"),
                *more,
            ]
        )

    old, new = system("1.0", "2.36-9", "1.2.3"), system("1.1", "2.36-10", "1.2.4", [folder(f"{SITE}/new-2.dist-info")])
    assert one_of(diff(old, new), "packages") == {
        "deb libc6": ("2.36-9", "2.36-10"),
        "deb tzdata": ("1.2.3", "1.2.4"),
        "python my-web": ("1.0", "1.1"),
        "python new": (None, "2"),
    }
    alpine = [image_of([file("lib/apk/db/installed", APK.format(musl=musl).encode())]) for musl in ("1.2.3", "1.2.4")]
    assert one_of(diff(*alpine), "packages") == {"apk musl": ("1.2.3", "1.2.4")}


def test_people_are_told_in_lines(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = image_of(LOWER, [file("app", b"1", 0o644), file("old\x1b[31m")], User="a")
    new = image_of(LOWER, [file("app", b"12"), file("new")], User="b")
    for name, one in (("old", old), ("new", new)):
        write_layout(workplace / name, [one])
    assert main(["diff", "old", "oci:new"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"- oci:old {digest(old.manifest)}",
        f"+ oci:new {digest(new.manifest)}",
        "linux/amd64",
        "  configuration",
        "    ~ config.User: a → b",
        "  layers, 1 are in both",
        f"    - {layers_of(old)[1]} 129 B layer 1".replace("129", str(len(old.blobs[layers_of(old)[1]]))),
        f"    + {layers_of(new)[1]} 129 B layer 1".replace("129", str(len(new.blobs[layers_of(new)[1]]))),
        "  files, 1 removed, 1 added, 1 changed",
        "    ~ /app: mode 0644 → 0755, size 1 → 2, content",
        "    + /new",
        "    - /old?[31m",
    ]


def test_each_platform_is_compared(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    amd = image_of([file("a", b"1")])
    arms = [image_of([file("a", data)], on=ARM64) for data in (b"1", b"2")]
    for name, arm in zip(("old", "new"), arms, strict=True):
        write_layout(workplace / name, [amd, arm])
    write_layout(workplace / "amd", [amd])
    assert main(["diff", "old", "new", "--json"]) == 0
    platforms = json.loads(capsys.readouterr().out)["platforms"]
    assert not any(platforms["linux/amd64"].values())
    assert list(platforms["linux/arm64"]["files"]) == ["/a"]
    assert main(["diff", "old", "amd"]) == 0
    output = capsys.readouterr().out.splitlines()
    assert "- linux/arm64" in output
    assert "  ~ mediaType: application/vnd.oci.image.index.v1+json → " in "\n".join(output)


def test_a_reference_is_compared_with_a_layout(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = image_of(LOWER, [file("x", b"1")]), image_of(LOWER, [file("x", b"2")])
    index = index_of([(new.manifest, {"platform": AMD64})])
    write_layout(workplace / "old", [old])
    with served(new, both=index, **{digest(index): index}) as registry:
        assert main(["diff", "old", f"{registry.address}/app:both", "--json", "-q"]) == 0
        assert files_of(json.loads(capsys.readouterr().out)) == {"/x": "content"}
        fetched = [path for method, path in registry.log if method == "GET" and "/blobs/" in path]
    # The one that the layout has, too, lies in the cache.
    assert f"/v2/app/blobs/{layers_of(old)[0]}" not in fetched


def test_a_damaged_layout_is_not_compared(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = image_of(LOWER)
    write_layout(workplace / "old", [one])
    write_layout(workplace / "new", [one])
    assert main(["diff", "old", "new"]) == 0
    (name,) = layers_of(one)
    path = blob_path(workplace / "new", name)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert main(["diff", "old", "new"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"Error: oci:new is damaged: its {name} is not what its digest says"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["scratch", "x"], "scratch is no image"), (["oci:nowhere", "x"], "oci:nowhere is not an OCI image layout")],
)
def test_what_cannot_be_compared_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Error: {message}")


def test_a_file_that_is_larger_than_any_header_is_read_whole(diff: Diff) -> None:
    old, new = (image_of([file("large", bytes(3_000_000) + end)]) for end in (b"1", b"2"))
    (change,) = diff(old, new)["platforms"]["linux/amd64"]["files"].items()
    assert (change[0], set(change[1]["attributes"])) == ("/large", {"content"})
