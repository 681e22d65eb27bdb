"""Which packages of its distribution a base has, as the package manager's own database says."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

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


def test_a_database_that_is_not_read_is_named(tmp_path: Path) -> None:
    found = system(
        tmp_path, [file("etc/os-release", b"ID=fedora\n"), folder("var/lib/rpm"), file("var/lib/rpm/rpmdb.sqlite")]
    )
    assert (found.id, found.packages, found.unread) == ("fedora", (), "/var/lib/rpm/rpmdb.sqlite")


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
