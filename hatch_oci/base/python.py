"""Which Python and which C library a base holds, found without running anything of it."""

from __future__ import annotations

import posixpath
import re
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from packaging.tags import Tag, compatible_tags, cpython_tags

from hatch_oci.errors import BaseError
from hatch_oci.image.document import printable
from hatch_oci.image.platform import Platform

if TYPE_CHECKING:
    from hatch_oci.base.tree import Tree

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# No longer numbers than there may be: there are tags for each version below, and Python reads no number of 5000 digits.
_BINARY = re.compile(r"python(\d{1,2})\.(\d{1,2})(t?)")
_PATCH = r"\.\d{1,3}(?:(?:a|b|rc)\d{1,3})?"
_VERSION = re.compile(rf"(\d{{1,2}}\.\d{{1,2}}{_PATCH})\+?")
_HEAD = 64 * 1024
_LIBRARY = 64 * 1024 * 1024
_MAX_LIBRARIES = 8
"""Of one name, that are searched: a base has one for each architecture and each copy of Python."""

_PT_INTERP = 3

# What wheels call an architecture, and the oldest glibc that a manylinux tag names for it.
_MACHINES = {
    "amd64": ("x86_64", 5),
    "386": ("i686", 5),
    "arm64": ("aarch64", 17),
    "arm": ("armv7l", 17),
    "ppc64le": ("ppc64le", 17),
    "s390x": ("s390x", 17),
    "riscv64": ("riscv64", 31),
    "loong64": ("loongarch64", 36),
}
_OLD_ARMS = {"v5": "armv5tel", "v6": "armv6l"}
_LEGACY_MANYLINUX = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}


class Libc(NamedTuple):
    """A C library: `glibc` or `musl`, and its version."""

    name: str
    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.name} {self.major}.{self.minor}"


class Python(NamedTuple):
    """The interpreter of a base."""

    executable: str
    """The real path of the binary in the image, all symlinks followed."""

    version: str
    """Release and patch level, e.g. `3.13.1` or `3.15.0rc1`; the release alone where the patch level is not known."""

    free_threaded: bool
    libc: Libc

    def __str__(self) -> str:
        return f"CPython {self.full_version} with {self.libc}"

    @property
    def full_version(self) -> str:
        """The version for people, with a `t` behind it where threads run free."""
        unknown = ".?" if self.version.count(".") == 1 else ""
        return f"{self.version}{unknown}{'t' if self.free_threaded else ''}"

    @property
    def minor(self) -> tuple[int, int]:
        """Major and minor version."""
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)

    @property
    def binary_name(self) -> str:
        """The name with the minor version, which also names its folder in `lib`."""
        return f"python{self.minor[0]}.{self.minor[1]}{'t' if self.free_threaded else ''}"

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        libc = {"name": self.libc.name, "major": self.libc.major, "minor": self.libc.minor}
        names = {"executable": self.executable, "version": self.version}
        return names | {"free_threaded": self.free_threaded, "libc": libc}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Python:
        """Return what `to_json` wrote down."""
        return cls(**{**value, "libc": Libc(**value["libc"])})


def find_python(tree: Tree, env: Mapping[str, str], chosen: str | None, libc: Libc | None) -> Python:
    """Find the Python that `python3` on the configured PATH leads to, or the one at `chosen`.

    `libc` is taken as given where there is one. A `BaseError` says where was looked, or what could not be told.
    """
    folders = [folder for folder in env.get("PATH", _DEFAULT_PATH).split(":") if folder]
    candidates = [f"{folder}/{name}" for name in ("python3", "python") for folder in folders]
    found = [tree.find(path) for path in ([chosen] if chosen else candidates)]
    files = [real[0] for real in found if real and real[1].kind == "file"]
    if not files and chosen:
        message = f"there is no file {chosen}; correct `python`"
        raise BaseError(message)
    if not files:
        message = (
            f"no Python found on PATH (looked in {printable(', '.join(folders), 400)}): "
            'set python = "/path/to/python3.X" or choose another base-image; '
            "wheel = false is for an image without Python"
        )
        raise BaseError(message)
    executable = files[0]
    match = _BINARY.fullmatch(posixpath.basename(executable))
    if match is None:
        message = (
            f"{printable(executable, 200)} does not tell by its name which CPython it is: "
            'set python = "/path/to/python3.X"'
        )
        raise BaseError(message)
    release = f"{match[1]}.{match[2]}"
    version = _patch_version(tree, env, executable, release, match[3]) or release
    return Python(executable, version, bool(match[3]), libc or _find_libc(tree, executable))


def supported_tags(python: Python, platform: Platform) -> list[Tag]:
    """Return the tags of the wheels that run there, the most specific first."""
    abis = [f"cp{python.minor[0]}{python.minor[1]}{'t' if python.free_threaded else ''}"]
    platforms = _platform_tags(python.libc, platform)
    interpreter = f"cp{python.minor[0]}{python.minor[1]}"
    return [
        *cpython_tags(python.minor, abis, platforms),
        *compatible_tags(python.minor, interpreter, platforms),
    ]


def machine_name(platform: Platform) -> str:
    """Return what wheels, and Python's `platform.machine()`, call a platform's architecture."""
    if platform.architecture == "arm" and platform.variant in _OLD_ARMS:
        return _OLD_ARMS[platform.variant]
    return _MACHINES.get(platform.architecture, (platform.architecture, 0))[0]


def _platform_tags(libc: Libc, platform: Platform) -> list[str]:
    machine = machine_name(platform)
    oldest = _MACHINES.get(platform.architecture, ("", 17))[1]
    tags = []
    if machine in _OLD_ARMS.values() and libc.name == "glibc":
        # No manylinux is for them.
        oldest = libc.minor + 1
    if libc.name == "musl":
        tags = [f"musllinux_{libc.major}_{minor}_{machine}" for minor in range(libc.minor, -1, -1)]
    else:
        for minor in range(libc.minor, oldest - 1, -1):
            tags.append(f"manylinux_{libc.major}_{minor}_{machine}")
            if minor in _LEGACY_MANYLINUX and machine in _legacy_machines(minor):
                tags.append(f"{_LEGACY_MANYLINUX[minor]}_{machine}")
    return [*tags, f"linux_{machine}"]


def _legacy_machines(minor: int) -> Sequence[str]:
    x86 = ("x86_64", "i686")
    return (*x86, "aarch64", "armv7l", "ppc64le", "s390x") if minor == 17 else x86


def _patch_version(tree: Tree, env: Mapping[str, str], executable: str, release: str, threading: str) -> str | None:
    """Return the full version from the environment, the headers, or the library's own version string."""
    told = _VERSION.fullmatch(env.get("PYTHON_VERSION", ""))
    if told and told[1].startswith(f"{release}."):
        return told[1]
    prefix = posixpath.dirname(posixpath.dirname(executable))
    header = f"{prefix}/include/python{release}{threading}/patchlevel.h"
    text = tree.read([header], _HEAD).get(header, b"").decode("ascii", "replace")
    match = re.search(r'^#define\s+PY_VERSION\s+"([^"]+)"', text, re.MULTILINE)
    if match and (version := _VERSION.fullmatch(match[1])):
        return version[1]
    library = f"libpython{release}{threading}.so.1.0"
    found = [path for path, entry in tree.walk() if entry.kind == "file" and path.endswith(f"/{library}")]
    paths = [executable, *found[:_MAX_LIBRARIES]]
    versions = {path: _own_version(data, release) for path, data in tree.each(paths, _LIBRARY)}
    return next(filter(None, map(versions.get, paths)), None)


def _own_version(data: bytes, release: str) -> str | None:
    """Return the version string of a binary; None without one, or with several."""
    # Linkers let a string share its bytes with the end of a longer one: the prefix, or the folder of the sources.
    for before in (rb"\x00", rb"[/-]"):
        pattern = rb"(?<=" + before + rb")(" + (re.escape(release) + _PATCH).encode() + rb")\+?(?: \(|\x00)"
        if len(found := set(re.findall(pattern, data))) == 1:
            return str(found.pop().decode())
    return None


def _find_libc(tree: Tree, executable: str) -> Libc:
    loader = _interpreter(tree.read([executable], _HEAD).get(executable, b""))
    if loader is None:
        message = (
            f"{printable(executable, 200)} names no loader that would tell its C library: "
            'set libc = "glibc 2.X" or "musl 1.X"'
        )
        raise BaseError(message)
    is_musl = "ld-musl" in loader
    real = tree.find(loader)
    if is_musl:
        paths = [real[0]] if real else []
        pattern = re.compile(rb"\x00(1)\.(\d{1,2})\.\d+(?:[-_][^\x00]*)?\x00")
    else:
        paths = [path for path, entry in tree.walk() if path.endswith("/libc.so.6")]
        # A base may hold libraries for more than one architecture: the loader's own folder comes first.
        beside = f"{posixpath.dirname(real[0])}/libc.so.6" if real else ""
        paths.sort(key=lambda path: (path != beside, len(path), path))
        pattern = re.compile(rb"release version (\d{1,2})\.(\d{1,2})(?!\d)")
    matches = ((path, pattern.search(data)) for path, data in tree.each(paths[:_MAX_LIBRARIES], _LIBRARY))
    versions = {path: match and (int(match[1]), int(match[2])) for path, match in matches}
    for path in paths:
        if version := versions.get(path):
            return Libc("musl" if is_musl else "glibc", *version)
    looked_for = f"no C library was found for {printable(executable, 200)} ({printable(loader)})"
    message = f'{looked_for}: set libc = "glibc 2.X" or "musl 1.X"'
    raise BaseError(message)


def _interpreter(head: bytes) -> str | None:
    """Return the loader that an ELF binary asks for (System V ABI, "Program Header", PT_INTERP)."""
    if head[:4] != b"\x7fELF" or len(head) < 64:
        return None
    order = ">" if head[5] == 2 else "<"
    wide = head[4] == 2
    start, size, count = (
        struct.unpack_from(order + field, head, offset)[0]
        for field, offset in ((("Q", 32), ("H", 54), ("H", 56)) if wide else (("I", 28), ("H", 42), ("H", 44)))
    )
    for number in range(count):
        header = start + number * size
        if header + size > len(head) or size < (56 if wide else 32):
            return None
        if struct.unpack_from(order + "I", head, header)[0] == _PT_INTERP:
            offset, length = (
                struct.unpack_from(order + ("Q" if wide else "I"), head, header + at)[0]
                for at in ((8, 32) if wide else (4, 16))
            )
            return head[offset : offset + length].rstrip(b"\x00").decode("ascii", "replace") or None
    return None
