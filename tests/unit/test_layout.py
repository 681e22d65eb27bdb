from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from hashlib import sha512
from pathlib import Path

import pytest

from hatch_oci.errors import OutputError
from hatch_oci.image import media_types
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.manifest import Manifest, make_manifest, read_manifest
from hatch_oci.output.image import Image
from hatch_oci.output.layout import layout_files, write_layout

CONFIG = b'{"config":{}}'
REPOSITORY = "ghcr.io/acme/app"
TAGS = ("1.0", "latest")
ROOT = Path(__file__).parents[2]


def add_layer(folder: Path, data: bytes) -> tuple[Digest, Path]:
    """Put a layer's content into a file, as the store keeps it."""
    path = folder / f"layer of {len(data)}"
    path.write_bytes(data)
    path.chmod(0o444)
    return Digest.of(data), path


def manifest_of(*layers: tuple[Digest, int], config: bytes = CONFIG) -> Manifest:
    return make_manifest(
        Descriptor(media_types.OCI_CONFIG, Digest.of(config), len(config)),
        [Descriptor(media_types.OCI_LAYER_GZIP, digest, size) for digest, size in layers],
        {},
    )


def write_image(
    target: Path, manifest: Manifest, layers: Mapping[Digest, Path], repository: str, tags: Sequence[str]
) -> None:
    image = Image(manifest, [manifest], [CONFIG], layers, repository, tags)
    write_layout(target, layout_files(image))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_whole(layout: Path) -> int:
    """Check a layout as its reader would, by digests alone; return the size of its only layer."""
    index = read_manifest((layout / "index.json").read_bytes(), "index")
    assert index.media_type == media_types.OCI_INDEX
    raw = (layout / "blobs/sha256" / json.loads(index.raw)["manifests"][0]["digest"][7:]).read_bytes()
    manifest = read_manifest(raw, "manifest")
    assert isinstance(manifest, Manifest)
    for blob in (manifest.config, *manifest.layers):
        data = (layout / "blobs/sha256" / blob.digest.hex).read_bytes()
        assert blob.digest.matches(data)
        assert len(data) == blob.size
    assert len(tree(layout)) == 5
    return manifest.layers[0].size


def test_a_layout_is_written(tmp_path: Path) -> None:
    first, second = add_layer(tmp_path, b"first layer"), add_layer(tmp_path, b"second")
    manifest = manifest_of((first[0], 11), (second[0], 6))
    out = tmp_path / "dist"
    out.mkdir()
    write_image(out / "app-1.0.oci", manifest, dict([first, second]), REPOSITORY, TAGS)
    entries = [
        f'{{"annotations":{{"io.containerd.image.name":"ghcr.io/acme/app:{tag}",'
        f'"org.opencontainers.image.ref.name":"{tag}"}},"digest":"{Digest.of(manifest.raw)}",'
        f'"mediaType":"application/vnd.oci.image.manifest.v1+json","size":{len(manifest.raw)}}}'
        for tag in TAGS
    ]
    index = (
        f'{{"manifests":[{",".join(entries)}],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}}'
    )
    assert tree(out) == {
        "app-1.0.oci/oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "app-1.0.oci/index.json": index.encode(),
        f"app-1.0.oci/blobs/sha256/{Digest.of(manifest.raw).hex}": manifest.raw,
        f"app-1.0.oci/blobs/sha256/{Digest.of(CONFIG).hex}": CONFIG,
        f"app-1.0.oci/blobs/sha256/{first[0].hex}": b"first layer",
        f"app-1.0.oci/blobs/sha256/{second[0].hex}": b"second",
    }


def test_each_algorithm_has_its_folder(tmp_path: Path) -> None:
    digest = Digest("sha512", sha512(b"layer").hexdigest())
    _, path = add_layer(tmp_path, b"layer")
    write_image(tmp_path / "out", manifest_of((digest, 5)), {digest: path}, REPOSITORY, TAGS)
    assert (tmp_path / "out/blobs/sha512" / digest.hex).read_bytes() == b"layer"
    assert len(list((tmp_path / "out/blobs/sha256").iterdir())) == 2


def test_a_layer_that_comes_twice_is_one_file(tmp_path: Path) -> None:
    digest, path = add_layer(tmp_path, b"layer")
    write_image(tmp_path / "out", manifest_of((digest, 5), (digest, 5)), {digest: path}, REPOSITORY, TAGS)
    assert len(list((tmp_path / "out/blobs/sha256").iterdir())) == 3


def test_an_image_may_have_no_layers(tmp_path: Path) -> None:
    write_image(tmp_path / "out", manifest_of(), {}, REPOSITORY, ("1",))
    assert len(json.loads((tmp_path / "out/index.json").read_bytes())["manifests"]) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX")
def test_the_folders_are_as_open_as_any(tmp_path: Path) -> None:
    write_image(tmp_path / "out", manifest_of(), {}, REPOSITORY, TAGS)
    (tmp_path / "ordinary").mkdir()
    usual = (tmp_path / "ordinary").stat().st_mode
    assert {path.stat().st_mode for path in (tmp_path / "out").rglob("*") if path.is_dir()} == {usual}
    assert (tmp_path / "out").stat().st_mode == usual


@pytest.mark.parametrize("kind", ["folder", "file", "symlink"])
def test_what_was_there_is_replaced(tmp_path: Path, kind: str) -> None:
    out, precious = tmp_path / "dist" / "out", tmp_path / "precious"
    out.parent.mkdir()
    precious.mkdir()
    if kind == "file":
        out.write_text("old")
    elif kind == "symlink":
        out.symlink_to(precious)
    else:
        (out / "blobs/sha256").mkdir(parents=True)
        (out / "blobs/sha256/old").write_text("old")
    write_image(out, manifest_of(), {}, REPOSITORY, TAGS)
    assert not out.is_symlink()
    assert tree(out).keys() - {"index.json", "oci-layout"} == {
        f"blobs/sha256/{Digest.of(CONFIG).hex}",
        f"blobs/sha256/{manifest_of().digest.hex}",
    }
    assert list(out.parent.iterdir()) == [out]
    assert list(precious.iterdir()) == []


def test_the_same_layout_may_be_written_again(tmp_path: Path) -> None:
    digest, path = add_layer(tmp_path, b"layer")
    for _ in range(2):
        write_image(tmp_path / "out", manifest_of((digest, 5)), {digest: path}, REPOSITORY, TAGS)
        assert check_whole(tmp_path / "out") == 5
    assert path.read_bytes() == b"layer"


def _damage(layout: Path, layer: Path, how: str) -> None:
    linked = layout / "blobs/sha256" / Digest.of(b"layer").hex
    if how == "a layer is another file":
        linked.unlink()
        linked.write_bytes(b"damage")
    elif how == "a layer is a symlink":
        linked.unlink()
        linked.symlink_to(layer)
    elif how == "a document has changed":
        (layout / "index.json").write_text("{}")
    elif how == "a file is missing":
        (layout / "oci-layout").unlink()
    elif how == "a file is too many":
        (layout / "blobs/sha256/more").touch()
    elif how == "it is a symlink":
        layout.rename(layout.with_name("elsewhere"))
        layout.symlink_to("elsewhere")


def test_a_layout_that_is_there_stays_and_is_as_new(tmp_path: Path) -> None:
    digest, layer = add_layer(tmp_path, b"layer")
    out = tmp_path / "out"
    write_image(out, manifest_of((digest, 5)), {digest: layer}, REPOSITORY, TAGS)
    if not (out / "blobs/sha256" / digest.hex).samefile(layer):
        pytest.skip("this file system shares blocks, not files")
    before = {path: path.stat() for path in (out, *out.rglob("*"))}
    os.utime(out, (0, 0))
    write_image(out, manifest_of((digest, 5)), {digest: layer}, REPOSITORY, TAGS)
    assert {path: path.stat().st_ino for path in (out, *out.rglob("*"))} == {
        path: status.st_ino for path, status in before.items()
    }
    assert out.stat().st_mtime >= before[out].st_mtime


@pytest.mark.parametrize(
    "how",
    [
        "a layer is another file",
        "a layer is a symlink",
        "a document has changed",
        "a file is missing",
        "a file is too many",
        "it is a symlink",
    ],
)
def test_a_layout_that_is_not_quite_there_is_written_anew(tmp_path: Path, how: str) -> None:
    digest, layer = add_layer(tmp_path, b"layer")
    out = tmp_path / "out"
    write_image(out, manifest_of((digest, 5)), {digest: layer}, REPOSITORY, TAGS)
    whole = tree(out)
    _damage(out, layer, how)
    write_image(out, manifest_of((digest, 5)), {digest: layer}, REPOSITORY, TAGS)
    assert tree(out) == whole
    assert not any(path.is_symlink() for path in (out, *out.rglob("*")))


def test_a_layout_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "dist" / "out"
    out.parent.mkdir()
    write_image(out, manifest_of(), {}, REPOSITORY, TAGS)
    before = tree(out)
    there, missing = add_layer(tmp_path, b"layer"), Digest.of(b"missing")
    manifest = manifest_of((there[0], 5), (missing, 7))
    with pytest.raises(OutputError) as caught:
        write_image(out, manifest, dict([there, (missing, tmp_path / "missing")]), REPOSITORY, TAGS)
    assert str(caught.value) == f"cannot write {out}: No such file or directory"
    assert tree(out) == before
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize(("parent", "reason"), [("absent", "No such file or directory"), ("file", "Not a directory")])
def test_a_layout_without_a_place_is_an_error(tmp_path: Path, parent: str, reason: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError) as caught:
        write_image(tmp_path / parent / "out", manifest_of(), {}, REPOSITORY, TAGS)
    assert str(caught.value) == f"cannot write {tmp_path / parent / 'out'}: {reason}"


@pytest.mark.skipif(sys.platform == "win32", reason="locks are POSIX")
def test_what_a_killed_build_left_is_removed(tmp_path: Path) -> None:
    stale, young, other = (tmp_path / name for name in (".out.stale", ".out.young", ".other.stale"))
    for folder in (stale, young, other):
        (folder / "out").mkdir(parents=True)
    for folder in (stale, other):
        os.utime(folder, (time.time() - 3600,) * 2)
    write_image(tmp_path / "out", manifest_of(), {}, REPOSITORY, TAGS)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.stale", ".out.young", "out"]


FILLED = """
import resource, sys
from pathlib import Path
from hatch_oci.output.image import Image
from hatch_oci.output.layout import layout_files, write_layout
from tests.unit.test_layout import REPOSITORY, TAGS, manifest_of
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
large = b" " * 1_000_000
try:
    manifest = manifest_of(config=large)
    write_layout(Path(sys.argv[1]), layout_files(Image(manifest, [manifest], [large], {}, REPOSITORY, TAGS)))
except Exception as error:
    print(type(error).__name__, error)
"""

ENDLESS = """
import sys
from itertools import count
from pathlib import Path
from tests.unit.test_layout import REPOSITORY, TAGS, add_layer, manifest_of, write_image
out = Path(sys.argv[1])
layers = [add_layer(out.parent.parent, b"x" * size) for size in (1000, 2000)]
print("ready", flush=True)
for number in count():
    digest, path = layers[number % 2]
    manifest = manifest_of((digest, path.stat().st_size))
    write_image(out, manifest, {digest: path}, REPOSITORY, TAGS)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX")
def test_a_disk_that_takes_no_more_leaves_the_old_layout(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_image(out, manifest_of(), {}, REPOSITORY, TAGS)
    before = tree(out)
    command = [sys.executable, "-c", FILLED, str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"OutputError cannot write {out}: File too large\n"
    assert tree(out) == before
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="elsewhere the exchange takes three steps")
@pytest.mark.parametrize("milliseconds", [10, 45, 80])
def test_at_no_moment_is_there_no_layout_or_half_of_one(tmp_path: Path, milliseconds: int) -> None:
    out = tmp_path / "dist" / "out"
    out.parent.mkdir()
    command = [sys.executable, "-c", ENDLESS, str(out)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            while not out.exists():
                assert writer.poll() is None
            end = time.monotonic() + milliseconds / 1000
            while time.monotonic() < end:
                assert out.is_dir()
        finally:
            writer.kill()
    assert check_whole(out) in (1000, 2000)
    for left in out.parent.glob(".out.*"):
        os.utime(left, (time.time() - 3600,) * 2)
    write_image(out, manifest_of(), {}, REPOSITORY, TAGS)
    assert list(out.parent.iterdir()) == [out]
