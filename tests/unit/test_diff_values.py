"""`diff`: configuration, manifest and packages, value by value."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from demo.base import Image
from hatch_oci.cli import main
from tests.unit.comparisons import LOWER, Diff, image_of, section_of
from tests.unit.filesystems import Member, file, folder

SITE = "usr/lib/python3.13/site-packages"
DPKG = """Package: libc6
Status: install ok installed
Version: {libc6}
Description: a library
 Version: not one

Package: gone
Status: deinstall ok config-files
Version: 1
"""
APK = "C:Q1x\nP:musl\nV:{musl}\nF:lib\nR:libc.so\n\nP:busybox\nV:1.36.1-r2\n"


def test_the_configuration_is_told_value_by_value(diff: Diff) -> None:
    old = image_of(LOWER, Env=["A=1", "B=2"], Cmd=["x"], Labels={"l": "1"}, ExposedPorts={"80/tcp": {}})
    new = image_of(LOWER, Env=["B=3", "C=4", "A=1"], Cmd=["x", "y"], Labels={"l": "2"})
    assert section_of(diff(old, new), "configuration") == {
        "config.Env.B": ("2", "3"),
        "config.Env.C": (None, "4"),
        "config.Cmd": ('["x"]', '["x", "y"]'),
        "config.Labels.l": ("1", "2"),
        "config.ExposedPorts.80/tcp": ("{}", None),
    }


def test_annotations_are_told(diff: Diff) -> None:
    old = image_of(LOWER)
    manifest = json.loads(old.manifest) | {"annotations": {"a": "1"}}
    new = Image(json.dumps(manifest).encode(), old.blobs)
    assert section_of(diff(old, new), "manifest") == {"annotations.a": (None, "1")}


def test_documents_that_say_the_same_are_told_apart(diff: Diff, capsys: pytest.CaptureFixture[str]) -> None:
    old = image_of(LOWER)
    new = Image(json.dumps(json.loads(old.manifest), indent=2).encode(), old.blobs)
    assert diff(old, new)["same"] is False
    assert main(["diff", "old", "new"]) == 0
    assert "nothing but how their JSON is written" in capsys.readouterr().out


def test_packages_have_versions(diff: Diff) -> None:
    def system(web: str, libc6: str, tzdata: str, more: Sequence[Member] = ()) -> Image:
        return image_of(
            [
                folder(f"{SITE}/My_Web-{web}.dist-info"),
                file(f"{SITE}/My_Web-{web}.dist-info/METADATA", b"x"),
                folder(f"{SITE}/same-1.0.dist-info"),
                folder("srv/not_a_package-1.0.dist-info"),
                file("var/lib/dpkg/status", DPKG.format(libc6=libc6).encode()),
                file("var/lib/dpkg/status.d/tzdata", f"Package: tzdata\nVersion: {tzdata}\n".encode()),
                file("var/lib/dpkg/status.d/tzdata.md5sums", b"Package: none\nVersion: 1\n"),
                *more,
            ]
        )

    old, new = system("1.0", "2.36-9", "1.2.3"), system("1.1", "2.36-10", "1.2.4", [folder(f"{SITE}/new-2.dist-info")])
    assert section_of(diff(old, new), "packages") == {
        "deb libc6": ("2.36-9", "2.36-10"),
        "deb tzdata": ("1.2.3", "1.2.4"),
        "python my-web": ("1.0", "1.1"),
        "python new": (None, "2"),
    }
    alpine = [image_of([file("lib/apk/db/installed", APK.format(musl=musl).encode())]) for musl in ("1.2.3", "1.2.4")]
    assert section_of(diff(*alpine), "packages") == {"apk musl": ("1.2.3", "1.2.4")}
