"""Wheels that nobody built in earnest; a lock pins them, so that they come with the right hash."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.faults.workshop import Workshop
from tests.unit.locks import write_lock
from tests.unit.test_damaged_wheel import central, encrypt, lie_about_crc, lie_about_size, use_another_method
from tests.unit.wheels import INFO, MODULE, RawMember, hash_of, member, write_wheel

MIB = 1024 * 1024
TABLE = 'base-image = "oci:base"\nwheel = false\nlock = "pylock.toml"\nentrypoint = ["python3"]'
LONG = {"demo/__init__.py": b"".join(b"value_%d = %d\n" % (number, number) for number in range(2000))}


def refuse(workshop: Workshop, wheel: Path, *words: str) -> None:
    """See that a build with this wheel is refused, and nothing is made."""
    workshop.write_base()
    workshop.write_project(TABLE, needs=["demo"])
    write_lock(workshop.project / "pylock.toml", [wheel])
    workshop.refuse_build(*words)


def raw(name: str, content: bytes = b"x", mode: int = 0o644, kind: int = stat.S_IFREG) -> RawMember:
    return member(name, mode, kind), content


def named(files: Mapping[str, bytes]) -> Callable[[str], str]:
    """Return what adds rows to RECORD."""
    return lambda text: text + "".join(f'"{name}",{hash_of(data)},{len(data)}\n' for name, data in files.items())


@pytest.mark.few(4)
@pytest.mark.parametrize(
    "name",
    [
        "../evil.py",
        "demo/../../evil.py",
        "/etc/evil",
        "demo/./x.py",
        "demo//x.py",
        "..\\evil.py",
        "C:\\evil.py",
        "demo-1.0.data/data/../../../evil",
        "demo-1.0.data/scripts/../../evil",
        "line\nbreak/../x\x1b[2J",
        "nul\0/../x",
        "",
        ".",
    ],
)
def test_member_of_a_wheel_that_climbs_out(name: str, workshop: Workshop) -> None:
    files = {name: b"x"}
    wheel = write_wheel(workshop.project, raw=[raw(name)], record=named(files) if "\0" not in name else str)
    refuse(workshop, wheel, "")


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "name", ["../evil", "/bin/evil", "..", ".", "a/b", "a\\b", "python", "python3", "activate/../python", "x\x1b[2Jy"]
)
def test_script_of_a_wheel_whose_name_climbs_out(name: str, workshop: Workshop) -> None:
    """Nor does one replace the interpreter of the venv."""
    refuse(workshop, write_wheel(workshop.project, entry_points=f"[console_scripts]\n{name} = demo:main\n"), "")


@pytest.mark.few(2)
@pytest.mark.parametrize("name", ["python", "../../usr/bin/env", "../lib/python3/x.py", "deep/../../../x"])
def test_file_of_scripts_that_climbs_out_or_replaces_python(name: str, workshop: Workshop) -> None:
    files = {f"demo-1.0.data/scripts/{name}": b"#!python\n"}
    refuse(workshop, write_wheel(workshop.project, raw=[raw(*one) for one in files.items()], record=named(files)), "")


def swap_hash(text: str) -> str:
    return text.replace(hash_of(MODULE["demo/__init__.py"]), hash_of(b"another"))


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("record", "words"),
    [
        pytest.param(swap_hash, "is not the file that RECORD describes", id="another hash"),
        pytest.param(lambda text: "\n".join(text.splitlines()[1:]), "has no sha256 hash in RECORD", id="a row less"),
        pytest.param(lambda text: text + text.splitlines()[0], "malformed or repeated row", id="a row twice"),
        pytest.param(lambda text: text.replace("sha256", "md5"), "has no sha256 hash in RECORD", id="md5"),
        pytest.param(lambda text: text.replace("sha256=", "sha256"), "has no sha256 hash in RECORD", id="no hash"),
        pytest.param(lambda _text: "", "has no sha256 hash in RECORD", id="empty"),
        pytest.param(lambda _text: "\0" * 1000, "", id="NULs"),
        pytest.param(lambda _text: '"' + "x" * 200_000, "RECORD", id="a field without end"),
        pytest.param(lambda text: text + "x,y,z,1,2\x1b[2J\n", "malformed or repeated row", id="a row too long"),
    ],
)
def test_record_that_lies(record: Callable[[str], str], words: str, workshop: Workshop) -> None:
    refuse(workshop, write_wheel(workshop.project, record=record), words)


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("raws", "words"),
    [
        pytest.param([raw("demo/__init__.py")], "twice", id="twice"),
        pytest.param(
            [raw("demo/link", b"/etc/passwd", 0o777, stat.S_IFLNK)], "a symlink or a special file", id="symlink"
        ),
        pytest.param([raw("demo/pipe", b"", 0o644, stat.S_IFIFO)], "a symlink or a special file", id="pipe"),
        pytest.param([raw("demo/disk", b"", 0o644, stat.S_IFBLK)], "a symlink or a special file", id="device"),
        pytest.param([raw("evil.dist-info/METADATA")], "must hold one folder", id="two dist-infos"),
        pytest.param([raw(f"{INFO}/entry_points.txt", b"no section")], "", id="entry points that are none"),
        pytest.param([raw("demo/line\nbreak\x1b]0;x")], "has no sha256 hash in RECORD", id="escapes of a terminal"),
        pytest.param([raw("demo/.wh.x")], "has no sha256 hash", id="a whiteout"),
    ],
)
def test_odd_members_of_a_wheel(raws: list[RawMember], words: str, workshop: Workshop) -> None:
    refuse(workshop, write_wheel(workshop.project, raw=raws), words)


def test_whiteout_in_a_wheel(workshop: Workshop) -> None:
    workshop_wheel = write_wheel(workshop.project, {**MODULE, "demo/.wh..wh..opq": b""})
    refuse(workshop, workshop_wheel, ".wh.")


def bzip2(wheel: Path) -> None:
    with zipfile.ZipFile(wheel, "a", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("demo/data", b"x" * 1000)


def overlap(wheel: Path) -> None:
    """Let a member begin where another one does, as in bombs that are small and flat."""
    content = bytearray(wheel.read_bytes())
    struct.pack_into("<I", content, central(content, f"{INFO}/WHEEL") + 42, 0)
    wheel.write_bytes(content)


def damaged(damage: Callable[[bytearray], None]) -> Callable[[Path], None]:
    def apply(wheel: Path) -> None:
        content = bytearray(wheel.read_bytes())
        damage(content)
        wheel.write_bytes(content)

    return apply


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(bzip2, "compressed in a way", id="bzip2"),
        pytest.param(damaged(use_another_method), "compressed in a way", id="an unknown method"),
        pytest.param(damaged(encrypt), "it is encrypted", id="encrypted"),
        pytest.param(overlap, "lies over another member", id="overlapping members"),
        pytest.param(damaged(lie_about_crc), "its size or its CRC-32", id="a CRC-32 that lies"),
        pytest.param(damaged(lie_about_size), "its size or its CRC-32", id="a size that lies"),
        pytest.param(
            damaged(lambda data: data.__delitem__(slice(len(data) // 2, None))), "not a wheel", id="cut short"
        ),
        pytest.param(damaged(lambda data: data.clear()), "not a wheel", id="empty"),
    ],
)
def test_zip_that_lies(damage: Callable[[Path], None], words: str, workshop: Workshop) -> None:
    wheel = write_wheel(workshop.project, LONG)
    damage(wheel)
    refuse(workshop, wheel, words)


def test_bomb_in_a_wheel(workshop: Workshop) -> None:
    """Three files of 100 MiB, of which next to nothing is left when they are packed."""
    files = {f"demo/zeros{number}": bytes(100 * MIB) for number in range(3)}
    refuse(workshop, write_wheel(workshop.project, files), "unpacks to more than 200 times its size")


def test_wheel_whose_metadata_is_a_bomb(workshop: Workshop) -> None:
    refuse(workshop, write_wheel(workshop.project, metadata="x" * 40 * MIB), "larger than any honest one")


def test_wheel_with_a_directory_that_takes_all_memory(workshop: Workshop) -> None:
    wheel = write_wheel(workshop.project)
    with zipfile.ZipFile(wheel, "a") as archive:
        for number in range(120_000):
            archive.writestr(zipfile.ZipInfo(f"demo/{number:030x}"), b"")
    refuse(workshop, wheel, "its directory takes")


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"metadata": "Name: other\nVersion: 1.0\n"}, id="another project"),
        pytest.param({"metadata": "Name: \x1b[2Jother\nVersion: 1.0\n"}, id="escapes of a terminal"),
        pytest.param({"metadata": "Name: demo\nVersion: \x1b[2J\n"}, id="no version"),
        pytest.param({"metadata": "Name: demo\nVersion: 1.0\nRequires-Dist: \x1b]0;x\n"}, id="no requirement"),
        pytest.param({"wheel": "Wheel-Version: 9.0\n"}, id="a version of tomorrow"),
        pytest.param({"wheel": ""}, id="no version of the form"),
        pytest.param({"without": ["RECORD"]}, id="no RECORD"),
        pytest.param({"without": ["METADATA"]}, id="no METADATA"),
        pytest.param({"entry_points": "[console_scripts]\nx = demo; import os\n"}, id="code for a script"),
        pytest.param({"entry_points": "[console_scripts]\nx = demo:main()\n"}, id="a call for a script"),
        pytest.param({"entry_points": "[" + "x" * 1000}, id="no section"),
    ],
)
def test_wheel_whose_documents_lie(parts: dict[str, Any], workshop: Workshop) -> None:
    refuse(workshop, write_wheel(workshop.project, **parts), "")


def test_wheel_that_a_lock_does_not_pin(workshop: Workshop) -> None:
    """Nothing of it is kept, as it is not what the hash says; neither is a pipe waited for, nor a device read."""
    workshop.write_base()
    workshop.write_project(TABLE, needs=["demo"])
    wheel = write_wheel(workshop.project)
    write_lock(workshop.project / "pylock.toml", [wheel])
    kept = wheel.read_bytes()
    for replace in (
        lambda: wheel.write_bytes(kept + b"x"),
        lambda: os.mkfifo(wheel),
        lambda: wheel.symlink_to("/dev/zero"),
    ):
        wheel.unlink()
        replace()
        workshop.refuse_build("demo-1.0-py3-none-any.whl", deadline=20)
