from __future__ import annotations

import time
from contextlib import closing, suppress

import httpcore
import pytest

from demo.registry import Answer, Handler, Registry, serve
from hatch_oci.errors import UnreachableError
from hatch_oci.registry.network import Deadline, Dialler, within
from hatch_oci.registry.options import Patience
from hatch_oci.registry.transport import Request, Transport


def test_a_deadline_leaves_less_and_less_time() -> None:
    deadline = Deadline.after(5)
    assert 4 < deadline.remaining(None) <= 5
    assert deadline.remaining(1) == 1
    assert 4 < deadline.remaining(60) <= 5
    assert not deadline.is_over
    assert Deadline.after(0).is_over
    for seconds in (0, -1):
        with pytest.raises(httpcore.ReadTimeout):
            Deadline.after(seconds).remaining(1)


def test_a_deadline_is_put_off_but_never_beyond_its_last_moment() -> None:
    deadline = Deadline.after(5, 20)
    deadline.extend(1)
    assert 4 < deadline.remaining(None) <= 5
    deadline.extend(10)
    assert 9 < deadline.remaining(None) <= 10
    deadline.extend(100)
    assert 19 < deadline.remaining(None) <= 20


def test_a_deadline_does_not_run_while_somebody_else_works() -> None:
    deadline = Deadline.after(5, 10)
    until, last = deadline.until, deadline.last
    with suppress(KeyError), deadline.paused():
        time.sleep(0.05)
        raise KeyError
    assert 0.05 <= deadline.until - until < 5
    assert 0.05 <= deadline.last - last < 5


def test_a_connection_is_held_to_the_deadline_of_its_block() -> None:
    with serve({}) as server:
        port = int(server.address.rpartition(":")[2])
        stream = Dialler(None).connect_tcp("127.0.0.1", port, timeout=5)
        with closing(stream):
            start = time.monotonic()
            with within(Deadline.after(0)):
                for step in (
                    lambda: stream.read(1, 2),
                    lambda: stream.write(b"x", 2),
                    lambda: Dialler(None).connect_tcp("127.0.0.1", port, 2),
                ):
                    with pytest.raises(httpcore.ReadTimeout):
                        step()
                assert time.monotonic() - start < 1
                with within(Deadline.after(5)):
                    stream.write(b"GET /v2/ HTTP/1.1\r\n\r\n")
            assert stream.read(1, 5) == b"H"


def drip(head: bytes, drop: bytes) -> Answer:
    """Return an answer that begins and then goes on by bits, much longer than a test waits."""

    def answer(request: Handler) -> None:
        request.close_connection = True
        request.wfile.write(head)
        with suppress(OSError):
            for _ in range(50):
                request.wfile.write(drop)
                time.sleep(0.1)

    return answer


@pytest.mark.parametrize("is_blob", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(drip(b"", b"H"), id="status"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), id="headers"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nX-A: ", b"b"), id="one header"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"), id="body"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), id="chunks"),
        pytest.param(drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="interim answers"),
    ],
)
def test_a_server_that_drips_is_ended_in_time(answer: Answer, is_blob: bool, server: Registry) -> None:
    server.answers["GET", "/x"] = answer
    # No single wait is long enough for `stall`.
    patience = Patience(connect=5, stall=5, answer=0.5)
    start = time.monotonic()
    with (
        closing(Transport(patience=patience)) as transport,
        pytest.raises(UnreachableError) as caught,
        transport.open(Request("GET", f"http://{server.address}/x", is_blob=is_blob)) as got,
    ):
        got.read(10_000)
    assert 0.4 < time.monotonic() - start < 3
    assert str(caught.value) == f"no answer from http://{server.address}: it sends nothing any more, or too little"
