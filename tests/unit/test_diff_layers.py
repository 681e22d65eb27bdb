"""`diff`: layers, and which of them are read at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from demo.base import Image, Layer, digest, image
from hatch_oci.cli import main
from tests.unit.bases import AMD64, served
from tests.unit.comparisons import LOWER, Diff, files_of, image_of, section_of
from tests.unit.filesystems import Member, file, folder, hard_link, link, tar_of, whiteout
from tests.unit.layouts import layers_of

pytestmark = pytest.mark.usefixtures("workplace")


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
    assert section_of(found, "configuration") == {"config.User": ("a", "b")}


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
