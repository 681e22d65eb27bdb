"""`diff`, the command: what two images have otherwise, told to people and to programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.base import digest
from hatch_oci.cli import main
from tests.unit.bases import AMD64, ARM64, index_of, served
from tests.unit.comparisons import LOWER, Diff, files_of, image_of
from tests.unit.filesystems import file
from tests.unit.layouts import blob_path, layers_of, write_layout

pytestmark = pytest.mark.usefixtures("workplace")


def test_the_same_image_is_the_same(diff: Diff, capsys: pytest.CaptureFixture[str]) -> None:
    one = image_of([file("a", b"a")])
    found = diff(one, one)
    assert found["same"] is True
    assert main(["diff", "old", "new"]) == 0
    assert capsys.readouterr().out == f"same {digest(one.manifest)}\n"


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
        f"    - {layers_of(old)[1]} {len(old.blobs[layers_of(old)[1]])} B layer 1",
        f"    + {layers_of(new)[1]} {len(new.blobs[layers_of(new)[1]])} B layer 1",
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
