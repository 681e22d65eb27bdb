"""Which packages of its distribution an image says that it has."""

from __future__ import annotations

from pathlib import Path

from hatch_oci.base.system_packages import find_system_packages
from tests.unit.filesystems import Member, file, link, tree_of

DPKG = """Package: libc6
Status: install ok installed
Multi-Arch: same
Version: 2.36-9+deb12u4
Description: a library
 Version: not one
 Package: neither

Package: removed
Status: deinstall ok config-files
Version: 1

Package: without-a-version
Status: install ok installed

Package: tzdata
Status: hold ok installed
Version: 1:2024a-0
"""
APK = """C:Q1abc=
P:musl
V:1.2.4_git20230717-r4
A:x86_64
F:lib
R:ld-musl-x86_64.so.1

C:Q1def=
P:busybox
V:1.36.1-r2

"""


def packages(scratch: Path, *members: Member) -> set[tuple[str, str, str]]:
    return set(find_system_packages(tree_of(scratch, members)))


def test_debian_names_what_is_installed(tmp_path: Path) -> None:
    found = packages(tmp_path, file("var/lib/dpkg/status", DPKG.encode()))
    assert found == {("deb", "libc6", "2.36-9+deb12u4"), ("deb", "tzdata", "1:2024a-0")}


def test_an_image_without_dpkg_has_a_file_for_each_package(tmp_path: Path) -> None:
    found = packages(
        tmp_path,
        file("var/lib/dpkg/status.d/tzdata", b"Package: tzdata\nVersion: 2024a-0\n"),
        file("var/lib/dpkg/status.d/base", b"Package: base-files\nVersion: 12.4\n\n"),
        file("var/lib/dpkg/status.d/tzdata.md5sums", b"Package: none\nVersion: 1\n"),
    )
    assert found == {("deb", "tzdata", "2024a-0"), ("deb", "base-files", "12.4")}


def test_alpine_names_its_packages(tmp_path: Path) -> None:
    found = packages(tmp_path, file("lib/apk/db/installed", APK.encode()))
    assert found == {("apk", "musl", "1.2.4_git20230717-r4"), ("apk", "busybox", "1.36.1-r2")}


def test_links_are_followed_and_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    found = packages(
        tmp_path,
        link("lib", "usr/lib"),
        file("usr/lib/apk/db/installed", b"P:a\nV:1\nT:\xff\xfe\n\n:::\n\n"),
        file("var/lib/dpkg/status", b""),
    )
    assert found == {("apk", "a", "1")}


def test_an_image_without_a_database_has_none(tmp_path: Path) -> None:
    assert packages(tmp_path, file("a")) == set()
