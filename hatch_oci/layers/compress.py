"""Compression of layers: the same bytes on every machine, on however many cores they are made.

Each block of a layer is compressed by itself, so that several are under way at once, and what comes out depends on
nothing but the block.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby
from typing import NamedTuple, cast

from hatch_oci.image import media_types

try:
    from zlib_ng import zlib_ng
except ImportError:
    zlib_ng = None  # type: ignore[assignment]  # no wheel of it for this machine

GZIP_IS_REPRODUCIBLE = zlib_ng is not None
"""False where only the standard library's zlib is at hand, whose bytes depend on how it was built."""

BLOCK = 1024 * 1024
"""Bytes of a block. Windows that begin anew so seldom make a layer larger by 0.3 % with gzip, 2.5 % with zstd."""

Block = bytes | memoryview

Job = Callable[[], Block]
"""Makes a part of a compressed layer, in any thread."""

LIBRARY = zlib_ng or zlib
"""What deflates and inflates."""

_BACKEND = f"zlib-ng {zlib_ng.ZLIBNG_RUNTIME_VERSION}" if zlib_ng else f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
# The level of zlib-ng at which layers are 8 % larger than by zlib's own level 6, and made in a quarter of the time.
_LEVEL = 3
# RFC 1952: no name, no time, no hint about speed, an unknown system.
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# RFC 1951: an empty block that is the last.
_DEFLATE_END = b"\x03\x00"
_STORED = 0xFFFF
"""Bytes of the longest block that deflate holds as it is."""

_CHUNK = 32 * 1024
"""Bytes that are worth a look of their own: what would not become smaller is stored, in no time."""

_SAMPLE = 256
# Not at its edges, which may belong to others, nor at equal distances, which would miss what alternates.
_SAMPLES = [1024 + number * 4096 + number * number * 419 % 3800 for number in range(8)]
_NOISE = 0.97
_ZSTD = "0.25.0"
"""The version of zstandard whose bytes these are."""
_ZSTD_LEVEL = 3


class Deflated(NamedTuple):
    """The content of a file that is deflated already (RFC 1951), and stays so: `size` bytes when it is unpacked."""

    size: int
    crc32: int
    pieces: Iterable[bytes]
    """The raw deflate data, to be read once."""


class Compression(NamedTuple):
    """A way to compress a layer."""

    media_type: str
    backend: str
    """Whose bytes these are."""

    jobs: Callable[[Iterable[Block | Deflated]], Iterator[Job]]
    """Yields what makes the layer, part by part, out of blocks; deflated ones are among them only if it reuses them."""

    missing: Callable[[], str | None] = lambda: None
    """Returns which library is missing for it, if one is."""

    compresses: bool = True
    """Whether it tries to make anything smaller."""

    reuses: bool = False
    """Whether what is deflated already stays as it is."""


def _gzip_jobs(blocks: Iterable[Block | Deflated]) -> Iterator[Job]:
    """Yield what makes one gzip member; what is deflated already parts it, being a member of its own."""
    crc = size = 0
    for block in blocks:
        if isinstance(block, Deflated):
            if size:
                yield _ready(_DEFLATE_END + _trailer(crc, size))
            yield _ready(_GZIP_HEADER)
            yield from map(_ready, block.pieces)
            yield _ready(_trailer(block.crc32, block.size))
            crc = size = 0
        else:
            if not size:
                yield _ready(_GZIP_HEADER)
            crc = LIBRARY.crc32(block, crc)
            size += len(block)
            yield partial(_deflate, block)
    if size:
        yield _ready(_DEFLATE_END + _trailer(crc, size))


def _trailer(crc: int, size: int) -> bytes:
    return struct.pack("<II", crc, size & 0xFFFFFFFF)


def _zstd_jobs(blocks: Iterable[Block | Deflated]) -> Iterator[Job]:
    """Yield what makes a frame of each block (RFC 8878, which has decoders take several frames for one stream)."""
    return (partial(_zstd, block) for block in cast("Iterable[Block]", blocks))


def _plain_jobs(blocks: Iterable[Block | Deflated]) -> Iterator[Job]:
    return map(_ready, cast("Iterable[Block]", blocks))


def _zstd(block: Block) -> bytes:
    from zstandard import ZstdCompressor

    return ZstdCompressor(level=_ZSTD_LEVEL).compress(block)


def _missing_zstd() -> str | None:
    try:
        from zstandard import __version__ as found
    except ImportError:
        found = "none"
    if found == _ZSTD:
        return None
    return (
        f"zstandard {_ZSTD}, whose bytes are part of the digest ({found} is installed): install hatch-oci-image[zstd]"
    )


def _ready(data: Block) -> Job:
    return lambda: data


def _deflate(block: Block) -> bytes:
    """Return a block as raw deflate data that ends at a whole byte, and that is not the last."""
    parts: list[Block] = []
    for is_noise, run in groupby(range(0, len(block), _CHUNK), lambda start: _is_noise(block[start : start + _CHUNK])):
        starts = list(run)
        part = block[starts[0] : starts[-1] + _CHUNK]
        parts += _stored(part) if is_noise else _compressed(part)
    return b"".join(parts)


def _is_noise(chunk: Block) -> bool:
    """Tell by samples whether a chunk would hardly become smaller, as those of images and archives do not."""
    if len(chunk) < _CHUNK:
        return False
    sample = b"".join(chunk[start : start + _SAMPLE] for start in _SAMPLES)
    return len(LIBRARY.compress(sample, _LEVEL)) > len(sample) * _NOISE


def _compressed(part: Block) -> Iterator[bytes]:
    compressor = LIBRARY.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    yield compressor.compress(part)
    yield compressor.flush(zlib.Z_SYNC_FLUSH)


def _stored(part: Block) -> Iterator[Block]:
    """Yield bytes as deflate holds what it does not compress (RFC 1951, 3.2.4)."""
    for start in range(0, len(part), _STORED):
        piece = part[start : start + _STORED]
        yield struct.pack("<BHH", 0, len(piece), len(piece) ^ _STORED)
        yield piece


COMPRESSIONS: Mapping[str, Compression] = {
    "gzip": Compression(media_types.OCI_LAYER_GZIP, _BACKEND, _gzip_jobs),
    "gzip-reuse": Compression(media_types.OCI_LAYER_GZIP, _BACKEND, _gzip_jobs, reuses=True),
    "zstd": Compression(media_types.OCI_LAYER_ZSTD, f"zstandard {_ZSTD}", _zstd_jobs, _missing_zstd),
    "none": Compression(media_types.OCI_LAYER, "none", _plain_jobs, compresses=False),
}
"""By their names in the settings."""
