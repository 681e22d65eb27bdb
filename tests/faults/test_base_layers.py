"""Layers of a base that nobody packed in earnest."""

from __future__ import annotations

import gzip
import struct
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from demo.base import Layer, digest
from tests.faults.workshop import BASE, LAST, Workshop, base_of, in_pieces, layer_of
from tests.unit.filesystems import PACKERS, Member, fifo, file, folder, hard_link, link, opaque, tar_of, whiteout
from tests.unit.layouts import write_layout

MIB = 1024 * 1024
END = bytes(1024)


def header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, target: str = "") -> bytes:
    """Return a header alone, whatever follows it."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, target
    return info.tobuf(tarfile.GNU_FORMAT)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def pax(body: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    return header("pax", kind, len(body)) + padded(body)


def record(key: bytes, value: bytes) -> bytes:
    """Return a pax record; its length counts itself."""
    tail = b" " + key + b"=" + value + b"\n"
    length = len(tail) + 1
    while len(b"%d" % length) + len(tail) != length:
        length += 1
    return b"%d" % length + tail


def many(members: bytes, count: int) -> bytes:
    """Return a gzip stream of a member so often."""
    return in_pieces((members * 1000, count // 1000), (END, 1))


def sparse() -> bytes:
    """Return an old sparse file of GNU's, whose map goes on and on."""
    first = bytearray(header("holes", tarfile.GNUTYPE_SPARSE))
    first[482] = 1
    first[148:156] = b"%06o\0 " % (sum(first[:148]) + 8 * 0x20 + sum(first[156:]))
    return in_pieces((bytes(first), 1), ((b"00000000001\0" * 42 + b"\1" + bytes(7)) * 1000, 100), (END, 1))


def test_gzip_bomb_in_a_layer(workshop: Workshop) -> None:
    blob = in_pieces((header("zeros", size=2**33), 1), (bytes(MIB), 300), (END, 1))
    refuse(workshop, blob, "unpacks to more than 200 times its size")


def test_zstd_bomb_in_a_layer(workshop: Workshop) -> None:
    blob = PACKERS["zstd"](header("zeros", size=2**33)) + PACKERS["zstd"](bytes(MIB)) * 300 + PACKERS["zstd"](END)
    refuse(workshop, blob, "unpacks to more than 200 times its size")


def test_zstd_window_that_takes_all_memory(workshop: Workshop) -> None:
    # A frame that asks for 128 MiB (RFC 8878, 3.1.1.1.2), and repeats a byte in blocks of 128 KiB.
    blocks = ((1 << 1 | 128 * 1024 << 3).to_bytes(3, "little") + b"n") * 1600
    blob = b"\x28\xb5\x2f\xfd" + bytes([0, (27 - 10) << 3]) + blocks
    refuse(workshop, blob, "too much memory")


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(sparse, "bytes of headers for one member", id="holes without end"),
        pytest.param(
            lambda: many(header("n" * 100, tarfile.SYMTYPE, target="t" * 100), 150_000),
            "more members than any honest ones",
            id="links",
        ),
        pytest.param(
            lambda: many(pax(record(b"path", b"a/" * 2000 + b"f")) + header("f"), 20_000),
            "more members than any honest ones",
            id="long paths",
        ),
    ],
)
def test_bomb_of_headers_in_a_layer(make: Callable[[], bytes], words: str, workshop: Workshop) -> None:
    refuse(workshop, make(), words)


def test_bomb_of_folders_within_folders(workshop: Workshop) -> None:
    """No member stands for them, but unpacking would make them all."""
    paths = (b"%d/" % number + b"a/" * 2000 + b"f" for number in range(200))
    blob = gzip.compress(b"".join(pax(record(b"path", path)) + header("f") for path in paths) + END)
    refuse(workshop, layer_of(blob), "more members than any honest ones")


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("blob", "words"),
    [
        pytest.param(
            in_pieces((header("x", tarfile.XHDTYPE, 60 * MIB), 1), (bytes(MIB), 60), (header("f") + END, 1)),
            "bytes of headers for one member",
            id="huge",
        ),
        pytest.param(
            in_pieces((header("x", tarfile.GNUTYPE_LONGNAME, 60 * MIB), 1), (b"n" * MIB, 60), (header("f") + END, 1)),
            "bytes of headers for one member",
            id="a name of 60 MiB",
        ),
        pytest.param(
            in_pieces((pax(b""), 5000), (header("f") + END, 1)),
            "cannot be unpacked",
            id="one about the other, for ever",
        ),
        pytest.param(
            in_pieces((pax(record(b"comment", b"x" * 1000), tarfile.XGLTYPE), 5000), (header("f") + END, 1)),
            "cannot be unpacked",
            id="for all, without end",
        ),
        pytest.param(
            gzip.compress(pax(record(b"size", b"-512")) + header("f", size=512) + END),
            "cannot be unpacked",
            id="a size below zero",
        ),
        pytest.param(
            gzip.compress(
                pax(record(b"GNU.sparse.map", b"x,y") + record(b"GNU.sparse.size", b"1")) + header("f") + END
            ),
            "cannot be unpacked",
            id="holes that are none",
        ),
        pytest.param(
            gzip.compress(pax(record(b"path", b"n" * 5000)) + header("f") + END),
            "a path of more than 4096 characters",
            id="a path that no system takes",
        ),
        pytest.param(
            gzip.compress(pax(record(b"linkpath", b"n/" * 5000)) + header("f", tarfile.SYMTYPE) + END),
            "a path of more than 4096 characters",
            id="a link that no system takes",
        ),
    ],
)
def test_odd_pax_headers(blob: bytes, words: str, workshop: Workshop) -> None:
    refuse(workshop, blob, words)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "members",
    [
        pytest.param([file("../etc/passwd")], id="a file"),
        pytest.param([file("usr/../../etc/passwd")], id="in the middle"),
        pytest.param([folder("..")], id="a folder"),
        pytest.param([whiteout("../etc/passwd")], id="a whiteout"),
        pytest.param([link("a/../../b", "c")], id="a symlink"),
    ],
)
def test_member_of_a_layer_that_climbs_out(members: list[Member], workshop: Workshop) -> None:
    refuse(workshop, layer_of(gzip.compress(tar_of([*BASE, *members]))), "climbs out")


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(gzip.compress(header("f", size=2**30) + END), id="more than there is"),
        pytest.param(gzip.compress(header("f", size=2**80) + END), id="more than anywhere is"),
        pytest.param(gzip.compress(header("f", size=-1024) + END), id="less than nothing"),
        pytest.param(gzip.compress(tar_of([file("f", bytes(2000))])[:700]), id="a tar that is cut short"),
        pytest.param(gzip.compress(tar_of(BASE))[:-9], id="a gzip stream that is cut short"),
        pytest.param(gzip.compress(tar_of(BASE)) + b"rest", id="what follows a gzip stream"),
        pytest.param(b"\x1f\x8b" + bytes(100), id="no gzip stream"),
        pytest.param(b"\x28\xb5\x2f\xfd" + b"\xff" * 100, id="no zstd frame"),
        pytest.param(b"no tar at all" * 100, id="no tar"),
    ],
)
def test_layer_whose_sizes_lie(blob: bytes, workshop: Workshop) -> None:
    refuse(workshop, blob, "cannot be unpacked")


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(gzip.compress(tar_of(BASE)), id="gzip"),
        pytest.param(
            gzip.compress(tar_of(BASE)[:512]) + gzip.compress(tar_of(BASE)[512:]), id="gzip of several members"
        ),
        pytest.param(PACKERS["zstd"](tar_of(BASE)), id="zstd"),
    ],
)
def test_wrong_diff_id_of_each_compression(blob: bytes, workshop: Workshop) -> None:
    write_layout(workshop.project / "base", [base_of(Layer(blob, digest(b"another")), layer_of(LAST))])
    workshop.inspect("oci:base").check_refusal("unpacks to other bytes than its diff_id")


TWICE = [*BASE, file("usr/local/bin/python3.13", b"another"), *BASE]
LOOPS = [
    link("a", "b"),
    link("b", "a"),
    link("c", "c/c"),
    file("a/x"),
    file("c/c/y"),
    hard_link("d", "d"),
    link("e", "/" * 4000),
]
OUT = [
    link("escape", "../../../.."),
    file("escape/etc/passwd"),
    link("usr/up", "../../../../etc"),
    file("usr/up/shadow"),
]


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "members",
    [
        pytest.param([*BASE, *LOOPS], id="symlinks in circles"),
        pytest.param([*BASE, *OUT], id="symlinks that climb stop at the root"),
        pytest.param(
            [*BASE, link("etc", "/tmp"), file("etc/passwd"), folder("etc"), file("etc/x")], id="link, then folder"
        ),
        pytest.param(TWICE, id="names twice"),
        pytest.param(
            [*BASE, opaque("."), whiteout("usr"), whiteout(""), file(".wh..wh..plnk/1.2")], id="reserved names"
        ),
        pytest.param(
            [*BASE, file("n" * 300), file("\udcff\udcfe"), file("line\nbreak\x1b[2J"), fifo("pipe")], id="odd names"
        ),
        pytest.param(
            [*BASE, file("\\..\\..\\x"), file("C:\\x"), file("con"), file("a/./b//c")], id="names of other systems"
        ),
    ],
)
def test_odd_layers_are_read_as_engines_unpack_them(members: Sequence[Member], workshop: Workshop) -> None:
    """None of it is unpacked here, so that it could lead anywhere; Python is found where an engine has it."""
    before = {path for path in workshop.folder.rglob("*") if "cache" not in path.parts}
    blob = gzip.compress(packed(members))
    write_layout(workshop.project / "base", [base_of(layer_of(blob), layer_of(LAST))])
    done = workshop.inspect("oci:base")
    assert done.code == 0, done.said
    assert "CPython" in done.said
    assert "\x1b" not in done.said
    new = {path for path in workshop.folder.rglob("*") if "cache" not in path.parts} - before
    assert all(path.is_relative_to(workshop.project / "base") for path in new)


def packed(members: Sequence[Member]) -> bytes:
    """Return a tar, also of names that are not UTF-8."""
    headers = [info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + padded(data) for info, data in members]
    return b"".join(headers) + END


def refuse(workshop: Workshop, bad: Layer | bytes, *words: str) -> None:
    """See that an image with this layer is refused, and that nothing was found out about it."""
    # Of mere bytes it is never seen what they unpack to, and so that need not be known.
    layer = Layer(bad, digest(b"anything")) if isinstance(bad, bytes) else bad
    write_layout(workshop.project / "base", [base_of(layer, layer_of(LAST))])
    workshop.inspect("oci:base").check_refusal(*words)
    facts = Path(workshop.cache, "v1", "facts")
    assert not list(facts.glob("contents/*"))
    assert not list(Path(workshop.cache, "v1", "incoming").glob("*"))


def test_header_that_leads_backwards(workshop: Workshop) -> None:
    again = bytearray(header("again"))
    # GNU's binary numbers have a negative half.
    again[124:136] = b"\xff" * 4 + struct.pack(">q", -512)
    again[148:156] = b"%06o\0 " % (sum(again[:148]) + 8 * 0x20 + sum(again[156:]))
    refuse(workshop, gzip.compress(header("first") + bytes(again) + END), "cannot be unpacked")
