from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_oci.base.archive import members_of, open_layer
from hatch_oci.base.tree import read_tree
from hatch_oci.errors import ContentError, OCIError
from hatch_oci.image.digest import Digest
from tests.unit.damaged_tars import Changes, changes, damaged_tar
from tests.unit.filesystems import PACKERS, file, folder, hard_link, link, tar_of

# Content that does not get much smaller, so that a cut falls into it.
NOISE = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(200))
MEMBERS = [folder("etc"), file("etc/name", b"content"), link("etc/link", "name"), file("noise", NOISE), file("last")]
TAR = tar_of(MEMBERS)


def names(path: Path, diff_id: Digest | None = None) -> list[str]:
    with open_layer(path, diff_id) as tar:
        return [info.name for info in tar]


def written(folder: Path, data: bytes) -> Path:
    path = folder / "layer"
    path.write_bytes(data)
    return path


def refusal(path: Path, diff_id: Digest | None) -> str:
    with pytest.raises(ContentError) as error:
        names(path, diff_id)
    return str(error.value)


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
@pytest.mark.parametrize("algorithm", ["sha256", "sha512", None])
def test_every_compression_is_read_to_its_end(
    pack: Callable[[bytes], bytes], algorithm: str | None, tmp_path: Path
) -> None:
    diff_id = Digest(algorithm, hashlib.new(algorithm, TAR).hexdigest()) if algorithm else None
    assert names(written(tmp_path, pack(TAR)), diff_id) == ["etc", "etc/name", "etc/link", "noise", "last"]


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_content_is_read_out_of_every_compression(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    with open_layer(written(tmp_path, pack(TAR)), Digest.of(TAR)) as tar:
        found = {info.name: stream.read() for info in tar if info.isreg() and (stream := tar.extractfile(info))}
    assert found == {"etc/name": b"content", "noise": NOISE, "last": b""}


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_form_of_tar_is_read(tar_format: int, tmp_path: Path) -> None:
    long = "d" * 90 + "/" + "e" * 90
    data = tar_of([file(long, b"x"), hard_link("l", long[:90]), file("grün")], tar_format)
    assert names(written(tmp_path, data), Digest.of(data)) == [long, "l", "grün"]


@pytest.mark.parametrize(
    "data",
    [
        bytes(1024),
        gzip.compress(bytes(1024)),
        TAR + bytes(20_000),
        TAR + b"what stands behind the end",
        gzip.compress(TAR) + bytes(100),
        TAR.rstrip(b"\0") + bytes(-len(TAR.rstrip(b"\0")) % 512),
    ],
    ids=["empty", "empty, gzip", "more zeros", "more behind it", "zeros behind gzip", "no end"],
)
def test_odd_but_whole_layers_are_read(data: bytes, tmp_path: Path) -> None:
    plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    names(written(tmp_path, data), Digest.of(plain))


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_another_diff_id_is_refused(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    diff_id = Digest.of(b"another")
    assert refusal(written(tmp_path, pack(TAR)), diff_id) == (
        f"the layer layer of the base unpacks to other bytes than its diff_id {diff_id} says"
    )


def test_a_diff_id_is_of_all_bytes_though_the_tar_ends_before(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(TAR + b"hidden"))
    assert "unpacks to other bytes" in refusal(path, Digest.of(TAR))
    assert names(path, Digest.of(TAR + b"hidden"))


def test_a_diff_id_is_checked_though_nobody_reads_on(tmp_path: Path) -> None:
    with pytest.raises(ContentError), open_layer(written(tmp_path, TAR), Digest.of(b"")) as tar:
        assert tar.next() is not None


@pytest.mark.parametrize("pack", [name for name in PACKERS if name != "plain"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_what_is_cut_short_is_refused(pack: str, keep: float, tmp_path: Path) -> None:
    data = PACKERS[pack](TAR)
    message = refusal(written(tmp_path, data[: int(len(data) * keep)]), Digest.of(TAR))
    assert message.startswith("the layer layer of the base ")


# Each has a name: one made of the bytes would hold gzip's date, and pytest-xdist's workers must collect the same tests.
NO_LAYERS = {
    "nothing": b"",
    "gzip's magic": b"\x1f\x8b",
    "text": b"not a tar at all",
    "html": b"<html>sign in</html>" * 100,
    "gzip of text": gzip.compress(b"not a tar at all"),
    "gzip's checksum": gzip.compress(TAR)[:-8] + bytes(8),
    "text behind gzip": gzip.compress(TAR) + b"behind",
    "gzip's header": b"\x1f\x8b\x08\0" + b"\xff" * 600,
    "zstd's checksum": PACKERS["zstd"](TAR)[:-4] + b"\xff" * 4 + b"x",
    "zstd's header": b"\x28\xb5\x2f\xfd" + b"\xff" * 600,
    "zlib": zlib.compress(TAR),
    "bzip2": b"BZh91AY&SY" + bytes(600),
}


@pytest.mark.parametrize("data", NO_LAYERS.values(), ids=NO_LAYERS)
def test_what_is_no_layer_is_refused(data: bytes, tmp_path: Path) -> None:
    message = refusal(written(tmp_path, data), Digest.of(TAR))
    assert message.startswith("the layer layer of the base cannot be unpacked: ")


@pytest.mark.parametrize(
    "headers",
    [
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"},
        {"GNU.sparse.map": "0,x", "GNU.sparse.size": "5"},
    ],
)
def test_a_map_of_holes_that_makes_no_sense_is_refused(headers: dict[str, str], tmp_path: Path) -> None:
    info, data = file("a", b"no map of holes" * 40)
    info.pax_headers = headers
    raw = tar_of([file("before"), (info, data)])
    assert refusal(written(tmp_path, raw), Digest.of(raw)).startswith(
        "the layer layer of the base cannot be unpacked: "
    )


@pytest.mark.parametrize("packer", ["gzip", "zstd"])
def test_a_bomb_is_not_unpacked(packer: str, tmp_path: Path) -> None:
    pack = PACKERS[packer]
    info = tarfile.TarInfo("zeros")
    info.size = 300 * 1024 * 1024
    data = pack(info.tobuf()) + pack(bytes(1024 * 1024)) * 300
    message = refusal(written(tmp_path, data), None)
    assert message == "a layer of the base unpacks to more than 200 times its size"


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
@pytest.mark.parametrize("mebibytes", [2, 200])
def test_a_header_is_not_read_whatever_its_length(kind: bytes, mebibytes: int, tmp_path: Path) -> None:
    info = tarfile.TarInfo("name")
    info.type, info.size = kind, mebibytes * 1024 * 1024
    pack = PACKERS["gzip"]
    path = written(tmp_path, pack(info.tobuf()) + pack(bytes(1024 * 1024)) * mebibytes + pack(TAR))
    tracemalloc.start()
    try:
        message = refusal(path, None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (
        message == "the layer layer of the base cannot be unpacked: more than 1048576 bytes of headers for one member"
    )
    assert peak < 2 * 1024 * 1024


@pytest.mark.parametrize(("window", "is_read"), [(25, True), (26, False)])
def test_zstd_looks_back_no_further_than_honest_builders_do(window: int, is_read: bool, tmp_path: Path) -> None:
    packer = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters.from_level(1, window_log=window)
    ).compressobj()
    path = written(tmp_path, packer.compress(TAR) + packer.flush())
    if is_read:
        assert len(names(path, Digest.of(TAR))) == len(MEMBERS)
    else:
        assert "requires too much memory" in refusal(path, None)


def test_a_size_beyond_all_measure_is_refused_at_once(tmp_path: Path) -> None:
    info = tarfile.TarInfo("endless")
    info.size = 2**80
    path = written(tmp_path, info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    # In a process of its own, which can be ended.
    program = (
        "import sys, pathlib; from hatch_oci.base.tree import read_tree; from hatch_oci.image.digest import Digest\n"
        "path = pathlib.Path(sys.argv[1]); read_tree([path], [Digest.of(path.read_bytes())])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, timeout=20, check=False
    )
    assert "ContentError: the layer layer of the base cannot be unpacked: " in done.stderr


@pytest.mark.parametrize("size", [-512, -(2**40)])
def test_a_header_that_leads_backwards_is_refused(size: int, tmp_path: Path) -> None:
    info = tarfile.TarInfo("again")
    info.size = size
    data = tar_of([file("before")])[:512] + info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    assert refusal(written(tmp_path, data), Digest.of(data)).startswith("the layer layer of the base ")


def test_members_that_went_by_are_not_kept(tmp_path: Path) -> None:
    with open_layer(written(tmp_path, TAR), Digest.of(TAR)) as tar:
        assert [info.name for info in members_of(tar)] == ["etc", "etc/name", "etc/link", "noise", "last"]
        assert tar.getmembers() == []


def test_a_layer_that_is_well_packed_is_no_bomb(tmp_path: Path) -> None:
    assert names(written(tmp_path, gzip.compress(tar_of([file("zeros", bytes(8 * 1024 * 1024))])))) == ["zeros"]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("layers")


info_with_map, hole = file("sparse", b"x" * 600)
info_with_map.pax_headers = {"GNU.sparse.map": "0,1,2,3", "GNU.sparse.size": "5", "comment": "ü" * 30}
SPECIMENS = [
    tar_of([*MEMBERS, (info_with_map, hole)]),
    tar_of([*MEMBERS, file("n" * 200), link("m" * 200, "o" * 200)], tarfile.GNU_FORMAT),
]


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(SPECIMENS), changes, st.booleans(), st.booleans())
def test_any_damage_is_an_error_or_harmless(
    scratch: Path, specimen: bytes, places: Changes, right_checksums: bool, packed: bool
) -> None:
    raw = damaged_tar(specimen, places, right_checksums)
    path = written(scratch, gzip.compress(raw, 1) if packed else raw)
    try:
        tree = read_tree([path], [Digest.of(raw)])
    except OCIError:
        return
    for path_in_tree, entry in tree.walk():
        assert not {"", ".", ".."} & set(path_in_tree[1:].split("/"))
        assert entry.kind in {"folder", "file", "link", "other"}
