"""A small internet on the loopback interface: a proxy behind which every host name answers.

A client that is told to use the proxy asks for real host names. The proxy ends the connection itself: behind a
CONNECT it speaks TLS with a certificate for the host that was asked for, and a request for an `http://` URL it
answers at once. So each request is seen as the host would see it, and all of them are written down.
"""

from __future__ import annotations

import io
import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import trustme

from demo.registry import Handler, Server, running

PROXY = "proxy"
"""The origin of requests to the proxy itself."""

_DEFAULT_PORTS = {"https": ":443", "http": ":80"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived."""

    origin: str
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def url(self) -> str:
        return self.origin + self.path

    def header(self, name: str) -> str:
        """Return a header's values, empty where there is none."""
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())


class Visit(Handler):
    """One connection of a client, and the request on it that is being answered."""

    server: Proxy
    tunnel = ""
    """The origin that the client wanted a tunnel to, if it did."""

    origin = PROXY
    body = b""
    added: Mapping[str, str] = {}
    """Headers that the answer gets beside its own."""

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def do_CONNECT(self) -> None:  # noqa: N802
        """Open a tunnel, and be the host at its other end."""
        self.server.note(self)
        host, _, port = self.path.rpartition(":")
        self.send_response(200, "Connection established")
        self.end_headers()
        self.rfile.close()
        self.server.connections.discard(self.connection)
        self.request = self.server.context(host.strip("[]")).wrap_socket(self.connection, server_side=True)
        self.tunnel = _origin("https", f"{host}:{port}")
        self.setup()

    def do_GET(self) -> None:  # noqa: N802
        """Note the request, then let the world answer it."""
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.added = {}
        parts = urlsplit(self.path)
        if self.tunnel:
            self.origin = self.tunnel
        elif parts.scheme:
            self.origin = _origin(parts.scheme, parts.netloc)
            self.path = self.path[self.path.index(parts.netloc) + len(parts.netloc) :] or "/"
        self.server.note(self)
        self.server.inhabitant(self)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def reply(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        merged = {**(headers or {}), **self.added}
        super().reply(status, body, {name: value for name, value in merged.items() if value})

    def break_off(self, body: bytes, most: int, *, reset: bool) -> None:
        """Promise the whole `body`, send `most` bytes of it, and break the connection."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:most])
        # The client is to have something to go on from, whichever way the connection ends.
        time.sleep(0.1)
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()
        self.rfile = io.BytesIO()


class Proxy(Server):
    """The proxy and all hosts behind it; `inhabitant` answers for them."""

    def __init__(self, authority: trustme.CA, inhabitant: Callable[[Visit], None]) -> None:
        super().__init__({}, {})
        self.RequestHandlerClass = Visit
        self.inhabitant = inhabitant
        self.log: list[Seen] = []
        self.context = cache(_Certified(authority))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def note(self, visit: Visit) -> None:
        """Write a request down."""
        headers = tuple((name, str(value)) for name, value in visit.headers.items())
        self.log.append(Seen(visit.origin, visit.command, visit.path, headers, visit.body))

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away in the middle of TLS is no mistake either.
        if not isinstance(sys.exception(), ssl.SSLError):
            super().handle_error(request, client_address)


@dataclass(frozen=True)
class _Certified:
    authority: trustme.CA = field(repr=False)

    def __call__(self, host: str) -> ssl.SSLContext:
        """Return a TLS server's context with a certificate for `host`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(host).configure_cert(context)
        return context


@contextmanager
def inhabited(authority: trustme.CA, inhabitant: Callable[[Visit], None]) -> Iterator[Proxy]:
    """Run a world in which `inhabitant` answers every request, whatever its host."""
    with running(Proxy(authority, inhabitant)) as proxy:
        yield proxy


def _origin(scheme: str, authority: str) -> str:
    return f"{scheme}://{authority.removesuffix(_DEFAULT_PORTS[scheme])}"
