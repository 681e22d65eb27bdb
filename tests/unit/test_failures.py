"""What is told of servers that do not speak as they should."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from demo.registry import Handler, Registry
from hatch_oci.errors import RegistryError
from hatch_oci.image.reference import Reference
from hatch_oci.registry.pull import Repository
from hatch_oci.registry.transport import Request, Transport
from hatch_oci.report import Reporter
from tests.unit.bases import QUICK


def raw(answer: bytes) -> object:
    """Return an answer that is sent as it is."""

    def send(request: Handler) -> None:
        request.close_connection = True
        request.wfile.write(answer)

    return send


def message(server: Registry) -> str:
    with (
        closing(Transport(patience=QUICK)) as transport,
        pytest.raises(RegistryError) as caught,
        transport.open(Request("GET", f"http://{server.address}/x")) as answer,
    ):
        answer.read(1000)
    return str(caught.value).removeprefix(f"no answer from http://{server.address}: ")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nEcho hidden\r\n\r\n",
        b"HTTP/1.1 hidden\r\n\r\n",
        b"hidden\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: hidden\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: hidden\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhidden\r\n",
        pytest.param(b"hidden" * 20_000, id="long"),
    ],
)
def test_what_is_no_http_is_told_without_what_it_is(answer: bytes, server: Registry) -> None:
    server.answers["GET", "/x"] = raw(answer)  # type: ignore[assignment]
    assert message(server) == "it does not speak HTTP properly"


def test_an_answer_that_breaks_off_is_told_with_how_much_came(server: Registry) -> None:
    server.answers["GET", "/x"] = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")  # type: ignore[assignment]
    assert message(server).endswith("(received 3 bytes, expected 9)")


def test_a_registry_that_repeats_a_password_in_a_broken_header_does_not_get_it_printed(
    server: Registry, home: Path
) -> None:
    def answer(request: Handler) -> None:
        request.close_connection = True
        if shown := request.headers.get("Authorization"):
            request.wfile.write(f"HTTP/1.1 200 OK\r\nEcho {shown}\r\n\r\n".encode())
        else:
            request.reply(401, b"", {"WWW-Authenticate": "Basic realm=x"})

    server.answers["GET", "/v2/app/manifests/1"] = answer
    (home / ".docker").mkdir()
    auths = {server.address: {"username": "ann", "password": "hidden"}}
    (home / ".docker/config.json").write_text(json.dumps({"auths": auths}))
    told: list[str] = []
    reporter = Reporter(info=told.append, warn=told.append, debug=told.append)
    with (
        closing(Transport(reporter=reporter, patience=QUICK)) as transport,
        pytest.raises(RegistryError, match=r"it does not speak HTTP properly$"),
    ):
        Repository(transport, Reference.parse(f"{server.address}/app:1")).manifest("1")
    assert told
    assert all("Basic" not in line for line in told)
