"""What a wheel has deflated goes into a layer as it is, with `gzip-reuse`; all else is as with `gzip`."""

from __future__ import annotations

import random
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest

from hatch_oci.base.outline import Outline
from hatch_oci.errors import WheelError
from hatch_oci.installation import Installation
from hatch_oci.layers.wheel import open_wheel
from hatch_oci.lock.layers import dependency_layer
from hatch_oci.packing import plan_layers
from hatch_oci.store.blobs import BlobStore
from tests.unit.dependencies import contents, dependency, members, package_wheel
from tests.unit.projects import read_table
from tests.unit.wheels import SITE, VENV, content_of, install, write_wheel

WORDS = " ".join(random.Random(5).choices(["tar", "zip", "gzip", "deflate"], k=400_000)).encode()
NOISE = random.Random(6).randbytes(300_000)
FILES = {"x/__init__.py": b"value = 1\n", "x/large.txt": WORDS, "x/noise.bin": NOISE, "x/small.py": b"1\n" * 5000}


def raw_of(wheel: Path, name: str) -> bytes:
    """Return a member's bytes as they are in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        info = archive.getinfo(name)
    data = wheel.read_bytes()
    start = info.header_offset + 30 + len(name)
    return data[start : start + info.compress_size]


def test_large_files_stay_deflated_as_they_are(store: BlobStore, tmp_path: Path) -> None:
    path = package_wheel(tmp_path, "x", FILES)
    reused, plain = (
        dependency_layer("", [dependency(store, path)], VENV, name, store) for name in ("gzip-reuse", "gzip")
    )
    raw = store.path(reused.descriptor.digest).read_bytes()
    for name in ("x/large.txt", "x/noise.bin"):
        assert raw_of(path, name) in raw
    assert raw_of(path, "x/small.py") not in raw
    assert raw_of(path, "x/large.txt") not in store.path(plain.descriptor.digest).read_bytes()
    assert reused.diff_id == plain.diff_id
    assert contents(reused, store) == contents(plain, store)
    assert contents(reused, store)[f"{SITE}/x/large.txt"] == WORDS


def test_wheels_that_are_built_here_are_compressed_as_ever(store: BlobStore, tmp_path: Path) -> None:
    # As another machine's zlib may deflate the same files.
    paths = [package_wheel(tmp_path / name, "x", FILES) for name in ("ours", "theirs")]
    with zipfile.ZipFile(paths[0]) as old, zipfile.ZipFile(paths[1], "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info, old.read(info), compresslevel=1)
    assert raw_of(paths[0], "x/large.txt") != raw_of(paths[1], "x/large.txt")
    members, apps = set(), set()
    for path in paths:
        one = dependency(store, path)._replace(built=True)
        members.add(dependency_layer("", [one], VENV, "gzip-reuse", store).descriptor.digest)
        with open_wheel(path) as wheel:
            settings = read_table({"compression": "gzip-reuse"})
            plan = plan_layers(settings, tmp_path, Installation(VENV, app=wheel), Outline({"": {}}))
            apps.add(plan.layers[-1].write(store).descriptor.digest)
    assert (len(members), len(apps)) == (1, 1)


@pytest.mark.parametrize("command", [("gzip", "-dc"), ("bsdtar", "-cf", "-", "--format=ustar", "@-")])
def test_others_read_all_members(command: tuple[str, ...], store: BlobStore, tmp_path: Path) -> None:
    layer = dependency_layer("", [dependency(store, package_wheel(tmp_path, "x", FILES))], VENV, "gzip-reuse", store)
    with store.path(layer.descriptor.digest).open("rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, check=True)
    listed = subprocess.run(["tar", "-t"], input=done.stdout, capture_output=True, check=True, text=False)
    assert listed.stdout.decode().split() == [
        name + "/" * info.isdir() for name, (info, _) in members(layer, store).items()
    ]


def repacked(path: Path, name: str, raw: bytes) -> Path:
    """Put other deflated data in a member's place, at the end of the zip, where the directory can find them."""
    data = bytearray(path.read_bytes())
    old = raw_of(path, name)
    start = data.index(old)
    assert len(raw) == len(old)
    data[start : start + len(old)] = raw
    path.write_bytes(data)
    return path


def test_what_follows_the_deflated_data_is_refused(tmp_path: Path) -> None:
    # Passed on, it would stand where the member's CRC-32 has to.
    noise = {"demo/__init__.py": b"", "demo/noise": NOISE}
    path = write_wheel(tmp_path, noise)
    shorter = zlib.compressobj(0, zlib.DEFLATED, -zlib.MAX_WBITS)
    old = raw_of(path, "demo/noise")
    stored = shorter.compress(NOISE) + shorter.flush()
    assert len(stored) < len(old)
    repacked(path, "demo/noise", stored + b"\0" * (len(old) - len(stored)))
    with pytest.raises(WheelError, match=r"cannot read demo/noise: its data end too early, or too late"):
        install(path)


def test_data_whose_end_is_missing_are_refused(tmp_path: Path) -> None:
    path = write_wheel(tmp_path, {"demo/__init__.py": b"", "demo/noise": NOISE})
    compressor = zlib.compressobj(0, zlib.DEFLATED, -zlib.MAX_WBITS)
    old = raw_of(path, "demo/noise")
    endless = compressor.compress(NOISE) + compressor.flush(zlib.Z_SYNC_FLUSH)
    endless += b"\0\0\0\xff\xff" * ((len(old) - len(endless)) // 5)
    fill = len(old) - len(endless)
    assert fill >= 0
    repacked(path, "demo/noise", endless + b"\0" * fill)
    with pytest.raises(WheelError, match=r"cannot read demo/noise: "):
        install(path)


def test_a_file_that_unpacks_to_a_thousand_times_its_size_is_read_in_pieces(tmp_path: Path) -> None:
    path = write_wheel(tmp_path, {"demo/__init__.py": b"", "demo/zeros": bytes(50_000_000)})
    entry = install(path)[f"{SITE}/demo/zeros"]
    assert content_of(entry) == bytes(50_000_000)
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("demo/zeros").compress_size < 100_000


def test_pieces_are_never_larger_than_a_megabyte(tmp_path: Path) -> None:
    from hatch_oci.layers.member import read_member

    path = write_wheel(tmp_path, {"demo/__init__.py": b"", "demo/zeros": bytes(50_000_000)})
    with path.open("rb") as file, zipfile.ZipFile(path) as archive:
        pieces = list(read_member(file, archive.getinfo("demo/zeros")))
    assert max(len(plain) for _, plain in pieces) <= 1024 * 1024
    assert b"".join(packed for packed, _ in pieces) == raw_of(path, "demo/zeros")
