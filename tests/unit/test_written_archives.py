"""Archives as the build writes them, read with the standard library's tarfile."""

from __future__ import annotations

import json
import os
import tarfile
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from hatch_oci.errors import OutputError
from hatch_oci.image import media_types
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.manifest import Manifest, make_manifest
from hatch_oci.output.archive import write_archive
from hatch_oci.output.docker import docker_files
from hatch_oci.output.image import Files, Image
from hatch_oci.output.layout import layout_files, write_layout
from tests.unit.test_layout import CONFIG, REPOSITORY, TAGS, add_layer, manifest_of, tree


def image_of(manifest: Manifest, layers: Mapping[Digest, Path], tags: Sequence[str] = TAGS) -> Image:
    return Image(manifest, [manifest], [CONFIG], layers, REPOSITORY, tags)


@pytest.fixture
def small(tmp_path: Path) -> Image:
    """Answer an image of two layers."""
    first, second = add_layer(tmp_path, b"first layer"), add_layer(tmp_path, b"second")
    return image_of(manifest_of((first[0], 11), (second[0], 6)), dict([first, second]))


def members(archive: Path) -> dict[str, bytes]:
    """Return names and contents in their order; none may come twice."""
    with tarfile.open(archive, "r:") as tar:
        found = [(one.name, file.read()) for one in tar if (file := tar.extractfile(one))]
    assert len(dict(found)) == len(found)
    return dict(found)


def test_an_oci_archive_holds_the_files_of_the_layout_and_no_others(small: Image, tmp_path: Path) -> None:
    write_layout(tmp_path / "layout", layout_files(small))
    write_archive(tmp_path / "archive", layout_files(small))
    found = members(tmp_path / "archive")
    assert found == tree(tmp_path / "layout")
    names = list(found)
    assert names[:2] == ["oci-layout", "index.json"]
    assert names[2:] == sorted(names[2:])


def test_a_docker_archive_names_config_layers_and_tags_first(small: Image, tmp_path: Path) -> None:
    write_archive(tmp_path / "archive", docker_files(small))
    found = members(tmp_path / "archive")
    assert next(iter(found)) == "manifest.json"
    (entry,) = json.loads(found["manifest.json"])
    assert found[entry.pop("Config")] == CONFIG
    assert [found[path] for path in entry.pop("Layers")] == [b"first layer", b"second"]
    assert entry == {"RepoTags": ["ghcr.io/acme/app:1.0", "ghcr.io/acme/app:latest"]}
    # Docker unpacks it and looks for these names: none may lead anywhere else.
    assert all(name.islower() and not name.startswith("/") and ".." not in name for name in found)


def test_an_archive_says_nothing_of_the_machine(small: Image, tmp_path: Path) -> None:
    write_archive(tmp_path / "archive", docker_files(small))
    with tarfile.open(tmp_path / "archive") as tar:
        about = {(one.type, one.mode, one.uid, one.gid, one.uname, one.gname, one.mtime) for one in tar}
    assert about == {(tarfile.REGTYPE, 0o644, 0, 0, "", "", 315532800)}


@pytest.mark.parametrize(
    ("files", "golden"),
    [
        (layout_files, "f7200c3a920aab28683a711078feef43bc9ec696180672d09ba7f944991e80cc"),
        (docker_files, "e42b090b633716a44b2753d976cbf3f6ddd59d9d788917e34eefa56c78062522"),
    ],
    ids=["oci", "docker"],
)
def test_the_golden_digest_of_an_archive(
    files: Callable[[Image], Files], golden: str, small: Image, tmp_path: Path
) -> None:
    write_archive(tmp_path / "archive", files(small))
    assert sha256((tmp_path / "archive").read_bytes()).hexdigest() == golden


def test_a_layer_that_comes_twice_is_one_member(tmp_path: Path) -> None:
    digest, path = add_layer(tmp_path, b"layer")
    write_archive(tmp_path / "archive", docker_files(image_of(manifest_of((digest, 5), (digest, 5)), {digest: path})))
    layers = json.loads(members(tmp_path / "archive")["manifest.json"])[0]["Layers"]
    assert layers == [f"blobs/sha256/{digest.hex}"] * 2


def test_zstd_is_nothing_for_a_docker_archive(tmp_path: Path) -> None:
    digest, path = add_layer(tmp_path, b"layer")
    config = Descriptor(media_types.OCI_CONFIG, Digest.of(CONFIG), len(CONFIG))
    manifest = make_manifest(config, [Descriptor(media_types.OCI_LAYER_ZSTD, digest, 5)], {})
    with pytest.raises(OutputError) as caught:
        docker_files(image_of(manifest, {digest: path}))
    assert str(caught.value) == (
        f"the layer {digest} is compressed with zstd, which a Docker archive cannot hold: "
        'set compression = "gzip"; if it is the base\'s layer, choose another base-image, or recompress that one'
    )


def test_a_layer_goes_through_in_pieces(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"")
    os.truncate(large, 64 * 1024 * 1024)
    tracemalloc.start()
    try:
        write_archive(tmp_path / "archive", {"large": large})
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert (tmp_path / "archive").stat().st_size == 64 * 1024 * 1024 + 3 * 512


def test_an_archive_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "dist" / "archive"
    out.parent.mkdir()
    out.write_text("old")
    with pytest.raises(OutputError) as caught:
        write_archive(out, {"a": b"content", "b": tmp_path / "missing"})
    assert str(caught.value) == f"cannot write {out}: No such file or directory"
    assert out.read_text() == "old"
    assert list(out.parent.iterdir()) == [out]


def test_an_archive_takes_the_place_of_an_older_one_and_of_what_a_killed_build_left(tmp_path: Path) -> None:
    out, stale = tmp_path / "dist" / "archive", tmp_path / "dist" / ".archive.stale"
    out.parent.mkdir()
    for path in (out, stale):
        path.write_text("old")
    os.utime(stale, (time.time() - 3600,) * 2)
    write_archive(out, {"a": b"content"})
    assert members(out) == {"a": b"content"}
    assert out.stat().st_mode & 0o777 == 0o644
    assert list(out.parent.iterdir()) == [out]


def test_a_folder_in_the_place_of_an_archive_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    with pytest.raises(OutputError) as caught:
        write_archive(tmp_path / "archive", {})
    assert str(caught.value) == f"cannot write {tmp_path / 'archive'}: Is a directory"
