from __future__ import annotations

import platform
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hatch_oci.base.python import Libc, Python, find_python
from hatch_oci.errors import BaseError
from tests.unit.filesystems import (
    GLIBC_LOADER,
    MUSL_LOADER,
    Member,
    debian,
    elf,
    file,
    folder,
    glibc,
    link,
    musl,
    tree_of,
)

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GLIBC = Libc("glibc", 2, 36)
PATCHLEVEL = '#define PY_MAJOR_VERSION 3\n/*--start--*/\n#define PY_VERSION      \t"{}"\n'


def find(
    scratch: Path,
    members: Sequence[Member],
    env: Mapping[str, str] | None = None,
    chosen: str | None = None,
    libc: Libc | None = None,
) -> Python:
    return find_python(tree_of(scratch, members), env or {}, chosen, libc)


def failure(
    scratch: Path, members: Sequence[Member], env: Mapping[str, str] | None = None, chosen: str | None = None
) -> str:
    with pytest.raises(BaseError) as error:
        find(scratch, members, env, chosen)
    return str(error.value)


def test_the_official_images_python_is_found(tmp_path: Path) -> None:
    python = find(tmp_path, debian(), {"PYTHON_VERSION": "3.13.1"})
    assert python == Python("/usr/local/bin/python3.13", "3.13.1", False, GLIBC)
    assert str(python) == "CPython 3.13.1 with glibc 2.36"
    assert (python.minor, python.binary_name) == ((3, 13), "python3.13")
    assert Python.from_json(python.to_json()) == python


def test_a_free_threaded_python_is_told_by_its_name(tmp_path: Path) -> None:
    python = find(tmp_path, debian("python3.14t"), {"PYTHON_VERSION": "3.14.0rc2"})
    assert python == Python("/usr/local/bin/python3.14t", "3.14.0rc2", True, GLIBC)
    assert str(python) == "CPython 3.14.0rc2t with glibc 2.36"
    assert (python.minor, python.binary_name) == ((3, 14), "python3.14t")


def test_a_patch_level_that_nothing_tells_is_not_made_up(tmp_path: Path) -> None:
    python = find(tmp_path, debian())
    assert (python.version, python.minor, python.full_version) == ("3.13", (3, 13), "3.13.?")
    assert str(python) == "CPython 3.13.? with glibc 2.36"
    assert str(find(tmp_path, debian("python3.14t"))) == "CPython 3.14.?t with glibc 2.36"


@pytest.mark.skipif(not sysconfig.get_config_var("LDLIBRARY"), reason="needs to know the library of this Python")
def test_the_patch_level_of_the_running_python_is_found(tmp_path: Path) -> None:
    release = f"{sys.version_info.major}.{sys.version_info.minor}{sys.abiflags}"
    library = Path(str(sysconfig.get_config_var("LIBDIR"))) / str(sysconfig.get_config_var("INSTSONAME"))
    members = [*debian(f"python{release}")[:-3], link("usr/local/bin/python3", f"python{release}")]
    members.append(file(f"usr/local/bin/python{release}", elf(GLIBC_LOADER) + Path(sys.executable).read_bytes()))
    if library.is_file() and library.suffix != ".a":
        members.append(file(f"usr/lib/{library.name}", library.read_bytes()))
    assert find(tmp_path, members).version == platform.python_version().rstrip("+")


TWO = [
    *debian(),
    file("usr/bin/python3.11", elf(GLIBC_LOADER)),
    link("usr/bin/python3", "python3.11"),
    link("opt/bin", "/opt/python/current/bin"),
    link("opt/python/current", "3.12.4"),
    file("opt/python/3.12.4/bin/python3.12", elf(GLIBC_LOADER)),
    link("opt/python/3.12.4/bin/python", "python3.12"),
    folder("odd/python3"),
    link("dead/python3", "gone"),
]


@pytest.mark.parametrize(
    ("path", "chosen", "executable"),
    [
        (None, None, "/usr/local/bin/python3.13"),
        (DEFAULT_PATH, None, "/usr/local/bin/python3.13"),
        ("/usr/bin:/usr/local/bin", None, "/usr/bin/python3.11"),
        ("/bin:/opt/bin", None, "/opt/python/3.12.4/bin/python3.12"),
        ("/opt/bin:/usr/bin", None, "/usr/bin/python3.11"),
        ("/odd:/dead:/nowhere::/usr/bin/", None, "/usr/bin/python3.11"),
        (None, "/usr/bin/python3", "/usr/bin/python3.11"),
        ("/usr/bin", "/opt/bin/python", "/opt/python/3.12.4/bin/python3.12"),
        ("", "/usr/bin/python3.11", "/usr/bin/python3.11"),
    ],
)
def test_python_is_looked_for_as_a_shell_would(
    path: str | None, chosen: str | None, executable: str, tmp_path: Path
) -> None:
    env = {} if path is None else {"PATH": path}
    assert find(tmp_path, TWO, env, chosen).executable == executable


ADVICE = 'set python = "/path/to/python3.X"'
WITHOUT = "wheel = false is for an image without Python"
LIBC_ADVICE = 'set libc = "glibc 2.X" or "musl 1.X"'
LOOKED = DEFAULT_PATH.replace(":", ", ")


def only(binary: bytes, name: str = "python3.13") -> list[Member]:
    return [file(f"usr/bin/{name}", binary), link("usr/bin/python3", name)]


@pytest.mark.parametrize(
    ("members", "env", "chosen", "message"),
    [
        (
            [file("bin/sh")],
            {},
            None,
            f"no Python found on PATH (looked in {LOOKED}): {ADVICE} or choose another base-image; {WITHOUT}",
        ),
        (
            debian(),
            {"PATH": "/bin"},
            None,
            f"no Python found on PATH (looked in /bin): {ADVICE} or choose another base-image; {WITHOUT}",
        ),
        (debian(), {}, "/opt/python3", "there is no file /opt/python3; correct `python`"),
        (debian(), {}, "/usr/local/bin", "there is no file /usr/local/bin; correct `python`"),
        (
            only(elf(GLIBC_LOADER), "pypy3.10"),
            {},
            None,
            f"/usr/bin/pypy3.10 does not tell by its name which CPython it is: {ADVICE}",
        ),
        (
            only(elf(None)),
            {},
            None,
            f"/usr/bin/python3.13 names no loader that would tell its C library: {LIBC_ADVICE}",
        ),
        (
            only(elf(MUSL_LOADER)),
            {},
            None,
            f"no C library was found for /usr/bin/python3.13 ({MUSL_LOADER}): {LIBC_ADVICE}",
        ),
        (
            [*only(elf(GLIBC_LOADER)), file("lib/libc.so.6", b"?")],
            {},
            None,
            f"no C library was found for /usr/bin/python3.13 ({GLIBC_LOADER}): {LIBC_ADVICE}",
        ),
        (
            # A wheel might be for each of them.
            [*only(elf(GLIBC_LOADER)), file("lib/libc.so.6", glibc("2.999999999"))],
            {},
            None,
            f"no C library was found for /usr/bin/python3.13 ({GLIBC_LOADER}): {LIBC_ADVICE}",
        ),
    ],
)
def test_what_cannot_be_found_is_told_with_advice(
    members: Sequence[Member], env: dict[str, str], chosen: str | None, message: str, tmp_path: Path
) -> None:
    assert failure(tmp_path, members, env, chosen) == message


@pytest.mark.parametrize(
    "data",
    [b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF" + b"\xff" * 60, elf(GLIBC_LOADER)[:100], b"\x7fELF" + bytes(60)],
)
def test_a_broken_binary_names_no_loader(data: bytes, tmp_path: Path) -> None:
    assert "names no loader" in failure(tmp_path, [file("usr/bin/python3.13", data)], {}, "/usr/bin/python3.13")


def test_a_libc_that_was_told_is_not_looked_for(tmp_path: Path) -> None:
    told = Libc("musl", 1, 2)
    python = find(tmp_path, [file("python3.13", b"static")], {}, "/python3.13", told)
    assert python.libc == told


VERSIONS = {
    "the environment": ({"PYTHON_VERSION": "3.13.7"}, [], "3.13.7"),
    "a release candidate": ({"PYTHON_VERSION": "3.13.0rc3"}, [], "3.13.0rc3"),
    "another minor in the environment": ({"PYTHON_VERSION": "3.12.1"}, [], "3.13"),
    "no patch level in the environment": ({"PYTHON_VERSION": "3.13"}, [], "3.13"),
    "nonsense in the environment": ({"PYTHON_VERSION": "3.13.x"}, [], "3.13"),
    "a header": (
        {},
        [file("usr/local/include/python3.13/patchlevel.h", PATCHLEVEL.format("3.13.2").encode())],
        "3.13.2",
    ),
    "a header behind a bare minor": (
        {"PYTHON_VERSION": "3.13"},
        [file("usr/local/include/python3.13/patchlevel.h", PATCHLEVEL.format("3.13.2+").encode())],
        "3.13.2",
    ),
    "the environment before a header": (
        {"PYTHON_VERSION": "3.13.1"},
        [file("usr/local/include/python3.13/patchlevel.h", PATCHLEVEL.format("3.13.2").encode())],
        "3.13.1",
    ),
    "a library": (
        {},
        [file("usr/lib/x86_64-linux-gnu/libpython3.13.so.1.0", b"\x003.1.0\x003.13.5 (main\x00")],
        "3.13.5",
    ),
    "nothing": ({}, [file("usr/local/lib/libpython3.12.so.1.0", b"\x003.13.5\x00")], "3.13"),
}


@pytest.mark.parametrize(("env", "members", "version"), VERSIONS.values(), ids=VERSIONS)
def test_the_patch_level_comes_from(env: dict[str, str], members: list[Member], version: str, tmp_path: Path) -> None:
    assert find(tmp_path, [*debian(), *members], env).version == version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (b"\x003.13.4\x00", "3.13.4"),
        (b"\x003.13.4+ (heads/main\x00", "3.13.4"),
        (b"\x003.13.0b1 (main\x00", "3.13.0b1"),
        (b"x3.13.4\x00", "3.13"),
        (b"\x003.13.4.5\x00", "3.13"),
        (b"\x003113.4\x00", "3.13"),
        (b"\x00/root/.pyenv/versions/3.13.4\x00EXEC_PREFIX\x00", "3.13.4"),
        (b"\x00/tmp/build/Python-3.13.4\x00./Modules\x00", "3.13.4"),
        (b"\x00/opt/3.13.3\x00/opt/3.13.4\x003.13.2\x00", "3.13.2"),
        (b"\x00/opt/3.13.3\x00/opt/3.13.4\x00", "3.13"),
        (b"\x00/root/3.13.4/lib\x00", "3.13"),
    ],
)
def test_the_patch_level_comes_from_the_binary_at_last(text: bytes, version: str, tmp_path: Path) -> None:
    members = [*debian(), file("usr/local/bin/python3.13", elf(GLIBC_LOADER, rest=text))]
    assert find(tmp_path, members).version == version


ARM_LOADER = "/lib/ld-linux-armhf.so.3"
S390X_LOADER = "/lib/ld64.so.1"
LIBCS: Mapping[str, tuple[list[Member], Libc]] = {
    "glibc": ([file("lib64/ld-linux-x86-64.so.2"), file("lib/libc.so.6", glibc("2.31"))], Libc("glibc", 2, 31)),
    "glibc behind a link": (
        [file("lib/x/libc-2.28.so", glibc("2.28")), link("lib/x/libc.so.6", "libc-2.28.so")],
        Libc("glibc", 2, 28),
    ),
    "glibc of two architectures": (
        [
            file("a/libc.so.6", glibc("2.17")),
            link("lib64", "usr/lib/x86_64-linux-gnu"),
            file("lib64/ld-linux-x86-64.so.2"),
            file("lib64/libc.so.6", glibc("2.36")),
        ],
        GLIBC,
    ),
    "musl 1.2": ([file(MUSL_LOADER[1:], musl("1.2.5"))], Libc("musl", 1, 2)),
    "musl 1.1": ([file(MUSL_LOADER[1:], musl("1.1.24"))], Libc("musl", 1, 1)),
    "musl of git": ([file(MUSL_LOADER[1:], musl("1.2.5_git20240512"))], Libc("musl", 1, 2)),
    "musl behind a link": (
        [link(MUSL_LOADER[1:], "/usr/lib/libc.so"), file("usr/lib/libc.so", musl("1.2.4"))],
        Libc("musl", 1, 2),
    ),
    "musl where glibc is too": (
        [file("usr/glibc/libc.so.6", glibc("2.36")), file(MUSL_LOADER[1:], musl("1.2.4"))],
        Libc("musl", 1, 2),
    ),
}


@pytest.mark.parametrize(("members", "libc"), LIBCS.values(), ids=LIBCS)
def test_the_loader_tells_the_c_library(members: list[Member], libc: Libc, tmp_path: Path) -> None:
    loader = MUSL_LOADER if libc.name == "musl" else GLIBC_LOADER
    assert find(tmp_path, [file("python3.13", elf(loader)), *members], {}, "/python3.13").libc == libc


@pytest.mark.parametrize(
    ("loader", "bits", "order"), [(ARM_LOADER, 32, "<"), (S390X_LOADER, 64, ">"), ("/lib/ld.so.1", 32, ">")]
)
def test_binaries_of_every_kind_name_their_loader(loader: str, bits: int, order: str, tmp_path: Path) -> None:
    members = [file("python3.13", elf(loader, bits=bits, order=order)), file("lib/libc.so.6", glibc("2.35"))]
    assert find(tmp_path, members, {}, "/python3.13").libc == Libc("glibc", 2, 35)
    assert f"({loader})" in failure(tmp_path, members[:1], {}, "/python3.13")
