"""A proxy in a thread, behind which names of the world lead to servers of the test."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .servers import Handler, Request, listen


@dataclass
class Proxy:
    """Leads `host:port` to an address of the test; a name that it does not know is nowhere."""

    routes: Mapping[str, str]
    address: str = ""
    log: list[Request] = field(default_factory=list)

    @property
    def variables(self) -> dict[str, str]:
        """Answer the environment of one who uses this proxy for everything."""
        return dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), f"http://{self.address}")

    @property
    def places(self) -> set[str]:
        """Answer every `host:port` that was asked for."""
        return {_place(request) for request in self.log}

    def answer(self, request: Handler) -> None:
        """Open a tunnel, or pass a plain request on."""
        place = _place(Request(request.command, request.path, ()))
        if (address := self.routes.get(place)) is None:
            request.reply(502, f"no such host: {place}".encode(), {"Content-Type": "text/plain"})
            return
        host, _, port = address.partition(":")
        request.close_connection = True
        with socket.create_connection((host, int(port)), timeout=60) as onward:
            if request.command == "CONNECT":
                request.start(200, {})
                back = threading.Thread(target=_pump, args=(onward, request.connection))
                back.start()
                _pump(request.connection, onward)
                back.join()
            else:
                onward.sendall(_head(request))
                _pump(onward, request.connection)


@contextmanager
def serve_proxy(routes: Mapping[str, str]) -> Iterator[Proxy]:
    """Run the proxy for as long as the block runs."""
    proxy = Proxy(routes)
    with listen(proxy.answer) as server:
        proxy.address, proxy.log = server.address, server.log
        yield proxy


def _place(request: Request) -> str:
    if request.method == "CONNECT":
        return request.target
    target = urlsplit(request.target)
    return f"{target.hostname}:{target.port or 80}"


def _head(request: Handler) -> bytes:
    target = urlsplit(request.path)
    path = target.path + (f"?{target.query}" if target.query else "")
    kept = [(name, value) for name, value in request.headers.items() if name.lower() not in {"connection", "host"}]
    # The host as the client has it: signatures are over it.
    lines = [f"{request.command} {path} HTTP/1.1", f"Host: {request.headers['Host']}", "Connection: close"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in kept), "", ""]).encode()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    # Both ways end when one does: an error here is somebody who went away.
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for side in (source, sink):
        with suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)
