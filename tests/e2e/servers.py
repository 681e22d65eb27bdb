"""Small servers in threads, which write down every request with all of its headers."""

import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

Answer = Callable[["Handler"], None]


class Request(NamedTuple):
    """A request as it came: its path with the query, and its headers, in order."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str | None:
        """Answer the value of a header, if it came."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def text(self) -> str:
        """Answer all that the sender let the server see."""
        return "\n".join([f"{self.method} {self.target}", *(f"{key}: {value}" for key, value in self.headers)])


class Server(ThreadingHTTPServer):
    """Gives every request to one function, and knows its connections, to close them in the end."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.tls = tls
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.log: list[Request] = []
        self.connections: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; its handshake waits for the thread, so that nobody else waits for it."""
        connection, address = super().get_request()
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that went away, or that distrust us; everything else is a mistake, and shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, without the good-bye of TLS, which a client that is gone would make an error."""
        self.connections.discard(request)
        with suppress(OSError):
            socket.socket.shutdown(request, socket.SHUT_WR)
        self.close_request(request)


class Handler(BaseHTTPRequestHandler):
    """Reads the requests of one connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    # Headers and body are two packets, and the second must not wait for a late acknowledgement.
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""

    def do_GET(self) -> None:
        """Note the request, then answer it."""
        self.server.log.append(Request(self.command, self.path, tuple(self.headers.items())))
        self.server.answer(self)

    do_HEAD = do_POST = do_CONNECT = do_GET  # noqa: N815

    def body(self) -> bytes:
        """Read what came with the request."""
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def reply(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Send a whole response; a HEAD gets no body."""
        self.start(status, {"Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status and the headers of a response."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


@contextmanager
def listen(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Answer requests on a port that the kernel chose for as long as the block runs."""
    with Server(answer, tls) as server:
        # Polled often, because shutdown() waits for the next poll.
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            for connection in list(server.connections):
                with suppress(OSError):  # the client may have been faster
                    # Not TLS's own: that takes the connection's state away from the thread that reads from it.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
