"""Blobs over connections that break, stall, and come back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from demo.base import digest
from demo.registry import Handler, Registry, Repository, serve
from hatch_oci.errors import ContentError, RegistryError
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.reference import Reference
from hatch_oci.registry.options import Patience
from hatch_oci.registry.pull import Repository as Remote
from hatch_oci.registry.transport import Transport
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import QUICK, wanted_start

SIZE = 512 * 1024
BLOB = os.urandom(SIZE)
NAME = digest(BLOB)
PATH = f"/v2/app/blobs/{NAME}"
DESCRIPTOR = Descriptor("application/octet-stream", Digest.parse(NAME), SIZE)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serve({"app": Repository({NAME: BLOB})}) as registry:
        yield registry


@pytest.fixture
def pull(registry: Registry, told: list[str]) -> Callable[[], bytes]:
    """Return what pulls the blob."""

    def pull() -> bytes:
        reporter = Reporter(info=told.append, warn=told.append)
        with closing(Transport(reporter=reporter, patience=QUICK)) as transport:
            remote = Remote(transport, Reference.parse(f"{registry.address}/app:1"))
            return b"".join(remote.blob(DESCRIPTOR))

    return pull


def cut(request: Handler, at: int, start: int = 0) -> None:
    """Send the blob from `start` on, and hang up before the byte `at`."""
    request.send_response(206 if start else 200)
    request.send_header("Content-Length", str(SIZE - start))
    if start:
        request.send_header("Content-Range", f"bytes {start}-{SIZE - 1}/{SIZE}")
    request.end_headers()
    request.wfile.write(BLOB[start:at])
    request.close_connection = True


@pytest.mark.parametrize("ranges", [True, False], ids=["with ranges", "without ranges"])
@pytest.mark.parametrize("sixteenth", range(16))
def test_a_blob_cut_anywhere_goes_on_where_it_broke(
    sixteenth: int, ranges: bool, registry: Registry, pull: Callable[[], bytes]
) -> None:
    starts: list[int] = []

    def answer(request: Handler) -> None:
        starts.append(wanted_start(request))
        if len(starts) == 1:
            cut(request, SIZE * sixteenth // 16)
        elif ranges:
            request.answer()
        else:
            request.reply(200, BLOB)

    registry.answers["GET", PATH] = answer
    assert pull() == BLOB
    assert starts == [0, SIZE * sixteenth // 16]


@pytest.mark.parametrize("ranges", [True, False], ids=["with ranges", "without ranges"])
def test_a_blob_cut_at_every_sixteenth_arrives(ranges: bool, registry: Registry, pull: Callable[[], bytes]) -> None:
    starts: list[int] = []

    def answer(request: Handler) -> None:
        start = wanted_start(request)
        starts.append(start)
        cut(request, SIZE * len(starts) // 16, start if ranges else 0)

    registry.answers["GET", PATH] = answer
    assert pull() == BLOB
    assert starts == [SIZE * number // 16 for number in range(16)]


def test_a_blob_without_a_length_that_ends_early_goes_on(registry: Registry, pull: Callable[[], bytes]) -> None:
    def answer(request: Handler) -> None:
        if "Range" in request.headers:
            request.answer()
            return
        # Its end is the connection's, so that a cut looks like an end.
        request.close_connection = True
        request.send_response(200)
        request.send_header("Connection", "close")
        request.end_headers()
        request.wfile.write(BLOB[:1000])

    registry.answers["GET", PATH] = answer
    assert pull() == BLOB


def test_a_range_that_cannot_be_had_is_asked_for_from_the_start_once(
    registry: Registry, pull: Callable[[], bytes]
) -> None:
    asked: list[str | None] = []

    def answer(request: Handler) -> None:
        asked.append(request.headers.get("Range"))
        if len(asked) == 1:
            cut(request, 1000)
        elif asked[-1]:
            request.reply(416)
        else:
            request.reply(200, BLOB)

    registry.answers["GET", PATH] = answer
    assert pull() == BLOB
    assert asked == [None, "bytes=1000-", None]


@pytest.mark.parametrize(
    "content_range", ["bytes 0-99/100", "bytes 999-524287/524288", "", "bytes */524288", f"bytes {'9' * 5000}-1/2"]
)
def test_another_part_than_asked_for_is_refused(
    content_range: str, registry: Registry, pull: Callable[[], bytes]
) -> None:
    def answer(request: Handler) -> None:
        if "Range" not in request.headers:
            cut(request, 1000)
            return
        request.reply(206, BLOB[1000:], {"Content-Range": content_range})

    registry.answers["GET", PATH] = answer
    with pytest.raises(RegistryError, match=f"was asked for blob {NAME} from byte 1000 on and sent another part"):
        pull()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 522])
def test_what_fails_twice_for_now_is_tried_a_third_time(
    status: int, registry: Registry, pull: Callable[[], bytes], told: list[str]
) -> None:
    count: list[int] = []

    def answer(request: Handler) -> None:
        count.append(1)
        if len(count) <= 2:
            request.reply(status)
        else:
            request.answer()

    registry.answers["GET", PATH] = answer
    assert pull() == BLOB
    assert len(count) == 3
    assert [line.split("; ")[0] for line in told] == [f"HTTP {status} from {registry.address} about blob {NAME}"] * 2


def test_what_goes_on_failing_is_tried_five_times(registry: Registry, pull: Callable[[], bytes]) -> None:
    registry.answers["GET", PATH] = lambda request: request.reply(503)
    with pytest.raises(RegistryError, match="HTTP 503"):
        pull()
    assert registry.log.count(("GET", PATH)) == 5


@pytest.mark.parametrize("status", [400, 404, 410, 501])
def test_what_fails_for_good_is_tried_once(status: int, registry: Registry, pull: Callable[[], bytes]) -> None:
    registry.answers["GET", PATH] = lambda request: request.reply(status)
    with pytest.raises(RegistryError):
        pull()
    assert registry.log.count(("GET", PATH)) == 1


def test_the_wait_is_the_one_that_the_registry_asks_for(
    registry: Registry, pull: Callable[[], bytes], told: list[str]
) -> None:
    def answer(request: Handler) -> None:
        registry.answers.clear()
        request.reply(429, b"", {"Retry-After": "40"})

    registry.answers["GET", PATH] = answer
    assert pull() == BLOB
    # Not 40 s: it waits for at most as long as its patience is.
    assert told[0].endswith("trying again in 0.1 s")


def test_a_body_that_drips_is_ended(registry: Registry, pull: Callable[[], bytes]) -> None:
    def answer(request: Handler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(SIZE))
        request.end_headers()
        for number in range(wanted_start(request), SIZE):
            request.wfile.write(BLOB[number : number + 1])
            time.sleep(0.02)

    registry.answers["GET", PATH] = answer
    start = time.monotonic()
    with pytest.raises(RegistryError, match=r"it sends nothing any more, or too little$"):
        pull()
    assert time.monotonic() - start < 10


def test_a_server_that_says_nothing_is_left(registry: Registry, pull: Callable[[], bytes]) -> None:
    def answer(request: Handler) -> None:
        time.sleep(0.8)
        request.close_connection = True

    registry.answers["GET", PATH] = answer
    start = time.monotonic()
    with pytest.raises(RegistryError, match=r"it sends nothing any more, or too little$"):
        pull()
    assert time.monotonic() - start < 10


def test_a_byte_now_and_then_does_not_go_on_for_ever(registry: Registry, pull: Callable[[], bytes]) -> None:
    def answer(request: Handler) -> None:
        start = wanted_start(request)
        if len(registry.log) % 2:
            cut(request, start + 1, start)
        else:
            request.reply(503, b"", {"Retry-After": "1"})

    registry.answers["GET", PATH] = answer
    with pytest.raises(RegistryError):
        pull()
    assert len(registry.log) < 30


@pytest.mark.parametrize("end", [b"", b"0\r\n"])
def test_a_blob_that_came_whole_needs_no_end(end: bytes, registry: Registry) -> None:
    def answer(request: Handler) -> None:
        request.close_connection = True
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"%x\r\n%b\r\n%b" % (SIZE, BLOB, end))
        request.connection.recv(1)

    registry.answers["GET", PATH] = answer
    # No second try is spent on it.
    with closing(Transport(patience=Patience(stall=0.3, answer=5, tries=1))) as transport:
        remote = Remote(transport, Reference.parse(f"{registry.address}/app:1"))
        assert b"".join(remote.blob(DESCRIPTOR)) == BLOB


def test_a_wait_for_a_token_is_none_of_the_blobs_time(registry: Registry, store: BlobStore) -> None:
    def answer(request: Handler) -> None:
        if request.headers.get("Authorization"):
            request.answer()
        else:
            realm = f"http://{registry.address}/token"
            request.reply(401, b"", {"WWW-Authenticate": f'Bearer realm="{realm}"'})

    def busy(request: Handler) -> None:
        first = registry.log.count(("GET", request.path)) == 1
        request.reply(429 if first else 200, b'{"token": "t"}', {"Retry-After": "1"} if first else {})

    registry.answers["GET", PATH] = answer
    registry.answers["GET", "/token"] = busy
    patience = Patience(stall=0.5, answer=0.8, longest_retry_after=5)
    with closing(Transport(patience=patience)) as transport:
        remote = Remote(transport, Reference.parse(f"{registry.address}/app:1"))
        assert store.put(remote.blob(DESCRIPTOR), DESCRIPTOR.digest, SIZE).size == SIZE


def test_the_page_of_an_error_does_not_hide_it(registry: Registry, pull: Callable[[], bytes]) -> None:
    registry.answers["GET", PATH] = lambda request: request.reply(404, b"<html>" + b"x" * 100_000)
    with pytest.raises(RegistryError, match=f"^{registry.address} has no blob {NAME}$"):
        pull()


def test_a_body_that_goes_on_is_refused_at_the_next_byte(registry: Registry, store: BlobStore) -> None:
    sent: list[int] = []

    def answer(request: Handler) -> None:
        request.close_connection = True
        request.send_response(200)
        request.end_headers()
        try:
            for _ in range(1000):
                request.wfile.write(BLOB)
                sent.append(SIZE)
        except ConnectionError:
            pass

    registry.answers["GET", PATH] = answer
    with closing(Transport(patience=QUICK)) as transport:
        remote = Remote(transport, Reference.parse(f"{registry.address}/app:1"))
        with pytest.raises(ContentError, match=f"goes on after the {SIZE} bytes it should have"):
            store.put(remote.blob(DESCRIPTOR), DESCRIPTOR.digest, DESCRIPTOR.size)
    assert len(sent) < 100


def test_an_empty_blob_is_not_asked_for(registry: Registry) -> None:
    empty = Descriptor("application/octet-stream", Digest.of(b""), 0)
    with closing(Transport(patience=QUICK)) as transport:
        assert list(Remote(transport, Reference.parse(f"{registry.address}/app:1")).blob(empty)) == []
    assert registry.log == []
