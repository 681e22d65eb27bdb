"""Long blobs, which are read straight from the connection, from servers that mean no good or have a bad day."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest
import trustme

from demo.base import digest
from demo.registry import Answer, Handler, Registry, Repository, serve
from hatch_oci.errors import ContentError, OCIError, RegistryError
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.reference import Reference
from hatch_oci.registry.pull import Repository as Remote
from hatch_oci.registry.transport import Transport
from hatch_oci.store.blobs import BlobStore
from hatch_oci.store.intake import Arriving, take_in
from tests.unit.bases import QUICK, wanted_start
from tests.unit.secure import serve_tls

MIB = 1024 * 1024
SIZE = 10 * MIB + 1
BLOB = os.urandom(SIZE)
NAME = digest(BLOB)
PATH = f"/v2/app/blobs/{NAME}"
DESCRIPTOR = Descriptor("application/octet-stream", Digest.parse(NAME), SIZE)


@pytest.fixture(params=["http", "https"])
def registry(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with serve({}) if request.param == "http" else serve_tls(authority) as registry:
        registry.repositories["app"] = Repository({NAME: BLOB})
        yield registry


@pytest.fixture
def pull(registry: Registry, store: BlobStore) -> Callable[[], bytes]:
    """Return what pulls the blob into the store."""

    def pull() -> bytes:
        with closing(Transport(patience=QUICK)) as transport:
            remote = Remote(transport, Reference.parse(f"{registry.address}/app:1"))
            return store.put(remote.blob(DESCRIPTOR), DESCRIPTOR.digest, SIZE).path.read_bytes()

    return pull


def begin(request: Handler, length: int | None = None) -> int:
    """Send the headers for the rest that is asked for, and return where it starts."""
    start = wanted_start(request)
    request.close_connection = True
    request.send_response(206 if start else 200)
    request.send_header("Content-Length", str(SIZE - start if length is None else length))
    if start:
        request.send_header("Content-Range", f"bytes {start}-{SIZE - 1}/{SIZE}")
    request.end_headers()
    return start


def test_a_body_that_comes_along_with_its_headers_loses_nothing(registry: Registry, pull: Callable[[], bytes]) -> None:
    def answer(request: Handler) -> None:
        request.close_connection = True
        with suppress(OSError):
            request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (SIZE, BLOB))

    registry.answers["GET", PATH] = answer
    assert pull() == BLOB


@pytest.mark.parametrize("at", [0, 1, 1000, 64 * 1024 + 1, 5 * MIB, SIZE - 1])
def test_a_blob_that_breaks_off_goes_on_where_it_did(at: int, registry: Registry, pull: Callable[[], bytes]) -> None:
    starts: list[int] = []

    def answer(request: Handler) -> None:
        starts.append(begin(request))
        request.wfile.write(BLOB[starts[-1] : at if len(starts) == 1 else SIZE])

    registry.answers["GET", PATH] = answer
    assert pull() == BLOB
    assert starts == [0, at]


def test_a_blob_that_stalls_goes_on_where_it_did(registry: Registry, pull: Callable[[], bytes]) -> None:
    starts: list[int] = []

    def answer(request: Handler) -> None:
        starts.append(begin(request))
        request.wfile.write(BLOB[starts[-1] : 5 * MIB + 7 if len(starts) == 1 else SIZE])
        # Until the other side hangs up.
        request.connection.recv(1)

    registry.answers["GET", PATH] = answer
    start = time.monotonic()
    assert pull() == BLOB
    assert starts == [0, 5 * MIB + 7]
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("so_far", [0, 1000, 5 * MIB])
def test_a_blob_that_drips_is_ended(so_far: int, registry: Registry, pull: Callable[[], bytes]) -> None:
    def answer(request: Handler) -> None:
        start = begin(request)
        with suppress(OSError):
            request.wfile.write(BLOB[start:so_far])
            for number in range(max(start, so_far), SIZE):
                request.wfile.write(BLOB[number : number + 1])
                time.sleep(0.02)

    registry.answers["GET", PATH] = answer
    start = time.monotonic()
    with pytest.raises(RegistryError, match=r"it sends nothing any more, or too little$"):
        pull()
    assert time.monotonic() - start < 15


def test_a_slow_blob_that_goes_on_has_its_time(registry: Registry, pull: Callable[[], bytes]) -> None:
    def answer(request: Handler) -> None:
        begin(request)
        for at in range(0, SIZE, MIB // 4):
            request.wfile.write(BLOB[at : at + MIB // 4])
            time.sleep(0.05)

    registry.answers["GET", PATH] = answer
    start = time.monotonic()
    assert pull() == BLOB
    assert registry.log.count(("GET", PATH)) == 1
    # Longer than any answer may take of which nothing comes.
    assert time.monotonic() - start > 1.5


def test_a_body_longer_than_the_blob_is_refused(registry: Registry, pull: Callable[[], bytes]) -> None:
    def answer(request: Handler) -> None:
        begin(request, 1000 * SIZE)
        with suppress(OSError):
            for _ in range(1000):
                request.wfile.write(BLOB)

    registry.answers["GET", PATH] = answer
    with pytest.raises(ContentError, match=f"goes on after the {SIZE} bytes it should have"):
        pull()


def test_a_body_shorter_than_the_blob_is_asked_for_its_rest(registry: Registry, pull: Callable[[], bytes]) -> None:
    def answer(request: Handler) -> None:
        start = begin(request, None if wanted_start(request) else 5 * MIB)
        with suppress(OSError):
            request.wfile.write(BLOB[start : None if start else 5 * MIB])

    registry.answers["GET", PATH] = answer
    assert pull() == BLOB
    assert registry.log.count(("GET", PATH)) == 2


def test_what_follows_a_body_is_no_answer_to_the_next_request(registry: Registry, pull: Callable[[], bytes]) -> None:
    def answer(request: Handler) -> None:
        begin(request)
        request.close_connection = False
        with suppress(OSError):
            request.wfile.write(BLOB + b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    registry.answers["GET", PATH] = answer
    assert [pull(), pull()] == [BLOB, BLOB]


def test_a_blob_in_chunks_arrives(registry: Registry, pull: Callable[[], bytes]) -> None:
    def answer(request: Handler) -> None:
        request.send_response(200)
        # RFC 9112, 6.3: the former counts.
        request.send_header("Transfer-Encoding", "chunked")
        request.send_header("Content-Length", str(SIZE))
        request.end_headers()
        chunks = [BLOB[at : at + MIB] for at in range(0, SIZE, MIB)]
        request.wfile.write(b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""]))

    registry.answers["GET", PATH] = answer
    assert pull() == BLOB


def test_other_bytes_are_refused(registry: Registry, store: BlobStore, pull: Callable[[], bytes]) -> None:
    registry.answers["GET", PATH] = lambda request: request.reply(200, BLOB[:-1] + bytes([BLOB[-1] ^ 1]))
    with pytest.raises(ContentError, match=f"{NAME} was asked for, but what came has the digest "):
        pull()
    assert list((store.folder / "incoming").iterdir()) == []


def stalled(request: Handler) -> None:
    begin(request)
    request.wfile.write(BLOB[: 5 * MIB])
    request.connection.recv(1)


def endless(request: Handler) -> None:
    begin(request)
    with suppress(OSError):
        for number in range(SIZE):
            request.wfile.write(BLOB[number : number + 1])
            time.sleep(0.02)


@pytest.mark.parametrize("answer", [stalled, endless])
def test_the_failure_of_another_ends_it(answer: Answer, registry: Registry, store: BlobStore) -> None:
    missing = Descriptor("application/octet-stream", Digest.of(b"missing"), 7)

    def fail(request: Handler) -> None:
        while ("GET", PATH) not in registry.log:
            time.sleep(0.01)
        time.sleep(0.3)
        request.reply(404)

    registry.answers["GET", PATH] = answer
    registry.answers["GET", f"/v2/app/blobs/{missing.digest}"] = fail
    start = time.monotonic()
    with closing(Transport()) as transport:
        remote = Remote(transport, Reference.parse(f"{registry.address}/app:1"))
        arriving = [Arriving(one.digest, one.size, partial(remote.blob, one)) for one in (DESCRIPTOR, missing)]
        with pytest.raises(OCIError, match=f"has no blob {missing.digest}"):
            take_in(arriving, store, lambda _count: None)
    assert time.monotonic() - start < 5
    assert list((store.folder / "incoming").iterdir()) == []
