from __future__ import annotations

import io
import os
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hatch_oci.errors import OCIError, WheelError
from hatch_oci.layers.entry import Kind
from hatch_oci.layers.wheel import open_wheel
from tests.unit.wheels import FILENAME, INFO, METADATA, MODULE, SITE, content_of, hash_of, install, member, write_wheel

LONG = {"demo/__init__.py": b"".join(b"value_%d = %d\n" % (number, number) for number in range(2000))}
METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]
PROPERTY = settings(deadline=None, max_examples=150)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheels")


def offset_of(raw: bytearray, name: str = "demo/__init__.py") -> int:
    """Return where a member's data begin."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        header = archive.getinfo(name).header_offset
    name_length, extra_length = struct.unpack_from("<HH", raw, header + 26)
    return int(header + 30 + name_length + extra_length)


def central(raw: bytearray, name: str = "demo/__init__.py") -> int:
    """Return where a member's row in the central directory begins."""
    return raw.rindex(name.encode()) - 46


def spoil_data(raw: bytearray) -> None:
    start = offset_of(raw)
    raw[start + 20 : start + 60] = b"\xff" * 40


def spoil_local_header(raw: bytearray) -> None:
    start = offset_of(raw) - len("demo/__init__.py") - 30
    raw[start : start + 4] = b"PK\0\0"


def rename_locally(raw: bytearray) -> None:
    raw[offset_of(raw) - 1] = ord("x")


def lie_about_crc(raw: bytearray) -> None:
    struct.pack_into("<I", raw, central(raw) + 16, 1)


def lie_about_size(raw: bytearray) -> None:
    struct.pack_into("<I", raw, central(raw) + 24, 100)


def lie_about_packed_size(raw: bytearray) -> None:
    struct.pack_into("<I", raw, central(raw) + 20, 100)


def encrypt(raw: bytearray) -> None:
    raw[central(raw) + 8] |= 1
    raw[offset_of(raw) - len("demo/__init__.py") - 30 + 6] |= 1


def use_another_method(raw: bytearray) -> None:
    struct.pack_into("<H", raw, central(raw) + 10, 97)


def need_a_newer_zip(raw: bytearray) -> None:
    raw[central(raw) + 6] = 224


def misname(raw: bytearray) -> None:
    start = central(raw)
    raw[start + 9] |= 0x08  # says that its name is UTF-8
    raw[start + 46] = 0xFF


def point_elsewhere(raw: bytearray) -> None:
    struct.pack_into("<I", raw, central(raw) + 42, len(raw) - 40)


def move_all_before_the_start(raw: bytearray) -> None:
    end = len(raw) - 22
    (offset,) = struct.unpack_from("<I", raw, end + 16)
    struct.pack_into("<I", raw, end + 16, offset + 10_000_000)


def cut(raw: bytearray) -> None:
    del raw[len(raw) // 2 :]


def empty(raw: bytearray) -> None:
    raw.clear()


@pytest.mark.parametrize(
    "damage",
    [
        spoil_data,
        spoil_local_header,
        rename_locally,
        lie_about_crc,
        lie_about_size,
        lie_about_packed_size,
        encrypt,
        use_another_method,
        need_a_newer_zip,
        misname,
        point_elsewhere,
        move_all_before_the_start,
        cut,
        empty,
    ],
)
def test_a_damaged_wheel_is_named(damage: Callable[[bytearray], None], tmp_path: Path) -> None:
    path = write_wheel(tmp_path, LONG)
    raw = bytearray(path.read_bytes())
    damage(raw)
    path.write_bytes(raw)
    with pytest.raises(WheelError) as error:
        install(path)
    assert str(error.value).startswith(FILENAME)
    assert "\n" not in str(error.value)


def test_a_file_system_that_fails_under_a_wheel_names_wheel_and_member(tmp_path: Path) -> None:
    path = write_wheel(tmp_path, LONG)
    raw = bytearray(path.read_bytes())
    move_all_before_the_start(raw)
    path.write_bytes(raw)
    with pytest.raises(WheelError, match=rf"^{FILENAME}: cannot read {INFO}/WHEEL: "):
        install(path)


def test_a_wheel_that_is_cut_short_meanwhile_is_told_of(tmp_path: Path) -> None:
    path = write_wheel(tmp_path, {"demo/__init__.py": b"", "demo/noise": random.Random(1).randbytes(2_000_000)})
    with open_wheel(path) as wheel:
        os.truncate(path, 1_000_000)
        (noise,) = [one for one in wheel.members if one.path == "demo/noise"]
        with pytest.raises(WheelError) as error:
            list(wheel.read(noise))
    assert str(error.value) == f"{FILENAME}: cannot read demo/noise: the wheel ends before it does"


@pytest.mark.parametrize("method", METHODS)
def test_damage_to_data_is_found_however_they_are_packed(method: int, tmp_path: Path) -> None:
    path = write_wheel(tmp_path, LONG)
    repack(path, method)
    raw = bytearray(path.read_bytes())
    spoil_data(raw)
    path.write_bytes(raw)
    with pytest.raises(WheelError, match=f"^{FILENAME}: .*demo/__init__.py"):
        install(path)


def test_metadata_that_unpack_to_more_than_they_say_are_not_unpacked(tmp_path: Path) -> None:
    path = write_wheel(tmp_path, metadata=f"{METADATA}\n" + " " * (32 * 1024 * 1024))
    raw = bytearray(path.read_bytes())
    struct.pack_into("<I", raw, central(raw, f"{INFO}/METADATA") + 24, len(METADATA))
    path.write_bytes(raw)
    tracemalloc.start()
    try:
        with pytest.raises(WheelError, match=rf"^{FILENAME}: cannot read {INFO}/METADATA: its size or its CRC-32"):
            install(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * 1024 * 1024


def test_metadata_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = write_wheel(tmp_path, metadata=" " * (16 * 1024 * 1024 + 1))
    with pytest.raises(WheelError) as error:
        install(path)
    assert str(error.value) == f"{FILENAME}: {INFO}/METADATA is larger than any honest one"


def repack(path: Path, method: int) -> None:
    """Write a wheel again, its members packed in another way and their sizes behind them, as to a pipe."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.written = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: bytes, /) -> int:  # type: ignore[override]
            self.written += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(pipe, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    path.write_bytes(b"#!/bin/sh\n" + pipe.written)


@pytest.mark.parametrize("method", METHODS)
def test_sizes_may_stand_behind_the_data_and_a_program_before_the_zip(method: int, tmp_path: Path) -> None:
    path = write_wheel(tmp_path, LONG)
    expected = contents(path)
    repack(path, method)
    assert contents(path) == expected


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_kinds_of_compression_are_refused(method: int, tmp_path: Path) -> None:
    path = write_wheel(tmp_path)
    repack(path, method)
    with pytest.raises(WheelError) as error:
        install(path)
    expected = f"demo/__init__.py is compressed in a way that wheels are not (method {method})"
    assert str(error.value) == f"{FILENAME}: {expected}"


def contents(path: Path) -> dict[str, bytes]:
    return {name: content_of(entry) for name, entry in install(path).items() if entry.kind is Kind.FILE}


def test_folders_and_zip64_and_foreign_systems_are_read(tmp_path: Path) -> None:
    path = write_wheel(tmp_path, LONG, raw=[(member("demo/"), b""), (member("other/"), b"")])
    with zipfile.ZipFile(path, "a") as archive:
        for info in archive.infolist():
            info.create_system, info.external_attr = 0, 0x20
        archive.writestr("demo-1.0.data/", b"")
    assert f"{SITE}/demo/__init__.py" in install(path)


names = st.text(st.sampled_from("a./\\\0\x01-é:") | st.characters(), min_size=1, max_size=20)
folders = st.sampled_from(["", "demo/", f"{INFO}/", "demo-1.0.data/", "demo-1.0.data/scripts/", "demo-1.0.data/data/"])


@PROPERTY
@given(st.dictionaries(st.builds(str.__add__, folders, names), st.binary(max_size=20), max_size=4))
def test_members_of_any_name_stay_in_the_venv(scratch: Path, files: dict[str, bytes]) -> None:
    assume(not any("\ud800" <= character <= "\udfff" for name in files for character in name))
    rows = "".join(f"{name},{hash_of(data)},\n" for name, data in files.items())
    raw = [(member(name), data) for name, data in files.items()]
    check(write_wheel(scratch, MODULE, record=lambda text: text + rows, raw=raw))


lines = st.text(st.sampled_from("[]=:.#;\n\r\t %a/") | st.characters(exclude_categories=["Cs"]), max_size=40)


@PROPERTY
@given(st.lists(lines | st.sampled_from(["[console_scripts]", "[gui_scripts]", "run = demo:main"]), max_size=6))
def test_entry_points_of_any_text_make_scripts_or_an_error(scratch: Path, text: list[str]) -> None:
    found = check(write_wheel(scratch, entry_points="\n".join(["[console_scripts]", *text])))
    for path in found:
        if path.startswith("app/.venv/bin/"):
            assert path.count("/") == 3


@PROPERTY
@given(st.lists(lines | st.sampled_from(["demo/__init__.py,sha256=x,1", '"', "a,b,c", "\0,,"]), min_size=1, max_size=6))
def test_a_record_of_any_text_is_read_or_refused(scratch: Path, text: list[str]) -> None:
    check(write_wheel(scratch, record=lambda record: record + "\n".join(text)))


@settings(PROPERTY, max_examples=400)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_any_damage_is_an_error_or_harmless(scratch: Path, changes: list[tuple[float, int]]) -> None:
    path = write_wheel(scratch, entry_points="[console_scripts]\nrun = demo:main\n")
    raw = bytearray(path.read_bytes())
    for place, value in changes:
        raw[int(place * len(raw))] = value
    path.write_bytes(raw)
    check(path)


def check(path: Path) -> list[str]:
    """Install a wheel, which fails only with an error for its user, and stays in the venv."""
    try:
        entries = install(path)
    except OCIError:
        return []
    for name in entries:
        assert name in {"app", "app/.venv"} or name.startswith("app/.venv/")
        assert not {"", ".", ".."} & set(name.split("/"))
    return list(entries)
