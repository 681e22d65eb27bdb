"""`verify`: whether the sources, built again, give an image, wherever it is, and whether that is whole."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from demo.base import Image, digest
from hatch_oci.cli import main
from tests.unit.bases import AMD64, served
from tests.unit.building import SCRIPT, WHEEL, blob, build, read
from tests.unit.dependencies import snapshot
from tests.unit.forgeries import forged, number_of, rewrite, top
from tests.unit.layouts import blob_path
from tests.unit.locked import MAJOR, MINOR, base_image, layers
from tests.unit.projects import builder_of
from tests.unit.verifying import NEEDS, Verify, made, set_table


@pytest.fixture
def layout(sources: Path) -> Path:
    """Return the image of the sources."""
    return made(sources)


def test_another_clone_gives_the_same(
    layout: Path, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verify: Verify
) -> None:
    clone = shutil.copytree(sources, tmp_path / "clone", ignore=shutil.ignore_patterns("dist"))
    for path in clone.rglob("*"):
        os.utime(path, (1, 1))
    monkeypatch.chdir(clone)
    monkeypatch.setenv("HATCH_OCI_CACHE_DIR", str(tmp_path / "another"))
    assert verify(layout, expect=0) == [f"same {top(layout)}"]
    assert not (clone / "dist").exists()


def test_the_layout_of_the_project_is_the_default(
    layout: Path, sources: Path, build_cache: Path, verify: Verify
) -> None:
    before = snapshot(sources), snapshot(build_cache / "v1" / "facts" / "layers")
    assert verify(expect=0) == [f"same {top(layout)}"]
    assert (snapshot(sources), snapshot(build_cache / "v1" / "facts" / "layers")) == before
    assert [path.name for path in build_cache.iterdir()] == ["v1"]


def test_what_the_cache_says_of_a_layer_is_not_believed(sources: Path, build_cache: Path, verify: Verify) -> None:
    """A layer that was put in the place of another is found, though each build would take it."""
    first = made(sources)
    facts = list((build_cache / "v1" / "facts" / "layers").iterdir())
    by_digest = {json.loads(path.read_bytes().partition(b"\n")[2])["digest"]: path for path in facts}
    mine, other = (by_digest[layers(first)[holds]] for holds in ("wheel My.App 1.2.3+local.1", "wheel web 1.0"))
    mine.chmod(0o644)
    mine.write_bytes(other.read_bytes())
    right, web = top(first), layers(first)["wheel web 1.0"]
    layout = made(sources)
    assert layers(layout)["wheel My.App 1.2.3+local.1"] == web
    assert verify()[0] == f"oci:{layout} {top(layout)} is not what these sources give: {right}"


@pytest.mark.parametrize("of", ["registry", "archive"])
def test_an_image_elsewhere_is_verified(of: str, layout: Path, sources: Path, verify: Verify) -> None:
    if of == "archive":
        (archive,) = set_table(sources).build(versions=["oci-archive"])
        assert verify(f"oci-archive:{archive}", expect=0) == [f"same {top(layout)}"]
        return
    forgery = forged(layout, "files /srv", rewrite("/srv/page.html", bytes.upper), sources / "forged")
    manifest, _ = read(forgery)
    blobs = {one["digest"]: blob(forgery, one).read_bytes() for one in (manifest["config"], *manifest["layers"])}
    with served(Image(blob_path(forgery, top(forgery)).read_bytes(), blobs)) as registry:
        _, found, _ = verify(f"{registry.address}/app:1")
    assert "/srv/page.html: content, byte 1, line 1: '<P>' in the image, '<p>' built now" in found


@pytest.mark.parametrize("holds", ["wheel My.App 1.2.3+local.1", "files /srv", "wheel fast 1.0", "base"])
def test_a_damaged_layer_is_named_with_the_file(holds: str, layout: Path, verify: Verify) -> None:
    path = blob_path(layout, layers(layout)[holds])
    data = bytearray(path.read_bytes())
    # Not where there is but padding between files.
    at = len(data) // 4
    data[at] ^= 1
    path.chmod(0o644)
    # Not in place: the cache may have the very same file.
    path.unlink()
    path.write_bytes(data)
    verdict, found, cause = verify()
    assert verdict == f"oci:{layout} {top(layout)} is damaged"
    # A base's history says something else of it than the record.
    shown = "" if holds == "base" else f" ({holds})"
    assert found.startswith(f"layer {number_of(layout, holds)}{shown}")
    assert f"it is not what its digest {layers(layout)[holds]} says: byte {at}" in found
    assert ": /" in found
    assert cause == "Likely cause: the image was changed after it was built"


def test_a_layer_that_is_cut_short_is_named_with_where_it_ends(sources: Path, verify: Verify) -> None:
    for number in range(40):
        # As different as they are large, so that many bytes are left of them.
        (sources / "static" / f"{number:02}").write_bytes(
            b"".join(digest(bytes([number, n])).encode() for n in range(99))
        )
    layout = made(sources)
    path = blob_path(layout, layers(layout)["files /srv"])
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) * 3 // 4])
    found = verify()[1]
    assert re.match(
        rf"layer {number_of(layout, 'files /srv')} \(files /srv\): /srv(/\d\d)?: cannot be read; it is not", found
    )
    assert f"byte {len(data) * 3 // 4}: its end in the image, 0x" in found


def test_a_sparse_layout_is_verified_by_its_digest(
    sources: Path, monkeypatch: pytest.MonkeyPatch, verify: Verify
) -> None:
    base = base_image(AMD64, (), f"{MAJOR}.{MINOR}.2")
    with served(base) as registry:
        table = f'base-image = "{registry.address}/app@{digest(base.manifest)}"'
        build(builder_of(sources, table, NEEDS, f"{SCRIPT}\n{WHEEL}"))
        with monkeypatch.context() as patch:
            patch.setenv("HATCH_OCI_SPARSE", "1")
            layout = build(builder_of(sources, table, NEEDS, f"{SCRIPT}\n{WHEEL}"))
        assert not blob_path(layout, json.loads(base.manifest)["layers"][0]["digest"]).exists()
        assert verify(expect=0) == [f"same {top(layout)}"]


def test_damage_that_the_cache_shares_is_found(layout: Path, verify: Verify) -> None:
    path = blob_path(layout, layers(layout)["files /srv"])
    path.chmod(0o644)
    with path.open("r+b") as shared:
        shared.seek(path.stat().st_size // 2)
        byte = shared.read(1)
        shared.seek(-1, os.SEEK_CUR)
        shared.write(bytes([byte[0] ^ 1]))
    assert verify()[0] == f"oci:{layout} {top(layout)} is damaged"
    assert made(Path.cwd()) == layout
    verify(expect=0)


def test_an_index_is_compared_image_by_image(sources: Path, verify: Verify) -> None:
    both = 'platforms = ["linux/amd64", "linux/arm64"]\n'
    layout = made(sources, both)
    assert verify(expect=0) == [f"same {top(layout)}"]
    set_table(sources, f'{both}annotations = {{ a = "b" }}')
    assert "annotations.a" in verify()[1]


def test_a_project_that_cannot_be_built_says_why(
    layout: Path, sources: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_table(sources, "nothing = 1")
    with pytest.raises(SystemExit) as caught:
        main(["verify", str(layout)])
    assert caught.value.code == 1
    assert "nothing" in capsys.readouterr().err


def test_without_an_image_it_says_so(sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_table(sources)
    assert main(["verify"]) == 1
    assert capsys.readouterr().err.startswith(f"Error: no image in {sources / 'dist'}")
