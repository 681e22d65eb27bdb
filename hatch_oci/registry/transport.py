"""HTTP: requests and answers, over the connections of `pools`.

Redirects are followed by hand, so that each target is checked and credentials stay with their origin; bodies
are read as they are on the wire, since that is what digests are of, and never beyond a bound or a deadline.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httpcore

from hatch_oci.counts import Counts
from hatch_oci.errors import RegistryError, UnreachableError
from hatch_oci.registry.attempts import PASSING, Attempts, read_retry_after
from hatch_oci.registry.body import PROGRESS, blob_of
from hatch_oci.registry.failures import explained
from hatch_oci.registry.headers import Headers
from hatch_oci.registry.network import Deadline, Scope, within
from hatch_oci.registry.options import Patience, RegistryOptions
from hatch_oci.registry.pools import Pools
from hatch_oci.registry.urls import Target, origin, safe_url
from hatch_oci.report import QUIET, Reporter

__all__ = ["MAX_ERROR", "Answer", "Reply", "Request", "Transport", "origin", "safe_url"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
MAX_ERROR = 64 * 1024
"""Bytes of an error's body that are read."""

_LITTLE = re.compile(r"[0-9]{1,4}")
"""How long the body of a redirect is that is worth reading."""

_HEADERS = {"User-Agent": "hatch-oci-image", "Accept": "*/*", "Accept-Encoding": "identity"}

# Its lines hold the queries of signed URLs.
logging.getLogger("httpcore").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Content:
    """What is sent with a request: `size` bytes, which `read` gives in pieces each time it is called."""

    size: int
    read: Callable[[], Iterable[bytes]] = field(repr=False)

    @classmethod
    def of(cls, data: bytes) -> Content:
        """Return bytes that are at hand as content."""
        return cls(len(data), lambda: (data,))


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, and what may happen on the way."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """An `Authorization` among them goes to the URL's own origin only."""

    content: Content | None = None
    nearest: Scope | None = None
    """How near the addresses may be; None where the user named the host."""

    redirects: int = _MAX_REDIRECTS
    follow: bool = True
    """Whether a redirect is followed; otherwise it is the answer."""

    is_blob: bool = False
    """Whether the body is checked by its digest: then it may come over plain http, without credentials."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer whose body is still to be read, in pieces, once."""

    hops: tuple[str, ...]
    """The URLs that were asked, the last of which answered."""

    status: int
    headers: Headers
    body: Iterator[bytes]

    @property
    def url(self) -> str:
        """The URL that answered."""
        return self.hops[-1]

    @property
    def retry_after(self) -> float | None:
        """How many seconds the server asks to wait, if it does."""
        return read_retry_after(self.header("retry-after"))

    def header(self, name: str) -> str:
        """Return a header's value, empty where there is none."""
        return self.headers.get(name)

    def read(self, most: int) -> bytes:
        """Return the body; a `RegistryError` if it is longer than `most` bytes, but of an error just its beginning."""
        data = bytearray()
        for chunk in self.body:
            data += chunk
            if self.status >= 400 and len(data) > MAX_ERROR:
                return bytes(data[:MAX_ERROR])
            if self.status < 400 and len(data) > most:
                message = f"{safe_url(self.url)} sent more than the {most} bytes that such an answer may have"
                raise RegistryError(message)
        return bytes(data)


@dataclass(frozen=True, slots=True)
class Reply:
    """A small answer, read whole."""

    hops: tuple[str, ...]
    status: int
    headers: Headers
    body: bytes

    @classmethod
    def of(cls, answer: Answer, most: int) -> Reply:
        """Read an answer of at most `most` bytes."""
        return cls(answer.hops, answer.status, answer.headers, answer.read(most))


class Transport:
    """Connections to registries, kept open between requests; may be shared between threads."""

    def __init__(
        self,
        options: RegistryOptions | None = None,
        reporter: Reporter = QUIET,
        patience: Patience | None = None,
        counts: Counts | None = None,
    ) -> None:
        """Reach registries as `options` say; nothing is opened before the first request."""
        self.options = options or RegistryOptions()
        self.reporter = reporter
        self.patience = patience or Patience()
        self._counts = counts or Counts()
        self._pools = Pools(self.options)

    def close(self) -> None:
        """Close all connections."""
        self._pools.close()

    def scope(self, host: str) -> Scope:
        """Return how near a host was when it was connected to; GLOBAL if it never was, or through a proxy."""
        return self._pools.scope(host)

    def fetch(self, request: Request, most: int, patience: Patience | None = None) -> Reply:
        """Send a request and read its answer, of at most `most` bytes; again after failures that may pass."""
        attempts = Attempts(patience or self.patience, self.reporter)
        while True:
            try:
                with self.open(request) as answer:
                    reply = Reply.of(answer, most)
                if reply.status not in PASSING or attempts.are_over or _is_quota(reply):
                    return reply
                problem = UnreachableError(f"HTTP {reply.status} from {origin(answer.url)}", answer.retry_after)
            except UnreachableError as error:
                problem = error
            attempts.again(problem)

    @contextmanager
    def open(self, request: Request, deadline: Deadline | None = None) -> Iterator[Answer]:
        """Send a request, once, and follow its redirects.

        An `UnreachableError` where another try may help: the connection failed, broke or stalled; a
        `PlainHTTPError` from a server that speaks no TLS; any other `RegistryError` where the certificate
        is not trusted, or it redirects too often or to a place that is not safe.
        """
        deadline = deadline or Deadline.after(self.patience.answer)
        hops = [Target.read(request.url)]
        for _ in range(request.redirects + 1):
            with explained(hops[-1].origin), within(deadline):
                response = self._send(request, hops, deadline)
            try:
                self.reporter.debug(f"{request.method} {safe_url(str(hops[-1]))}: {response.status}")
                headers = Headers.of(response.headers)
                location = headers.get("location") if request.follow and response.status in _REDIRECTS else ""
                if not location:
                    body = self._body(response, hops[-1], deadline, slowly=request.is_blob)
                    yield Answer(tuple(map(str, hops)), response.status, headers, body)
                    return
                if _LITTLE.fullmatch(headers.get("content-length")):
                    # So that the connection can be used again. What goes wrong here does not matter.
                    with suppress(RegistryError):
                        Reply.of(Answer((), 200, headers, self._body(response, hops[-1], Deadline.after(1))), MAX_ERROR)
            finally:
                response.close()
            hops.append(_next(hops[-1], location, allow_plain=request.is_blob))
        times = f"redirects more than {request.redirects} times" if request.redirects else "redirects, which it may not"
        message = f"{safe_url(request.url)} {times}"
        raise RegistryError(message)

    def _send(self, request: Request, hops: list[Target], deadline: Deadline) -> httpcore.Response:
        target = hops[-1]
        is_own = target.origin == hops[0].origin
        headers = {"Host": target.authority, **_HEADERS, **request.headers}
        if request.content is not None:
            headers["Content-Length"] = str(request.content.size)
        nearest = request.nearest
        if not is_own:
            headers.pop("Authorization", None)
            # A registry on this machine or in a private network may lead to stores that are there, too.
            nearest = self.scope(hops[0].host) if nearest is None else min(nearest, self.scope(hops[0].host))
        stall = self.patience.stall
        answers_in = self.patience.commit if request.content else stall
        sent = httpcore.Request(
            request.method,
            httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path.encode()),
            headers=list(headers.items()),
            content=self._pieces(request.content, deadline) if request.content else None,
            extensions={
                "timeout": {"connect": self.patience.connect, "read": answers_in, "write": stall, "pool": stall}
            },
        )
        return self._pools.find(target.scheme, target.host, target.port, nearest).handle_request(sent)

    def _pieces(self, content: Content, deadline: Deadline) -> Iterator[bytes]:
        """Yield what is to be sent; it gets more time as it goes on, and the server some to store it."""
        for piece in content.read():
            yield piece
            deadline.extend(self.patience.stall)
        deadline.extend(self.patience.commit)

    def _body(
        self, response: httpcore.Response, target: Target, deadline: Deadline, *, slowly: bool = False
    ) -> Iterator[bytes]:
        """Yield what arrives; a blob gets more time as it goes on."""
        pieces = blob_of(response, self.patience.stall) if slowly else response.iter_stream()
        received = fresh = 0
        try:
            while True:
                with explained(target.origin), within(deadline):
                    piece = next(pieces, None)
                if piece is None:
                    return
                received += len(piece)
                fresh += len(piece)
                if slowly and fresh >= PROGRESS:
                    fresh = 0
                    deadline.extend(self.patience.stall)
                with deadline.paused():
                    yield piece
        finally:
            # Also of a body that broke off, or that nobody read to its end.
            self._counts.add("downloaded", received)


def _is_quota(reply: Reply) -> bool:
    """Tell whether Docker Hub says that this address or user has pulled enough for hours."""
    return reply.status == 429 and Target.read(reply.hops[0]).host.endswith(".docker.io")


def _next(current: Target, location: str, *, allow_plain: bool) -> Target:
    try:
        target = Target.read(location, current)
    except RegistryError as error:
        message = f"{safe_url(str(current))} redirects to what is {error}"
        raise RegistryError(message) from None
    if target.scheme == "http" and current.scheme == "https" and not allow_plain:
        message = f"{safe_url(str(current))} redirects to {safe_url(str(target))}, which is not https"
        raise RegistryError(message)
    return target
