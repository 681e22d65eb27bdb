"""Layers and configs that come short, long, endless, or are made to burst when they are unpacked."""

from __future__ import annotations

import gzip
import hashlib
import random
import tarfile
from collections.abc import Callable, Iterable

import pytest
import zstandard

from demo.base import Layer, digest, image
from demo.registry import Answer, Handler
from tests.faults.hostile import (
    IMAGE,
    MIB,
    REPOSITORY,
    Flood,
    Victim,
    blob_url,
    image_with,
    publish,
)
from tests.unit.bases import AMD64, layer
from tests.unit.filesystems import PACKERS
from tests.unit.layouts import config_of, layers_of
from tests.unit.uploads import Uploads

LONG = image([layer({"noise": random.Random(1).randbytes(300_000)})], {}, AMD64)
(LAYER,) = layers_of(LONG)
BLOB = LONG.blobs[LAYER]
HALF = len(BLOB) // 2


@pytest.fixture
def long(registry: Uploads) -> str:
    """Return the reference of an image with a layer that is worth a cut."""
    return publish(registry, LONG.manifest, LONG.blobs)


def cut(request: Handler, *, chunked: bool = False) -> None:
    """Send half of the layer, and break the connection."""
    request.close_connection = True
    request.send_response(200)
    request.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(BLOB)))))
    request.end_headers()
    request.wfile.write((f"{len(BLOB):x}\r\n".encode() if chunked else b"") + BLOB[:HALF])


def ranges(registry: Uploads) -> list[str | None]:
    """Return how the layer was asked for."""
    return [came.headers.get("range") for came in registry.requests if came.path == blob_url(LAYER)]


def whole(request: Handler) -> None:
    """Send the layer from its beginning, whatever was asked for."""
    request.reply(200, BLOB)


@pytest.mark.parametrize("rest", [Handler.answer, whole], ids=["resumed", "begun anew"])
def test_a_cut_connection(rest: Answer, registry: Uploads, long: str, victim: Victim) -> None:
    """It is taken up again where it broke, or skipped to there."""
    registry.answers["GET", blob_url(LAYER)] = lambda request: (
        rest(request) if request.headers["Range"] else cut(request)
    )
    done = victim.inspect(long, "--json", "-q")
    assert done.code == 0, done.said
    assert ranges(registry) == [None, f"bytes={HALF}-"]
    assert victim.kept() == {digest(LONG.manifest), *LONG.blobs}


def another_half(request: Handler) -> None:
    """Go on with other bytes than those that belong there."""
    headers = {"Content-Range": f"bytes {HALF}-{len(BLOB) - 1}/{len(BLOB)}"}
    request.reply(206, bytes(len(BLOB) - HALF), headers)


def another_part(request: Handler) -> None:
    """Send a part that nobody asked for."""
    request.reply(206, BLOB[1:], {"Content-Range": f"bytes 1-{len(BLOB) - 1}/{len(BLOB)}"})


def half(request: Handler) -> None:
    """Send half of the layer, and say that it is all."""
    request.reply(200, BLOB[:HALF])


def nothing(request: Handler) -> None:
    """Say that the layer is empty."""
    request.reply(200)


SHORT: dict[str, tuple[Answer, Answer, str]] = {
    "cut again and again": (cut, cut, "peer closed connection"),
    "cut within a chunk": (lambda request: cut(request, chunked=True), cut, "peer closed connection"),
    "short, and proud of it": (half, half, f"blob {LAYER} broke off after {HALF} bytes"),
    "no more to come": (cut, lambda request: request.reply(416), "peer closed connection"),
    "resumed with other bytes": (cut, another_half, f"{LAYER} was asked for, but what came has the digest"),
    "resumed elsewhere": (cut, another_part, f"asked for blob {LAYER} from byte {HALF} on and sent another part"),
    "empty": (nothing, nothing, f"blob {LAYER} broke off after 0 bytes"),
}


@pytest.mark.parametrize("kind", SHORT)
def test_a_short_blob(kind: str, registry: Uploads, long: str, victim: Victim) -> None:
    first, then, words = SHORT[kind]
    registry.answers["GET", blob_url(LAYER)] = lambda request: (then if request.headers["Range"] else first)(request)
    # The real command waits some ten seconds between five tries.
    done = victim.pull(long) if kind == "cut again and again" else victim.hurry(long)
    done.check_refusal(words)
    assert LAYER not in victim.kept()
    # Five in a row, each of which may be asked once more without a range.
    assert len(ranges(registry)) <= 11


@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "with its length"])
@pytest.mark.parametrize("what", ["layer", "config"])
def test_a_body_longer_than_its_descriptor(
    what: str, is_chunked: bool, registry: Uploads, long: str, victim: Victim
) -> None:
    """Cut off, it would have the right digest: it is refused all the same."""
    name = LAYER if what == "layer" else config_of(LONG)
    flood = Flood(LONG.blobs[name], length=None if is_chunked else len(LONG.blobs[name]) + 1, most=len(BLOB) + 1)
    registry.answers["GET", blob_url(name)] = flood
    victim.inspect(long).check_refusal(name, f"goes on after the {len(LONG.blobs[name])} bytes")
    assert name not in victim.kept()


@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "with a length"])
@pytest.mark.parametrize("what", ["layer", "config"])
def test_an_endless_blob(what: str, is_chunked: bool, registry: Uploads, long: str, victim: Victim) -> None:
    name = LAYER if what == "layer" else config_of(LONG)
    flood = Flood(length=None if is_chunked else 2**50)
    registry.answers["GET", blob_url(name)] = flood
    victim.inspect(long).check_refusal(name, "goes on after")
    assert name not in victim.kept()
    # What the sockets hold.
    assert flood.sent < 8 * MIB


def test_a_wrong_diff_id(registry: Uploads, victim: Victim) -> None:
    """The layer is what its digest says, and so may stay; but it is no layer of this image."""
    other = digest(b"another")
    wrong = image_with(lambda document: document["rootfs"]["diff_ids"].__setitem__(1, other))
    reference = publish(registry, wrong.manifest, wrong.blobs)
    victim.inspect(reference).check_refusal("unpacks to other bytes than its diff_id", other)
    assert victim.kept() <= {digest(wrong.manifest), *wrong.blobs}


def head(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Return a tar's header."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


ZEROS = bytes(MIB)
END = bytes(1024)


def zeros(size: int) -> list[bytes]:
    """Return a tar of one long file."""
    return [head("zeros", size * MIB), *[ZEROS] * size, END]


def long_header(size: int) -> list[bytes]:
    """Return a tar of one file with a long name."""
    return [head("././@LongLink", size * MIB, tarfile.GNUTYPE_LONGNAME), *[b"a" * MIB] * size, head("f"), END]


def small_files(count: int) -> list[bytes]:
    """Return a tar of empty files."""
    return [head("f") * count, END]


def wide(tar: bytes) -> bytes:
    """Compress with a window that takes 128 MiB to unpack."""
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return packer.compress(tar) + packer.flush()


def packed(tar: Iterable[bytes], pack: Callable[[bytes], bytes]) -> Layer:
    """Compress each part for itself, equal ones once: a bomb that is made in no time."""
    hasher, known, blob = hashlib.sha256(), dict[bytes, bytes](), bytearray()
    for part in tar:
        hasher.update(part)
        if part not in known:
            known[part] = pack(part)
        blob += known[part]
    return Layer(bytes(blob), f"sha256:{hasher.hexdigest()}")


BOMBS: dict[str, Callable[[], list[Layer]]] = {
    "gzip": lambda: [packed(zeros(300), gzip.compress)],
    "zstd": lambda: [packed(zeros(300), PACKERS["zstd"])],
    "three of them": lambda: [packed(zeros(300 + number), gzip.compress) for number in range(3)],
    "a header of 60 MiB": lambda: [packed(long_header(60), gzip.compress)],
    "a wide window": lambda: [packed([b"".join(zeros(200))], wide)],
    "a million files in nothing": lambda: [packed(small_files(1_000_000), PACKERS["zstd"])],
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_in_a_layer(kind: str, registry: Uploads, victim: Victim) -> None:
    bomb = image(BOMBS[kind](), {}, AMD64)
    done = victim.inspect(publish(registry, bomb.manifest, bomb.blobs))
    done.check_refusal("layer")
    # Small as they are, and what their digests say, they may stay; nothing unpacked does.
    assert victim.kept() <= {digest(bomb.manifest), *bomb.blobs}


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "usr/../../x", "/../x"])
def test_a_layer_that_climbs_out(name: str, registry: Uploads, victim: Victim) -> None:
    climbing = image([layer({name: b"x"})], {}, AMD64)
    victim.pull(publish(registry, climbing.manifest, climbing.blobs)).check_refusal("climbs out")


def test_a_build_on_what_is_not_what_its_digest_says(registry: Uploads, victim: Victim) -> None:
    """No image is written, and no part of one."""
    name = layers_of(IMAGE)[1]
    registry.repositories[REPOSITORY].blobs[name] = bytes(len(IMAGE.blobs[name]))
    done = victim.build(f"{registry.address}/app:1")
    done.check_refusal(name, "what came has the digest")
    assert name not in victim.kept()
    assert [path.name for path in victim.folder.rglob("*.oci*")] == []
