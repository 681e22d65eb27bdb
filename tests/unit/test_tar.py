from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_oci.layers import tar
from hatch_oci.layers.entry import Entry, Kind, file_entry, folder_entry, link_entry
from tests.e2e.requirements import require

TOOLS = ("tar", "bsdtar")
UTF8 = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}

NAMES = {
    "short": "a",
    "100 characters": "x" * 49 + "/" + "y" * 50,
    "101 characters": "x" * 50 + "/" + "y" * 50,
    "101 in one part": "z" * 101,
    "a prefix of 155": "p" * 77 + "/" + "q" * 77 + "/" + "n" * 100,
    "a prefix of 156": "p" * 78 + "/" + "q" * 77 + "/" + "n" * 100,
    "a name of 101 behind a prefix": "p" * 40 + "/" + "n" * 101,
    "256 characters": "d" * 127 + "/" + "e" * 27 + "/" + "f" * 100,
    "257 characters": "d" * 127 + "/" + "e" * 27 + "/" + "f" * 101,
    "deep": "/".join("abcdefghij" * 12),
    "not ASCII": "größe/ﬁle/日本/🐍",
    "long and not ASCII": "é" * 120 + "/" + "ü" * 120,
    "99 and one that is not ASCII": "k" * 99 + "é",
    "a newline": "line\nbreak/new\n",
    "quotes": 'it\'s "quoted"/\\back',
    "spaces": " lead/trail ",
    "a dash": "-rf/--help",
    "an equals sign": "path=x/12 path=y",
}

LINKS = {
    "short": "target",
    "absolute": "/usr/bin/python3.13",
    "up": "../../x",
    "100 characters": "l" * 49 + "/" + "m" * 50,
    "101 characters": "l" * 50 + "/" + "m" * 50,
    "not ASCII": "ziel/ü",
    "4000 characters": "/".join(["t" * 99] * 40),
}


def packed(entries: Iterable[Entry]) -> bytes:
    pieces = []
    for entry in entries:
        pieces += [tar.header(entry), *(entry.content() if entry.content else ()), tar.padding(entry.size)]
    return b"".join(pieces) + tar.END


def unpacked(tool: str, archive: bytes, folder: Path) -> dict[str, tuple[int, bytes | str | None]]:
    """Return what a tool makes of an archive: modes, and contents of files or targets of links."""
    folder.mkdir()
    done = subprocess.run([tool, "-xpf", "-", "-C", folder], input=archive, capture_output=True, env=UTF8, check=True)
    assert done.stderr == b""
    found: dict[str, tuple[int, bytes | str | None]] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = (0o777, str(path.readlink()))
        else:
            status = path.stat()
            assert status.st_mtime == tar.MTIME
            found[name] = (status.st_mode & 0o7777, path.read_bytes() if path.is_file() else None)
    return found


def with_parents(entry: Entry) -> list[Entry]:
    parts = entry.path.split("/")
    return [*(folder_entry("/".join(parts[:depth])) for depth in range(1, len(parts))), entry]


@pytest.mark.parametrize("tool", TOOLS)
def test_every_name_is_unpacked_as_it_was(tool: str, tmp_path: Path) -> None:
    require(tool)
    entries: dict[str, Entry] = {}
    for number, name in enumerate(NAMES.values()):
        for kind in (file_entry(f"{number}/{name}", b"content"), folder_entry(f"{number}f/{name}", 0o750)):
            entries |= {entry.path: entry for entry in with_parents(kind)}
    expected: dict[str, tuple[int, bytes | str | None]] = {
        path: (entry.mode, b"content" if entry.kind is Kind.FILE else None) for path, entry in entries.items()
    }
    assert unpacked(tool, packed(entries.values()), tmp_path / tool) == expected


@pytest.mark.parametrize("tool", TOOLS)
def test_every_link_is_unpacked_as_it_was(tool: str, tmp_path: Path) -> None:
    require(tool)
    links = [link_entry(f"link{number}", target) for number, target in enumerate(LINKS.values())]
    expected = {entry.path: (0o777, entry.link) for entry in links}
    assert unpacked(tool, packed(links), tmp_path / tool) == expected


@pytest.mark.parametrize("tool", TOOLS)
def test_modes_sizes_and_contents_survive(tool: str, tmp_path: Path) -> None:
    require(tool)
    sizes = [0, 1, 511, 512, 513, 1024, 10239, 10240]
    files = [file_entry(f"{size}", bytes(size % 251 for _ in range(size)), 0o600 + size % 8) for size in sizes]
    found = unpacked(tool, packed([*files, file_entry("set", b"", 0o6755)]), tmp_path / tool)
    assert {name: len(data or b"") for name, (_, data) in found.items()} == {"set": 0} | {
        str(size): size for size in sizes
    }
    assert {found[str(size)][0] for size in sizes} <= set(range(0o600, 0o610))
    assert [found[entry.path][0] for entry in files] == [entry.mode for entry in files]
    assert found["set"][0] == 0o6755


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("kind", [Kind.FILE, Kind.FOLDER])
def test_python_reads_every_name(kind: Kind, name: str) -> None:
    info = read_back(Entry(name, kind, 0o755))
    assert (info.name, info.type, info.mode) == (name, kind.value, 0o755)


@pytest.mark.parametrize("name", ["short", "100 characters", "101 characters", "a prefix of 155", "256 characters"])
def test_a_name_that_fits_needs_no_pax_record(name: str) -> None:
    assert len(tar.header(file_entry(NAMES[name], b""))) == tar.BLOCK


def test_fields_are_posix_ones() -> None:
    header = tar.header(file_entry("a", b"12345", 0o755))
    assert header[257:265] == b"ustar\x0000"
    assert (header[265:297], header[297:329]) == (bytes(32), bytes(32)), "no names of user and group"
    assert (header[100:108], header[124:136], header[136:148]) == (b"0000755\0", b"00000000005\0", b"02263523000\0")
    assert int(header[148:154], 8) == sum(header[:148]) + sum(header[156:]) + 8 * 0x20
    assert header[154:156] == b"\0 "


BIG = {
    "size": (8 * 1024**3, 0, 0),
    "largest octal": (8 * 1024**3 - 1, 2097151, 2097151),
    "uid": (3, 2097152, 5),
    "gid": (3, 5, 999999999),
    "all": (8 * 1024**3, 2097152, 2097153),
}


@pytest.mark.parametrize(("size", "uid", "gid"), BIG.values(), ids=BIG)
@pytest.mark.parametrize("tool", [*TOOLS, "tarfile"])
def test_numbers_beyond_octal_digits_are_read(tool: str, size: int, uid: int, gid: int, tmp_path: Path) -> None:
    path = tmp_path / "big.tar"
    with path.open("wb") as file:
        file.write(tar.header(Entry("big", Kind.FILE, 0o644, size, uid=uid, gid=gid)))
        # A hole on disk: nobody writes 8 GiB here.
        file.seek(size + len(tar.padding(size)), io.SEEK_CUR)
        file.write(tar.header(file_entry("last", b"")) + tar.END)
    if tool == "tarfile":
        with tarfile.open(path) as archive:
            found = [(info.name, info.size, info.uid, info.gid) for info in archive]
    else:
        require(tool)
        done = subprocess.run(
            [tool, "--numeric-owner", "-tvf", path], capture_output=True, text=True, env=UTF8, check=True
        )
        lines = [line.replace("/", " ").split() for line in done.stdout.splitlines()]
        first = 1 if tool == "tar" else 2
        found = [(line[-1], int(line[first + 2]), int(line[first]), int(line[first + 1])) for line in lines]
    assert found == [("big", size, uid, gid), ("last", 0, 0, 0)]


def test_numbers_that_fit_need_no_pax_record() -> None:
    size, uid, gid = BIG["largest octal"]
    assert len(tar.header(Entry("big", Kind.FILE, 0o644, size, uid=uid, gid=gid))) == tar.BLOCK


@pytest.mark.parametrize(("size", "expected"), [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511)])
def test_padding_fills_blocks(size: int, expected: int) -> None:
    assert tar.padding(size) == bytes(expected)


def test_pax_records_count_their_own_length() -> None:
    # Around 97 and 996 characters the length gets a digit more, which makes it longer again.
    for count in (*range(80, 110), *range(980, 1010), *range(9975, 10005)):
        assert read_back(link_entry("a", "ü" + "x" * count)).linkname == "ü" + "x" * count


def read_back(entry: Entry) -> tarfile.TarInfo:
    with tarfile.open(fileobj=io.BytesIO(packed([entry, file_entry("end", b"")])), encoding="utf-8") as archive:
        found, end = archive.getmembers()
    assert end.name == "end"
    assert found.mtime == tar.MTIME
    return found


parts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=60)
names = st.lists(parts.filter(lambda part: part not in {".", ".."}), min_size=1, max_size=8).map("/".join)


@settings(deadline=None)
@given(
    path=names,
    link=names,
    kind=st.sampled_from(Kind),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**31),
    gid=st.integers(0, 2**31),
)
def test_any_entry_comes_back_from_tarfile(path: str, link: str, kind: Kind, mode: int, uid: int, gid: int) -> None:
    link = link if kind is Kind.LINK else ""
    info = read_back(Entry(path, kind, mode, 0, link, uid, gid))
    assert (info.name, info.linkname, info.type) == (path, link, kind.value)
    assert (info.mode, info.uid, info.gid, info.uname, info.gname) == (mode, uid, gid, "", "")
