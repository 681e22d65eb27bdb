from __future__ import annotations

import gzip
import hashlib
import itertools
import random
import subprocess
import sys
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_oci.layers.compress import GZIP_IS_REPRODUCIBLE, Compressor, Gzip, Plain

BLOCK = 256 * 1024
# Compressible, but not trivially: words in an order that depends on the seed alone.
WORDS = " ".join(random.Random(7).choices(["layer", "wheel", "index", "digest", "image"], k=120_000)).encode()


def compressed(compressor: Compressor, data: bytes, piece: int = 1 << 20) -> bytes:
    pieces = [compressor.compress(data[start : start + piece]) for start in range(0, len(data), piece)]
    return b"".join(pieces) + compressor.finish()


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 77])
def test_gzip_reads_it(size: int) -> None:
    packed = compressed(Gzip(), WORDS[:size])
    done = subprocess.run(["gzip", "-dc"], input=packed, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (WORDS[:size], b"")
    assert gzip.decompress(packed) == WORDS[:size]


def test_it_is_one_member_without_name_time_or_system() -> None:
    packed = compressed(Gzip(), WORDS)
    assert packed[:10] == bytes.fromhex("1f8b08000000000000ff")
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert reader.decompress(packed) == WORDS
    assert (reader.eof, reader.unused_data) == (True, b"")


def test_it_makes_things_smaller() -> None:
    assert len(compressed(Gzip(), WORDS)) < len(WORDS) / 3
    noise = random.Random(1).randbytes(BLOCK)
    assert len(compressed(Gzip(), noise)) < len(noise) + 200


@pytest.mark.parametrize("piece", [1, 511, 10240, BLOCK - 1, BLOCK, BLOCK + 1, len(WORDS)])
def test_the_bytes_do_not_depend_on_how_the_input_is_cut(piece: int) -> None:
    data = WORDS[: BLOCK + 5000] if piece == 1 else WORDS
    assert compressed(Gzip(), data, piece) == compressed(Gzip(), data)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, len(WORDS)), max_size=8))
def test_nor_on_cuts_of_any_size(cuts: list[int]) -> None:
    gzipped = Gzip()
    places = [0, *sorted(cuts), len(WORDS)]
    pieces = [gzipped.compress(WORDS[start:end]) for start, end in itertools.pairwise(places)]
    assert b"".join(pieces) + gzipped.finish() == compressed(Gzip(), WORDS)


@pytest.mark.skipif(not GZIP_IS_REPRODUCIBLE, reason="zlib-ng has no wheel for this machine")
def test_the_bytes_are_the_same_on_every_machine() -> None:
    digest = hashlib.sha256(compressed(Gzip(), WORDS)).hexdigest()
    assert digest == "bed300e271cc3e780197b126d430b76d163041de2a3a93ec0a7f126aa5b8a7bd"


def test_without_zlib_ng_the_standard_library_does_it() -> None:
    # In a process of its own, in which zlib-ng cannot be imported.
    program = """
import sys
sys.modules["zlib_ng"] = None
from hatch_oci.layers.compress import GZIP_IS_REPRODUCIBLE, Gzip
assert not GZIP_IS_REPRODUCIBLE
packer = Gzip()
data = sys.stdin.buffer.read()
sys.stdout.buffer.write(packer.compress(data) + packer.finish())
"""
    done = subprocess.run([sys.executable, "-c", program], input=WORDS, capture_output=True, check=True)
    assert done.stdout[:10] == bytes.fromhex("1f8b08000000000000ff")
    assert gzip.decompress(done.stdout) == WORDS


def test_no_compression_changes_nothing() -> None:
    assert compressed(Plain(), WORDS, 1000) == WORDS
