"""Base layers for tests: file systems as tars, and ELF files that hold just what is looked for in them."""

from __future__ import annotations

import gzip
import io
import struct
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hatch_oci.base.tree import Tree, read_tree
from hatch_oci.image.digest import Digest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Member = tuple[tarfile.TarInfo, bytes]

GLIBC_LOADER = "/lib64/ld-linux-x86-64.so.2"
MUSL_LOADER = "/lib/ld-musl-x86_64.so.1"


def file(name: str, data: bytes = b"", mode: int = 0o755) -> Member:
    """Return a regular file."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = mode
    return info, data


def folder(name: str, mode: int = 0o755) -> Member:
    """Return a folder."""
    return _special(name, tarfile.DIRTYPE, mode=mode)


def link(name: str, target: str) -> Member:
    """Return a symlink."""
    return _special(name, tarfile.SYMTYPE, target)


def hard_link(name: str, target: str) -> Member:
    """Return one more name of a file."""
    return _special(name, tarfile.LNKTYPE, target)


def fifo(name: str) -> Member:
    """Return what is neither a file, nor a folder, nor a link."""
    return _special(name, tarfile.FIFOTYPE)


def whiteout(name: str) -> Member:
    """Return what takes a file away that is in a lower layer."""
    parent, _, own = name.rpartition("/")
    return file(f"{parent}/.wh.{own}" if parent else f".wh.{own}")


def opaque(name: str) -> Member:
    """Return what takes all away that lower layers have in a folder."""
    return file(f"{name}/.wh..wh..opq")


def _special(name: str, kind: bytes, target: str = "", mode: int = 0o777) -> Member:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    info.mode = mode
    return info, b""


def tar_of(members: Sequence[Member], tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar of these members, in their order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format, encoding="utf-8") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def in_pieces(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Return what packs each 700 bytes on their own, so that pieces end within headers and contents."""
    return lambda data: b"".join(pack(data[start : start + 700]) for start in range(0, len(data), 700))


PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip members": in_pieces(gzip.compress),
    "zstd": zstd.compress,
    "zstd frames": in_pieces(zstd.compress),
}


def tree_of(scratch: Path, *layers: Sequence[Member], pack: Callable[[bytes], bytes] = gzip.compress) -> Tree:
    """Return the tree that layers make together, the lowest first."""
    paths: list[Path] = []
    diff_ids = []
    for members in layers:
        data = tar_of(members)
        paths.append(scratch / f"layer-{len(paths)}")
        paths[-1].write_bytes(pack(data))
        diff_ids.append(Digest.of(data))
    return read_tree(paths, diff_ids)


def listing(tree: Tree) -> dict[str, str]:
    """Return the kind of everything in a tree, by its path."""
    return {path: entry.kind for path, entry in tree.walk()}


def elf(loader: str | None, *, bits: int = 64, order: str = "<", rest: bytes = b"") -> bytes:
    """Return an ELF file that asks for `loader`, with `rest` behind its headers."""
    name = (loader or "").encode() + b"\0"
    wide = bits == 64
    size, start = (56, 64) if wide else (32, 52)
    # A PT_LOAD first: the header that matters is not always number one.
    kinds = [1, 3 if loader else 1]
    at = start + size * len(kinds)
    identity = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    word = "Q" if wide else "I"
    head = struct.pack(
        f"{order}HHI{word}{word}{word}IHHHHHH", 3, 62, 1, 0, start, 0, 0, start, size, len(kinds), 64, 0, 0
    )
    segments = b""
    for kind in kinds:
        where = (at, at, at, len(name), len(name))
        if wide:
            segments += struct.pack(f"{order}IIQQQQQQ", kind, 4, *where, 1)
        else:
            segments += struct.pack(f"{order}IIIIIIII", kind, *where, 4, 1)
    return identity + head + segments + name + rest


def glibc(version: str) -> bytes:
    """Return a libc.so.6, as far as it tells its version."""
    text = f"GNU C Library (Debian GLIBC {version}-9+deb12u4) stable release version {version}.\nCopyright (C)"
    return elf(GLIBC_LOADER, rest=b"\0GLIBC_2.2.5\0" + text.encode() + b"\0")


def musl(version: str) -> bytes:
    """Return a musl loader, which is also its C library."""
    return elf(None, rest=b"\0musl libc (x86_64)\0%s\0Dynamic Program Loader\0" % version.encode())


def debian(python: str = "python3.13") -> list[Member]:
    """Return a file system like that of the official Python images: usrmerge, and Python in /usr/local."""
    return [
        folder("usr"),
        link("lib", "usr/lib"),
        link("lib64", "usr/lib64"),
        link("usr/lib64/ld-linux-x86-64.so.2", "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
        file("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", elf(None)),
        file("usr/lib/x86_64-linux-gnu/libc.so.6", glibc("2.36")),
        file(f"usr/local/bin/{python}", elf(GLIBC_LOADER)),
        link("usr/local/bin/python3", python),
        link("usr/local/bin/python", "python3"),
    ]
