"""Tars that are read in place, made with the standard library's tarfile, and then damaged."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_oci.base.tarball import Tarball
from hatch_oci.errors import BaseError
from tests.unit.damaged_tars import Changes, changes, damaged_tar
from tests.unit.filesystems import PACKERS, Member, fifo, file, folder, hard_link, link, tar_of

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
LONG = f"{'f' * 90}/{'n' * 90}"


def written(folder: Path, data: bytes) -> Path:
    path = folder / "archive.tar"
    path.write_bytes(data)
    return path


def opened(folder: Path, data: bytes) -> Tarball:
    return Tarball(written(folder, data), "it")


def content(tarball: Tarball, path: str) -> bytes:
    return b"".join(tarball.read(path, 10_000))


def refusal(folder: Path, data: bytes) -> str:
    with pytest.raises(BaseError) as caught:
        opened(folder, data)
    return str(caught.value)


@pytest.mark.parametrize("tar_format", FORMATS)
def test_files_are_found_whatever_the_tar_is_like(tar_format: int, tmp_path: Path) -> None:
    files = {"a": b"", "./b": b"x" * 512, "c/d": b"y" * 513, f"c/{LONG}": b"long", "c/é": b"accent"}
    data = tar_of([folder("c/"), *(file(name, data) for name, data in files.items())], tar_format)
    tarball = opened(tmp_path, data)
    assert {name: content(tarball, name.removeprefix("./")) for name in files} == files
    assert [tarball.size(name) for name in ("a", "b", "c/d", "c", "nothing")] == [0, 512, 513, 0, 0]
    assert ("c" in tarball, "nothing" in tarball, "" in tarball) == (False, False, False)


def test_no_more_is_read_than_one_byte_too_many(tmp_path: Path) -> None:
    assert b"".join(opened(tmp_path, tar_of([file("a", b"0123456789")])).read("a", 3)) == b"0123"


@pytest.mark.parametrize("tar_format", FORMATS)
def test_links_lead_to_files(tar_format: int, tmp_path: Path) -> None:
    entries = [file("a/one", b"1"), link("b/two", "../a/one"), hard_link("b/three", "a/one"), link("b/four", "two")]
    entries += [link("b/nowhere", "gone"), link("b/itself", "itself")]
    tarball = opened(tmp_path, tar_of(entries, tar_format))
    assert [content(tarball, path) for path in ("b/two", "b/three", "b/four")] == [b"1"] * 3
    assert [tarball.resolve(path) for path in ("b/two", "b/three", "b/four")] == ["a/one"] * 3
    for path in ("b/nowhere", "b/itself"):
        assert path not in tarball
        with pytest.raises(BaseError, match=f"it: '{path}' is missing in the archive; is it cut short"):
            content(tarball, path)


@pytest.mark.parametrize("tar_format", FORMATS[1:])
def test_a_link_may_have_a_long_target(tar_format: int, tmp_path: Path) -> None:
    tarball = opened(tmp_path, tar_of([file(LONG, b"5"), link("long", LONG), hard_link("hard", LONG)], tar_format))
    assert content(tarball, "long") == content(tarball, "hard") == b"5"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([file("../a")], "the archive has a member outside of itself: '../a'"),
        ([file("a/../../b")], "the archive has a member outside of itself: 'a/../../b'"),
        ([file("/etc/passwd")], "the archive has a member outside of itself: '/etc/passwd'"),
        ([folder("..")], "the archive has a member outside of itself: '../'"),
        ([file("a"), file("a")], "the archive has two files by the name 'a'"),
        ([file("a"), file("./a")], "the archive has two files by the name 'a'"),
        ([file("a"), link("a", "b")], "the archive has two files by the name 'a'"),
        ([link("a/b", "../../etc")], "'a/b' in the archive is a link that leads out of it: '../../etc'"),
        ([link("a", "/etc/passwd")], "'a' in the archive is a link that leads out of it: '/etc/passwd'"),
        ([hard_link("a/b", "../c")], "'a/b' in the archive is a link that leads out of it: '../c'"),
        ([fifo("a")], "'a' is neither a file, a folder nor a link"),
    ],
)
def test_what_no_image_archive_holds_is_refused(entries: list[Member], message: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, tar_of(entries)) == f"it: {message}"


def test_a_folder_may_come_twice(tmp_path: Path) -> None:
    assert "a/b" in opened(tmp_path, tar_of([folder("a"), folder("a"), file("a/b")]))


@pytest.mark.parametrize(
    ("data", "compression"),
    [
        (gzip.compress(b"x"), "gzip"),
        (PACKERS["zstd"](b"x"), "zstd"),
        (bz2.compress(b"x"), "bzip2"),
        (lzma.compress(b"x"), "xz"),
    ],
    ids=["gzip", "zstd", "bzip2", "xz"],
)
def test_a_packed_archive_is_to_be_unpacked_first(data: bytes, compression: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, data) == (
        f"it: compressed with {compression}, which cannot be read in place: unpack it to a plain tar first"
    )


@pytest.mark.parametrize("data", [b"", b"<html>" * 200, b"short", bytes(511)], ids=["empty", "html", "short", "zeros"])
def test_what_is_no_tar_is_refused(data: bytes, tmp_path: Path) -> None:
    assert refusal(tmp_path, data) == "it: not a tar"


@pytest.mark.parametrize("length", [1, 511, 512, 1000, 1024, 1536, 2000, 2560])
def test_an_archive_that_is_cut_short_is_refused_wherever_it_is_cut(length: int, tmp_path: Path) -> None:
    whole = tar_of([file("a", b"x" * 600), file("b", b"y" * 600)])
    assert refusal(tmp_path, whole[:length]) in (
        "it: not a tar",
        "it: the archive is cut short",
        "it: the archive is damaged, or cut short",
    )


def test_a_file_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(BaseError) as caught:
        Tarball(tmp_path / "none.tar", "it")
    assert str(caught.value) == f"it: cannot read {tmp_path / 'none.tar'}: No such file or directory"


@pytest.mark.parametrize("size", [-1, -512, 2**40, 2**80])
def test_a_size_that_cannot_be_is_refused_at_once(size: int, tmp_path: Path) -> None:
    info = tarfile.TarInfo("a")
    info.size = size
    assert refusal(tmp_path, info.tobuf(tarfile.GNU_FORMAT) + bytes(2048)) in (
        "it: the archive is cut short",
        "it: the archive has a number that is none",
    )


@pytest.mark.parametrize("kind", [b"L", b"K", b"x"])
def test_a_name_that_takes_gigabytes_is_refused(kind: bytes, tmp_path: Path) -> None:
    info = tarfile.TarInfo("a")
    info.type, info.size = kind, 8 * 1024**3
    path = written(tmp_path, info.tobuf(tarfile.GNU_FORMAT))
    with path.open("r+b") as sparse:
        sparse.truncate(9 * 1024**3)
    with pytest.raises(BaseError, match="a name in the archive takes more than 65536 bytes"):
        Tarball(path, "it")


def test_endless_members_are_refused(tmp_path: Path) -> None:
    one = tarfile.TarInfo("a").tobuf()
    extension = tarfile.TarInfo("x")
    extension.type = tarfile.XGLTYPE
    assert "has more than 20000 members" in refusal(tmp_path, extension.tobuf() * 20_001 + one)


@pytest.mark.parametrize(
    "record", [b"99 path=a\n", b"x path=a\n", b"0 path=a\n", b"path", b"3 =", b"9999999 path=a\n", b"-8 path=a\n"]
)
def test_a_damaged_pax_header_is_refused(record: bytes, tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, len(record)
    data = info.tobuf() + record.ljust(512, b"\0") + tarfile.TarInfo("a").tobuf() + bytes(1024)
    assert refusal(tmp_path, data) == "it: the archive has a damaged pax header"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"GNU.sparse.major": "1"}, "the archive holds sparse files: pack it without them"),
        ({"size": "-5"}, "'-5' is no size"),
        ({"size": "٣"}, "'٣' is no size"),
        ({"size": "9" * 18}, "the archive is cut short"),
        ({"path": "../a"}, "the archive has a member outside of itself: '../a'"),
    ],
)
def test_a_pax_header_does_not_deceive(headers: dict[str, str], message: str, tmp_path: Path) -> None:
    info = tarfile.TarInfo("a")
    info.pax_headers = headers
    data = info.tobuf(tarfile.PAX_FORMAT) + bytes(1024)
    assert refusal(tmp_path, data) == f"it: {message}"


def test_a_pax_header_may_say_more_than_what_is_read(tmp_path: Path) -> None:
    info, data = file("a", b"x")
    info.pax_headers = {"SCHILY.xattr.user.x": "\udcff\udcfe", "mtime": "1.5", "comment": "c"}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "all"}) as tar:
        tar.errors = "surrogateescape"
        tar.addfile(info, io.BytesIO(data))
    assert content(opened(tmp_path, buffer.getvalue()), "a") == b"x"


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    data = tarfile.TarInfo("\udcff").tobuf(tarfile.GNU_FORMAT, errors="surrogateescape") + bytes(1024)
    assert refusal(tmp_path, data) == "it: a name in the archive is not UTF-8: b'\\xff" + "\\x00" * 59 + "'"


names = st.lists(st.text("ab.é-_ ", min_size=1, max_size=60), min_size=1, max_size=5).map("/".join)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tarballs")


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(names, st.binary(max_size=1100), max_size=6), st.sampled_from(FORMATS[1:]))
def test_what_tarfile_packs_is_read_as_tarfile_reads_it(
    scratch: Path, files: dict[str, bytes], tar_format: int
) -> None:
    path = written(scratch, tar_of([file(name, data) for name, data in files.items()], tar_format))
    try:
        tarball = Tarball(path, "it")
    except BaseError as error:
        assert "outside of itself" in str(error) or "two files by the name" in str(error)  # noqa: PT017
        return
    with tarfile.open(path) as tar:
        for member in tar:
            extracted = tar.extractfile(member)
            assert extracted is not None
            own = "/".join(part for part in member.name.split("/") if part != ".")
            if own:
                assert content(tarball, own) == extracted.read()


SPECIMENS = [
    tar_of([folder("a"), file("a/b", b"x" * 600), link("a/c", "b"), hard_link("d", "a/b"), file(LONG, b"l")], each)
    for each in FORMATS
]


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(SPECIMENS), changes, st.booleans())
def test_any_damage_is_one_clear_error_or_harmless(
    scratch: Path, specimen: bytes, places: Changes, right_checksums: bool
) -> None:
    raw = damaged_tar(specimen, places, right_checksums)
    try:
        tarball = opened(scratch, raw)
        for path in ("a/b", "a/c", "d", LONG):
            assert len(content(tarball, path)) == tarball.size(path)
    except BaseError as error:
        assert str(error).startswith("it: ")  # noqa: PT017
        assert str(error).isprintable()  # noqa: PT017
