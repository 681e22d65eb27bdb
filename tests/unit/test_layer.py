from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from hatch_oci.errors import SourceError, WheelError
from hatch_oci.layers.compress import COMPRESSIONS, GZIP_IS_REPRODUCIBLE
from hatch_oci.layers.entry import Entry, Kind, complete, file_entry, folder_entry, link_entry
from hatch_oci.layers.layer import write_layer
from hatch_oci.store.blobs import BlobStore

BIG = bytes(range(256)) * 12_000

# Changed only together with a line in the CHANGELOG: everybody's layers change with them.
GOLDEN_TAR = "0b9e6d6baf9456cedf49ebefbfea46f74f20f670b11c93b2f551f59469e07dde"
GOLDEN_GZIP = "02229eaa895b04bdc89badcdc15dad5599123a1414a6b850cb366c1518316703"


def fixed_entries() -> list[Entry]:
    return complete(
        [
            folder_entry("srv/empty", 0o750, 1000, 1000),
            file_entry("srv/index.html", b"<!doctype html>\n"),
            file_entry("srv/run", b"#!/bin/sh\n", 0o755),
            file_entry("srv/big", BIG),
            file_entry("srv/größe/" + "long/" * 60 + "name", b"x"),
            link_entry("srv/link", "../" + "t" * 120),
            Entry("srv/owned", Kind.FILE, 0o640, 2, uid=3_000_000, gid=5, content=lambda: (b"o", b"k")),
        ],
        {"srv"}.__contains__,
    )


def unpacked(raw: bytes) -> bytes:
    """Return a layer's tar, as other tools read it."""
    if raw.startswith(b"\x1f\x8b"):
        return subprocess.run(["gzip", "-dc"], input=raw, capture_output=True, check=True).stdout
    if raw.startswith(b"\x28\xb5\x2f\xfd"):
        return zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True).read()
    return raw


def left_in(store: BlobStore) -> list[str]:
    return [path.name for path in store.folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_digests_are_those_of_the_bytes_on_disk(compression: str, store: BlobStore) -> None:
    layer = write_layer(fixed_entries(), "what it holds", compression, store)
    raw = store.path(layer.descriptor.digest).read_bytes()
    plain = unpacked(raw)
    assert layer.descriptor.digest.hex == hashlib.sha256(raw).hexdigest()
    assert layer.diff_id.hex == hashlib.sha256(plain).hexdigest()
    assert (layer.descriptor.size, layer.summary) == (len(raw), "what it holds")
    assert len(plain) % 512 == 0
    assert plain.endswith(bytes(1024))


@pytest.mark.parametrize(
    ("compression", "media_type"),
    [
        ("gzip", "application/vnd.oci.image.layer.v1.tar+gzip"),
        ("gzip-reuse", "application/vnd.oci.image.layer.v1.tar+gzip"),
        ("zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
        ("none", "application/vnd.oci.image.layer.v1.tar"),
    ],
)
def test_the_media_type_tells_the_compression(compression: str, media_type: str, store: BlobStore) -> None:
    assert write_layer([], "", compression, store).descriptor.media_type == media_type


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_tar_and_gzip_read_it(compression: str, store: BlobStore) -> None:
    layer = write_layer(fixed_entries(), "", compression, store)
    path = store.path(layer.descriptor.digest)
    plain = unpacked(path.read_bytes())
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["tar", "-tf", "-"], input=plain, capture_output=True, env=env, check=True)
    assert done.stderr == b""
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        assert archive.getnames() == [entry.path for entry in fixed_entries()]
        big = archive.extractfile("srv/big")
        assert big is not None
        assert big.read() == BIG


def test_the_tar_is_the_same_on_every_machine(store: BlobStore) -> None:
    for compression in COMPRESSIONS:
        assert write_layer(fixed_entries(), "", compression, store).diff_id.hex == GOLDEN_TAR


@pytest.mark.skipif(not GZIP_IS_REPRODUCIBLE, reason="zlib-ng has no wheel for this machine")
def test_the_gzip_is_the_same_on_every_machine(store: BlobStore) -> None:
    assert write_layer(fixed_entries(), "", "gzip", store).descriptor.digest.hex == GOLDEN_GZIP


@pytest.mark.parametrize("piece", [1, 4096, 300_000])
def test_the_pieces_that_content_comes_in_do_not_matter(piece: int, store: BlobStore) -> None:
    data = BIG[:300_000]

    def content() -> Iterator[bytes]:
        return (data[start : start + piece] for start in range(0, len(data), piece))

    entry = Entry("a", Kind.FILE, 0o644, len(data), content=content)
    assert write_layer([entry], "", "gzip", store) == write_layer([file_entry("a", data)], "", "gzip", store)


PROGRAM = """
import sys
from pathlib import Path
from hatch_oci.layers.entry import complete
from hatch_oci.layers.folder import Copy, copy_entries
from hatch_oci.layers.layer import write_layer
from hatch_oci.store.blobs import BlobStore
folder = Path(sys.argv[1])
for name in eval(sys.argv[2]):
    (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / "in" / name).write_text(name, "utf-8")
entries = complete(copy_entries(Copy("in", "/srv"), folder), lambda path: False)
print(write_layer(entries, "", "gzip", BlobStore(folder / "cache")).descriptor.digest)
"""


def test_umask_zone_locale_hash_seed_and_order_of_writing_do_not_matter(tmp_path: Path) -> None:
    names = ["b/c.txt", "a", "ä", "b-c", "Z"]
    digests = set()
    for umask, order, env in (
        (0o022, names, {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1", "SOURCE_DATE_EPOCH": "0"}),
        (0o077, names[::-1], {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2"}),
    ):
        folder = tmp_path / str(umask)
        folder.mkdir()
        command = [sys.executable, "-c", PROGRAM, str(folder), repr(order)]
        done = subprocess.run(command, capture_output=True, env=os.environ | env, umask=umask, text=True, check=True)
        digests.add(done.stdout)
    assert len(digests) == 1


@pytest.mark.parametrize("real", [0, 999, 1001, 5000])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_content_of_another_size_is_refused_and_leaves_nothing(real: int, compression: str, store: BlobStore) -> None:
    entry = Entry("srv/a", Kind.FILE, 0o644, 1000, content=lambda: iter([b"x" * real]))
    with pytest.raises(SourceError) as error:
        write_layer([file_entry("a", BIG), entry], "", compression, store)
    assert str(error.value) == "/srv/a changed while it was packed: it is not 1000 bytes long any more"
    assert left_in(store) == []


def test_content_that_goes_on_for_ever_is_refused(store: BlobStore) -> None:
    entry = Entry("a", Kind.FILE, 0o644, 1000, content=lambda: iter(lambda: b"x" * 100, b""))
    with pytest.raises(SourceError, match="/a changed"):
        write_layer([entry], "", "gzip", store)


def test_an_error_of_the_content_leaves_nothing(store: BlobStore) -> None:
    def content() -> Iterator[bytes]:
        yield BIG
        message = "the wheel is broken"
        raise WheelError(message)

    with pytest.raises(WheelError, match="the wheel is broken"):
        write_layer([Entry("a", Kind.FILE, 0o644, len(BIG), content=content)], "", "none", store)
    assert left_in(store) == []


def test_a_layer_of_nothing_is_an_empty_tar(store: BlobStore) -> None:
    layer = write_layer([], "", "none", store)
    assert store.path(layer.descriptor.digest).read_bytes() == bytes(1024)


CORES = """
import os, sys
from pathlib import Path
from hatch_oci.layers.entry import file_entry
from hatch_oci.layers.layer import write_layer
from hatch_oci.store.blobs import BlobStore
cores = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, cores[:int(sys.argv[2])])
data = b"".join(b"line %d of what is packed\\\\n" % number for number in range(400_000))
entries = [file_entry(f"srv/{number}", data[number:]) for number in range(3)]
for compression in ("gzip", "gzip-reuse", "zstd", "none"):
    print(write_layer(entries, "", compression, BlobStore(Path(sys.argv[1]))).descriptor.digest)
"""


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="this needs two cores"
)
def test_the_number_of_cores_does_not_matter(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", CORES, str(tmp_path / cores), cores] for cores in ("1", "2")]
    one, two = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for command in commands)
    assert one == two
    assert len(set(one.split())) == 3
