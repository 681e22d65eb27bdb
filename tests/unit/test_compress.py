from __future__ import annotations

import gzip
import hashlib
import random
import subprocess
import sys
import zlib
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_oci.layers.compress import BLOCK, COMPRESSIONS, GZIP_IS_REPRODUCIBLE, Deflated

# Compressible, but not trivially: words in an order that depends on the seed alone.
WORDS = " ".join(random.Random(7).choices(["layer", "wheel", "index", "digest", "image"], k=400_000)).encode()
NOISE = random.Random(1).randbytes(BLOCK)


def cut(data: bytes, size: int = BLOCK) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def compressed(blocks: Iterable[bytes | Deflated], name: str = "gzip") -> bytes:
    return b"".join(job() for job in COMPRESSIONS[name].jobs(blocks))


def deflated(data: bytes) -> Deflated:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    raw = compressor.compress(data) + compressor.flush()
    return Deflated(len(data), zlib.crc32(data), list(cut(raw, len(raw) // 3 + 1)))


def gunzipped(data: bytes) -> bytes:
    done = subprocess.run(["gzip", "-dc"], input=data, capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout


def members(data: bytes) -> list[bytes]:
    """Return what each gzip member holds."""
    found = []
    while data:
        reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
        found.append(reader.decompress(data))
        assert reader.eof
        data = reader.unused_data
    return found


@pytest.mark.parametrize("size", [1, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 77])
def test_gzip_reads_it(size: int) -> None:
    packed = compressed(cut(WORDS[:size]))
    assert gunzipped(packed) == WORDS[:size]
    assert gzip.decompress(packed) == WORDS[:size]


def test_it_is_one_member_without_name_time_or_system() -> None:
    packed = compressed(cut(WORDS))
    assert packed[:10] == bytes.fromhex("1f8b08000000000000ff")
    assert members(packed) == [WORDS]


def test_it_makes_things_smaller() -> None:
    assert len(compressed(cut(WORDS))) < len(WORDS) / 3


@pytest.mark.parametrize("data", [NOISE, NOISE[:70_000], NOISE + NOISE[:9], zlib.compress(WORDS)])
def test_what_cannot_become_smaller_hardly_becomes_larger(data: bytes) -> None:
    packed = compressed(cut(data))
    assert len(packed) < len(data) * 1.0005 + 100
    assert gunzipped(packed) == data


def test_a_block_of_noise_is_not_gone_through_in_vain() -> None:
    # In deflate's stored blocks (RFC 1951, 3.2.4) the bytes stand as they are.
    assert NOISE[1000:2000] in compressed([NOISE])


@pytest.mark.parametrize("run", [1000, 20_000, 33_000, 100_000, 900_000])
@pytest.mark.parametrize("start", [0, 512, 17_000])
def test_noise_beside_text_keeps_nothing_from_becoming_smaller(run: int, start: int) -> None:
    mixed = b"".join((NOISE, WORDS)[place // run % 2][place : place + run] for place in range(0, BLOCK, run))
    mixed = WORDS[:start] + mixed[: BLOCK - start]
    beside = zlib.compress(mixed, 6)
    assert len(compressed([mixed])) < len(beside) * 1.08
    assert gunzipped(compressed([mixed])) == mixed


@pytest.mark.skipif(not GZIP_IS_REPRODUCIBLE, reason="zlib-ng has no wheel for this machine")
@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("gzip", "823314f0131c51af13af3f37eeb6dd73686d85dcb02c9729c09207abc905ec72"),
        ("gzip-reuse", "823314f0131c51af13af3f37eeb6dd73686d85dcb02c9729c09207abc905ec72"),
        ("zstd", "e0469b9b9ebc56ea3d7c61d090aa464b05955010833fd46a633bba94ec0406fc"),
    ],
)
def test_the_bytes_are_the_same_on_every_machine(name: str, digest: str) -> None:
    data = WORDS + NOISE + bytes(range(256)) * 3000
    assert hashlib.sha256(compressed(cut(data), name)).hexdigest() == digest


def test_without_zlib_ng_the_standard_library_does_it() -> None:
    # In a process of its own, in which zlib-ng cannot be imported.
    program = """
import sys
sys.modules["zlib_ng"] = None
from hatch_oci.layers.compress import COMPRESSIONS, GZIP_IS_REPRODUCIBLE
assert not GZIP_IS_REPRODUCIBLE
for job in COMPRESSIONS["gzip"].jobs([sys.stdin.buffer.read()]):
    sys.stdout.buffer.write(job())
"""
    done = subprocess.run([sys.executable, "-c", program], input=WORDS, capture_output=True, check=True)
    assert done.stdout[:10] == bytes.fromhex("1f8b08000000000000ff")
    assert gzip.decompress(done.stdout) == WORDS


def test_no_compression_changes_nothing() -> None:
    assert compressed(cut(WORDS), "none") == WORDS


@pytest.mark.parametrize("size", [1, BLOCK, 2 * BLOCK + 77])
def test_zstd_reads_it(size: int) -> None:
    zstd = pytest.importorskip("zstandard")
    packed = compressed(cut(WORDS[:size]), "zstd")
    reader = zstd.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
    assert reader.read() == WORDS[:size]
    assert len(packed) < size / 3 + 30


def test_what_is_deflated_is_passed_on_as_a_member_of_its_own() -> None:
    kept = deflated(WORDS[:100_000])
    packed = compressed([b"before", kept, b"between", b" and on", kept, kept, b"after"])
    assert members(packed) == [b"before", WORDS[:100_000], b"between and on", *[WORDS[:100_000]] * 2, b"after"]
    assert packed.count(b"".join(kept.pieces)) == 3
    assert gunzipped(packed) == b"before" + WORDS[:100_000] + b"between and on" + WORDS[:100_000] * 2 + b"after"


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=300)), min_size=1, max_size=8))
def test_any_mixture_unpacks_to_what_it_is_made_of(parts: list[tuple[bool, bytes]]) -> None:
    packed = compressed([deflated(data) if is_deflated else data for is_deflated, data in parts])
    assert gzip.decompress(packed) == b"".join(data for _, data in parts)
