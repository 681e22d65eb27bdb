"""Which wheels run on a Python, compared with what packaging says of the running one."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from pathlib import Path

import pytest
from packaging import tags

from hatch_oci.base.python import Libc, Python, find_python, supported_tags
from hatch_oci.image.platform import Platform
from tests.e2e.requirements import missing
from tests.unit.filesystems import file, tree_of

VERSION = sys.version.split()[0].rstrip("+")
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def running_libc() -> Libc:
    """Return the C library that packaging found for the running Python."""
    pattern = re.compile(r"(many|musl)linux_(\d+)_(\d+)_")
    found = [match for tag in tags.sys_tags() if (match := pattern.match(tag.platform))]
    if not found:
        missing("a Linux that packaging knows")
    return Libc({"many": "glibc", "musl": "musl"}[found[0][1]], int(found[0][2]), int(found[0][3]))


def running_platform() -> Platform:
    system, _, architecture = sysconfig.get_platform().partition("-")
    return Platform.of(system, {"armv7l": "arm"}.get(architecture, architecture))


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells where its libraries are")
def test_the_running_python_is_found_in_a_layer_with_its_own_files(tmp_path: Path) -> None:
    mapped = {line.split(maxsplit=5)[-1].strip() for line in Path("/proc/self/maps").read_text().splitlines()}
    libraries = {path for path in mapped if re.search(r"/(libc[.-]|ld-|libpython)[^/]*$", path)}
    loaders = {str(path) for folder in ("/lib", "/lib64") for path in Path(folder).glob("ld*.so*")}
    executable = os.path.realpath(sys.executable)
    headers = {str(path) for path in Path(sysconfig.get_path("include")).glob("patchlevel.h")}
    paths = {executable} | libraries | loaders | headers
    tree = tree_of(tmp_path, [file(path, Path(path).read_bytes()) for path in sorted(paths)], pack=bytes)
    python = find_python(tree, {}, executable, None)
    assert python == Python(executable, VERSION, FREE_THREADED, running_libc())


def test_the_running_pythons_tags_are_those_that_packaging_tells() -> None:
    python = Python("/usr/bin/python3", VERSION, FREE_THREADED, running_libc())
    found, expected = supported_tags(python, running_platform()), list(tags.sys_tags())
    assert set(found) == set(expected)

    def portable(some: list[tags.Tag]) -> list[tags.Tag]:
        # Where the tags that hold on one machine only stand among the others, versions of packaging differ.
        return [tag for tag in some if not tag.platform.startswith("linux_")]

    assert portable(found) == portable(expected)


GLIBC = Libc("glibc", 2, 36)
MUSL = Libc("musl", 1, 2)


@pytest.mark.parametrize(
    ("version", "libc", "platform", "first", "last", "never"),
    [
        ("3.13.1", GLIBC, "linux/amd64", "manylinux_2_36_x86_64", "manylinux1_x86_64", "manylinux_2_37_x86_64"),
        ("3.13.1", GLIBC, "linux/amd64/v3", "manylinux_2_36_x86_64", "manylinux2010_x86_64", "manylinux_2_4_x86_64"),
        ("3.13.1", GLIBC, "linux/386", "manylinux_2_36_i686", "manylinux1_i686", "manylinux_2_36_x86_64"),
        ("3.13.1", GLIBC, "linux/arm64", "manylinux_2_36_aarch64", "manylinux2014_aarch64", "manylinux2010_aarch64"),
        (
            "3.13.1",
            GLIBC,
            "linux/arm64/v8",
            "manylinux_2_36_aarch64",
            "manylinux_2_17_aarch64",
            "manylinux_2_16_aarch64",
        ),
        ("3.13.1", GLIBC, "linux/arm/v7", "manylinux_2_36_armv7l", "manylinux2014_armv7l", "manylinux_2_16_armv7l"),
        ("3.13.1", GLIBC, "linux/arm/v8", "manylinux_2_36_armv7l", "manylinux2014_armv7l", "manylinux_2_36_aarch64"),
        ("3.13.1", GLIBC, "linux/arm", "manylinux_2_36_armv7l", "linux_armv7l", "linux_armv6l"),
        ("3.13.1", GLIBC, "linux/s390x", "manylinux_2_36_s390x", "manylinux2014_s390x", "manylinux1_s390x"),
        ("3.13.1", GLIBC, "linux/ppc64le", "manylinux_2_36_ppc64le", "linux_ppc64le", "manylinux_2_5_ppc64le"),
        ("3.13.1", GLIBC, "linux/riscv64", "manylinux_2_36_riscv64", "manylinux_2_31_riscv64", "manylinux1_riscv64"),
        (
            "3.13.1",
            Libc("glibc", 2, 17),
            "linux/amd64",
            "manylinux_2_17_x86_64",
            "linux_x86_64",
            "manylinux_2_18_x86_64",
        ),
        ("3.13.1", MUSL, "linux/amd64", "musllinux_1_2_x86_64", "musllinux_1_0_x86_64", "manylinux1_x86_64"),
        (
            "3.13.1",
            Libc("musl", 1, 1),
            "linux/arm64",
            "musllinux_1_1_aarch64",
            "linux_aarch64",
            "musllinux_1_2_aarch64",
        ),
        ("3.13.1", MUSL, "linux/arm/v7", "musllinux_1_2_armv7l", "linux_armv7l", "manylinux2014_armv7l"),
    ],
)
def test_platforms_are_those_of_the_base(
    version: str, libc: Libc, platform: str, first: str, last: str, never: str
) -> None:
    found = supported_tags(Python("/python", version, False, libc), Platform.parse(platform))
    platforms = list(dict.fromkeys(tag.platform for tag in found))
    portable = [name for name in platforms if not name.startswith("linux_")]
    assert portable[0] == first
    assert last in platforms
    assert never not in platforms
    for machine in {name.split("_", 3)[-1] for name in portable if name.count("_") > 2}:
        assert first.endswith(machine)


@pytest.mark.parametrize("variant", ["v5", "v6"])
@pytest.mark.parametrize("libc", [GLIBC, MUSL])
def test_an_older_arm_runs_no_wheels_for_armv7(libc: Libc, variant: str) -> None:
    found = supported_tags(Python("/python", "3.13.1", False, libc), Platform("linux", "arm", variant))
    assert tags.Tag("py3", "none", "any") in found
    assert not [tag for tag in found if "armv7l" in tag.platform]


@pytest.mark.parametrize(
    ("version", "free_threaded", "runs", "does_not_run"),
    [
        ("3.13.1", False, ["cp313-cp313", "cp313-abi3", "cp38-abi3", "cp313-none", "py3-none"], ["cp313-cp313t"]),
        ("3.13.1", True, ["cp313-cp313t", "cp313-none", "py3-none"], ["cp313-cp313", "cp313-abi3", "cp38-abi3"]),
        ("3.14.0rc1", False, ["cp314-cp314", "cp313-abi3", "py314-none", "py30-none"], ["cp313-cp313", "py315-none"]),
        ("3.11.9", False, ["cp311-cp311", "cp32-abi3", "py311-none"], ["cp312-abi3", "cp310-cp310"]),
    ],
)
def test_abis_are_those_of_the_interpreter(
    version: str, free_threaded: bool, runs: list[str], does_not_run: list[str]
) -> None:
    python = Python("/python", version, free_threaded, GLIBC)
    found = {str(tag) for tag in supported_tags(python, Platform("linux", "amd64"))}
    assert {f"{tag}-manylinux2014_x86_64" for tag in runs} <= found
    assert not {f"{tag}-manylinux2014_x86_64" for tag in does_not_run} & found
    assert {"py3-none-any", f"py{python.minor[0]}{python.minor[1]}-none-any"} <= found


def test_the_most_specific_comes_first() -> None:
    found = [str(tag) for tag in supported_tags(Python("/python", "3.13.1", False, GLIBC), Platform("linux", "amd64"))]
    wanted = [
        "cp313-cp313-manylinux_2_36_x86_64",
        "cp313-cp313-manylinux_2_17_x86_64",
        "cp313-cp313-manylinux2014_x86_64",
        "cp313-abi3-manylinux2014_x86_64",
        "cp312-abi3-manylinux2014_x86_64",
        "py313-none-manylinux2014_x86_64",
        "py3-none-manylinux2014_x86_64",
        "py3-none-any",
    ]
    assert sorted(wanted, key=found.index) == wanted
