"""A small read-only registry on the loopback interface, for the demonstration and for tests.

Content is plain data, and stays open to change while the registry runs::

    repository = Repository(blobs=image.blobs, manifests={"1.0": Manifest(MANIFEST_TYPE, image.manifest)})
    with serve({"library/python": repository}) as registry:
        pull(f"{registry.address}/library/python:1.0")
        assert ("GET", "/v2/library/python/manifests/1.0") in registry.log

A test that wants another answer for some request puts a function into ``registry.answers``::

    def unauthorized(request: Handler) -> None:
        if request.headers["Authorization"]:
            request.answer()  # what the registry would have said
        else:
            request.reply(401, b"", {"WWW-Authenticate": 'Basic realm="test"'})

    registry.answers["GET", "/v2/library/python/manifests/1.0"] = unauthorized

The path ``*`` stands for every path that has no answer of its own.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from demo.base import digest

if TYPE_CHECKING:
    from collections.abc import Iterator

Answer = Callable[["Handler"], None]
AnyServer = TypeVar("AnyServer", bound="Server")

API_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|tags)/(?P<reference>[^/]+)")
BYTE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class Manifest:
    """A manifest's bytes, and the media type it is served with."""

    media_type: str
    content: bytes


@dataclass(frozen=True)
class Repository:
    """Blobs by digest; manifests by tag, or by digest where they have no tag."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)

    def manifest(self, reference: str) -> Manifest | None:
        """Return the manifest with this tag or this digest."""
        by_digest = (found for found in self.manifests.values() if digest(found.content) == reference)
        return self.manifests.get(reference) or next(by_digest, None)


@dataclass(frozen=True)
class Registry:
    """A running registry: its address ``127.0.0.1:PORT``, its content, and what it was asked."""

    address: str
    repositories: dict[str, Repository]
    answers: dict[tuple[str, str], Answer]
    log: list[tuple[str, str]] = field(default_factory=list)


class Server(ThreadingHTTPServer):
    """Serves a ``Registry``, and knows its connections, to close them in the end."""

    registry: Registry

    def __init__(self, repositories: dict[str, Repository], answers: dict[tuple[str, str], Answer]) -> None:
        """Bind to a free port of the loopback interface."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.registry = Registry(f"127.0.0.1:{self.server_address[1]}", repositories, answers)
        self.connections: set[socket.socket] = set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that went away; everything else is a mistake, and shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    # Headers and body are two packets, and the second must not wait for a late acknowledgement.
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Note the connection."""
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        """Forget the connection."""
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""

    def do_GET(self) -> None:
        """Log the request, then answer it, in the way that was asked for."""
        registry = self.server.registry
        registry.log.append((self.command, self.path))
        path = urlsplit(self.path).path
        answer = registry.answers.get((self.command, path)) or registry.answers.get((self.command, "*"))
        if answer is None:
            self.answer()
        else:
            answer(self)

    # All of them, so that tests can give answers to an upload.
    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def answer(self) -> None:
        """Answer as a registry does."""
        path = unquote(urlsplit(self.path).path)
        if self.command not in {"GET", "HEAD"}:
            self.close_connection = True  # its body was not read
            self.fail(HTTPStatus.METHOD_NOT_ALLOWED, "UNSUPPORTED")
        elif path == "/v2/":
            self.reply(HTTPStatus.OK, b"{}", {"Content-Type": "application/json"})
        elif match := API_PATH.fullmatch(path):
            self.answer_from(match["name"], match["kind"], match["reference"])
        else:
            self.fail(HTTPStatus.NOT_FOUND, "UNSUPPORTED")

    def answer_from(self, name: str, kind: str, reference: str) -> None:
        """Answer with a manifest, a blob or the tags of the repository ``name``."""
        repository = self.server.registry.repositories.get(name)
        if repository is None:
            self.fail(HTTPStatus.NOT_FOUND, "NAME_UNKNOWN")
        elif kind == "tags":
            tags = sorted(tag for tag in repository.manifests if ":" not in tag)
            body = json.dumps({"name": name, "tags": tags}).encode()
            self.reply(HTTPStatus.OK, body, {"Content-Type": "application/json"})
        elif kind == "blobs":
            if (blob := repository.blobs.get(reference)) is None:
                self.fail(HTTPStatus.NOT_FOUND, "BLOB_UNKNOWN")
            else:
                self.reply_blob(blob, reference)
        elif (manifest := repository.manifest(reference)) is None:
            self.fail(HTTPStatus.NOT_FOUND, "MANIFEST_UNKNOWN")
        else:
            headers = {
                "Content-Type": manifest.media_type,
                "Docker-Content-Digest": digest(manifest.content),
            }
            self.reply(HTTPStatus.OK, manifest.content, headers)

    def reply_blob(self, blob: bytes, reference: str) -> None:
        """Reply with a blob, or with the one part of it that the client asks for."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": reference,
            "Accept-Ranges": "bytes",
        }
        match = BYTE_RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None or match[0] == "bytes=-":
            self.reply(HTTPStatus.OK, blob, headers)
            return
        size = len(blob)
        if match[1]:
            start, end = int(match[1]), min(int(match[2] or size), size - 1)
        else:  # the last so many bytes
            start, end = max(size - int(match[2]), 0), size - 1
        if start > end:
            self.fail(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "SIZE_INVALID", f"bytes */{size}")
            return
        headers["Content-Range"] = f"bytes {start}-{end}/{size}"
        self.reply(HTTPStatus.PARTIAL_CONTENT, blob[start : end + 1], headers)

    def fail(self, status: int, code: str, content_range: str | None = None) -> None:
        """Reply with an error in the form that the distribution specification gives."""
        body = json.dumps({"errors": [{"code": code, "message": f"{code} {self.path}"}]}).encode()
        headers = {"Content-Type": "application/json"}
        if content_range:
            headers["Content-Range"] = content_range
        self.reply(status, body, headers)

    def reply(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Send a whole response; Content-Length is added, and a HEAD gets no body."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serve(
    repositories: dict[str, Repository], answers: dict[tuple[str, str], Answer] | None = None
) -> Iterator[Registry]:
    """Serve ``repositories``, by name, from a thread for as long as the block runs."""
    with running(Server(repositories, {} if answers is None else answers)) as server:
        yield server.registry


@contextmanager
def running(server: AnyServer) -> Iterator[AnyServer]:
    """Run ``server`` in a thread for as long as the block runs, then close it and its connections."""
    with server:
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
                    connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it
