"""Which packages of its distribution a base has, as the package manager's own database says."""

from __future__ import annotations

import sqlite3
import struct
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_oci.base.system import System, SystemPackage, find_system
from tests.unit.filesystems import Member, file, folder, link, tree_of, whiteout

RELEASE = b'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n# ID=other\nVERSION_ID="12"\n'
STATUS = b"""Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1:1.2.13.dfsg-1
Description: compression library
 Version: none of its own
 .

Package: old
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: never
Status: unknown ok not-installed

Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.36-9+deb12u9

Package: libc6
Status: install ok half-configured
Architecture: amd64
Version: 2.36-9+deb12u9
"""
APK = b"""C:Q1abc=
P:musl
V:1.2.5-r0
A:x86_64
L:MIT
o:musl
F:lib
R:libc.musl-x86_64.so.1

P:busybox
V:1.36.1-r29
A:x86_64
L:GPL-2.0-only

"""


def system(scratch: Path, *layers: Sequence[Member]) -> System:
    return find_system(tree_of(scratch, *layers))


def test_debian_says_what_is_installed_in_one_file(tmp_path: Path) -> None:
    members = [file("usr/lib/os-release", RELEASE), link("etc/os-release", "../usr/lib/os-release")]
    assert system(tmp_path, [*members, file("var/lib/dpkg/status", STATUS)]) == System(
        "debian",
        "12",
        "deb",
        (
            SystemPackage("libc6", "2.36-9+deb12u9", "amd64"),
            SystemPackage("libc6", "2.36-9+deb12u9", "i386"),
            SystemPackage("zlib1g", "1:1.2.13.dfsg-1", "amd64"),
        ),
    )


def test_distroless_images_have_a_file_a_package(tmp_path: Path) -> None:
    base = [
        file("var/lib/dpkg/status.d/base", b"Package: base-files\nVersion: 12.4\nArchitecture: amd64\n"),
        file("var/lib/dpkg/status.d/base.md5sums", b"Package: no\nVersion: 1\n"),
        file("var/lib/dpkg/status.d/tzdata", b"Package: tzdata\nVersion: 2024a\nArchitecture: all\n"),
    ]
    upper = [file("var/lib/dpkg/status.d/python3.11", b"Package: python3.11\nVersion: 3.11.2\nArchitecture: amd64\n")]
    found = system(tmp_path, base, [*upper, whiteout("var/lib/dpkg/status.d/tzdata")])
    assert (found.kind, [one.name for one in found.packages]) == ("deb", ["base-files", "python3.11"])


def test_alpine_says_it_in_short(tmp_path: Path) -> None:
    for number, path in enumerate(("lib/apk/db/installed", "usr/lib/apk/db/installed")):
        scratch = tmp_path / str(number)
        scratch.mkdir()
        assert system(scratch, [file("etc/os-release", b"ID=alpine\nVERSION_ID=3.20.1\n"), file(path, APK)]) == System(
            "alpine",
            "3.20.1",
            "apk",
            (
                SystemPackage("busybox", "1.36.1-r29", "x86_64", "GPL-2.0-only"),
                SystemPackage("musl", "1.2.5-r0", "x86_64", "MIT"),
            ),
        )


def test_the_database_of_the_topmost_layer_counts(tmp_path: Path) -> None:
    upper = b"Package: only\nStatus: install ok installed\nVersion: 2\nArchitecture: all\n"
    found = system(tmp_path, [file("var/lib/dpkg/status", STATUS)], [file("var/lib/dpkg/status", upper)])
    assert found.packages == (SystemPackage("only", "2", "all"),)


def rpm_header(**fields: str | int) -> bytes:
    """Return a package as RPM keeps it: an index of tags, and what they stand for."""
    tags = {"name": 1000, "version": 1001, "release": 1002, "epoch": 1003, "licence": 1014, "architecture": 1022}
    index, data = b"", b"\0\0\0\0"
    for name, value in fields.items():
        kind = 4 if isinstance(value, int) else 6
        index += struct.pack(">IIII", tags[name], kind, len(data), 1)
        data += struct.pack(">I", value) if isinstance(value, int) else value.encode() + b"\0"
    return struct.pack(">II", len(fields), len(data)) + index + data


def rpm_database(
    scratch: Path, *headers: bytes, table: str = "CREATE TABLE Packages (hnum INTEGER, blob BLOB)"
) -> bytes:
    path = scratch / "made.sqlite"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        # The mode that RPM chooses.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(table)
        connection.executemany("INSERT INTO Packages VALUES (?, ?)", enumerate(headers)) if headers else None
        connection.commit()
    return path.read_bytes()


@pytest.mark.parametrize("folder_of", ["var/lib/rpm", "usr/lib/sysimage/rpm"])
def test_rpm_keeps_a_header_a_package(folder_of: str, tmp_path: Path) -> None:
    database = rpm_database(
        tmp_path,
        rpm_header(name="zlib", version="1.2.13", release="5.fc40", licence="Zlib", architecture="x86_64"),
        rpm_header(epoch=4, name="perl", version="5.38", release="1", licence="GPL+", architecture="x86_64"),
        rpm_header(epoch=0, name="bash", version="5.2", release="1", architecture="x86_64"),
        rpm_header(name="gpg-pubkey", version="a15b79cc", release="63d04c2c"),
    )
    found = system(tmp_path, [file("etc/os-release", b"ID=fedora\n"), file(f"{folder_of}/rpmdb.sqlite", database)])
    assert (found.kind, found.unread) == ("rpm", "")
    assert found.packages == (
        SystemPackage("bash", "5.2-1", "x86_64"),
        SystemPackage("perl", "4:5.38-1", "x86_64", "GPL+"),
        SystemPackage("zlib", "1.2.13-5.fc40", "x86_64", "Zlib"),
    )


ENDLESS = """CREATE VIEW Packages AS
WITH RECURSIVE more(hnum, blob) AS (VALUES (0, x'') UNION ALL SELECT hnum + 1, x'' FROM more) SELECT * FROM more
WHERE hnum < 0"""


def test_a_database_of_rpm_may_be_damaged(tmp_path: Path) -> None:
    whole = rpm_database(tmp_path, rpm_header(name="zlib", version="1", release="1", architecture="x86_64"))
    odd = [
        b"",
        b"no database at all" * 100,
        whole[: len(whole) // 2],
        rpm_database(tmp_path, table="CREATE TABLE Other (x)"),
        rpm_database(tmp_path, b"\xff" * 8),
        rpm_database(tmp_path, b"\0"),
        rpm_database(tmp_path, struct.pack(">II", 1, 0) + struct.pack(">IIII", 1003, 4, 2**31, 1)),
        rpm_database(tmp_path, table=ENDLESS),
    ]
    for number, database in enumerate(odd):
        scratch = tmp_path / str(number)
        scratch.mkdir()
        found = system(scratch, [file("var/lib/rpm/rpmdb.sqlite", database)])
        assert (found.packages, found.unread) == ((), "/var/lib/rpm/rpmdb.sqlite"), number


def test_a_database_that_is_not_read_is_named(tmp_path: Path) -> None:
    found = system(
        tmp_path, [file("etc/os-release", b"ID=fedora\n"), folder("var/lib/rpm"), file("var/lib/rpm/Packages")]
    )
    assert (found.id, found.packages, found.unread) == ("fedora", (), "/var/lib/rpm/Packages")


def test_a_base_may_say_nothing(tmp_path: Path) -> None:
    assert system(tmp_path, [file("etc/os-release", b"ID='debian\n=\n"), file("bin/sh")]) == System()


def test_it_is_written_down_and_read_again(tmp_path: Path) -> None:
    found = system(tmp_path, [file("etc/os-release", RELEASE), file("var/lib/dpkg/status", STATUS)])
    assert System.from_json(found.to_json()) == found


@given(st.binary(max_size=200) | st.text(alphabet="PVLA:=\n \t'\"#Package", max_size=200).map(str.encode))
def test_no_database_is_too_odd(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        paths = ("etc/os-release", "var/lib/dpkg/status", "lib/apk/db/installed")
        found = system(Path(scratch), [file(path, data) for path in paths])
    assert System.from_json(found.to_json()) == found
