"""HTTP: the only module that knows httpx.

Redirects are followed by hand, so that each target is checked and credentials stay with their origin; bodies
are read as they are on the wire, since that is what digests are of, and never beyond a bound or a deadline.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import httpcore
import httpx

from hatch_oci.errors import RegistryError, UnreachableError
from hatch_oci.image.document import printable
from hatch_oci.registry.attempts import PASSING, Attempts, read_retry_after
from hatch_oci.registry.failures import explained
from hatch_oci.registry.network import Deadline, Scope, within
from hatch_oci.registry.options import Patience, RegistryOptions
from hatch_oci.registry.pools import Pools
from hatch_oci.report import QUIET, Reporter

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
MAX_ERROR = 64 * 1024
"""Bytes of an error's body that are read."""

PROGRESS = 64 * 1024
"""Bytes of a blob that are worth waiting on."""


# Their lines hold the queries of signed URLs.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, and what may happen on the way."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """An `Authorization` among them goes to the URL's own origin only."""

    content: bytes | None = None
    nearest: Scope | None = None
    """How near the addresses may be; None where the user named the host."""

    redirects: int = _MAX_REDIRECTS
    is_blob: bool = False
    """Whether the body is checked by its digest: then it may come over plain http, without credentials."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer whose body is still to be read, in pieces, once."""

    hops: tuple[str, ...]
    """The URLs that were asked, the last of which answered."""

    status: int
    headers: httpx.Headers
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
        return str(self.headers.get(name, ""))

    def header_list(self, name: str) -> list[str]:
        """Return the values of a header that may come several times."""
        return list(self.headers.get_list(name))

    def read(self, most: int) -> bytes:
        """Return the body; a `RegistryError` when it is longer than `most` bytes."""
        data = bytearray()
        for chunk in self.body:
            data += chunk
            if len(data) > most:
                message = f"{safe_url(self.url)} sent more than the {most} bytes that such an answer may have"
                raise RegistryError(message)
        return bytes(data)


@dataclass(frozen=True, slots=True)
class Reply:
    """A small answer, read whole."""

    hops: tuple[str, ...]
    status: int
    headers: httpx.Headers
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
    ) -> None:
        """Reach registries as `options` say; nothing is opened before the first request."""
        self.options = options or RegistryOptions()
        self.reporter = reporter
        self.patience = patience or Patience()
        self._lock = threading.Lock()
        self._pools = Pools(self.options)
        self._made: httpx.Client | None = None

    def close(self) -> None:
        """Close all connections."""
        if self._made:
            self._made.close()

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
        hops = [_parse(request.url)]
        hosts = [""]
        for _ in range(request.redirects + 1):
            with explained(_where(hops[-1])), within(deadline):
                response = self._send(request, hops, hosts[-1])
            try:
                self.reporter.debug(f"{request.method} {safe_url(str(hops[-1]))}: {response.status_code}")
                location = response.headers.get("location") if response.status_code in _REDIRECTS else None
                if location is None:
                    body = self._body(response, deadline, slowly=request.is_blob)
                    yield Answer(tuple(map(str, hops)), response.status_code, response.headers, body)
                    return
            finally:
                response.close()
            hops.append(_next(hops[-1], location, allow_plain=request.is_blob))
            hosts.append(_host(hops[-1], location))
        message = f"{safe_url(request.url)} redirects more than {request.redirects} times"
        raise RegistryError(message)

    def _send(self, request: Request, hops: list[httpx.URL], host: str) -> httpx.Response:
        target = hops[-1]
        is_own = _where(target) == _where(hops[0])
        headers = {name: value for name, value in request.headers.items() if is_own or name.lower() != "authorization"}
        if host:
            headers["Host"] = host
        nearest = request.nearest
        if not is_own:
            # A registry on this machine or in a private network may lead to stores that are there, too.
            nearest = self.scope(hops[0].host) if nearest is None else min(nearest, self.scope(hops[0].host))
        client = self._client()
        sent = client.build_request(
            request.method,
            target,
            headers=headers,
            content=request.content,
            timeout=httpx.Timeout(self.patience.stall, connect=self.patience.connect),
            extensions={"nearest": nearest},
        )
        return client.send(sent, stream=True)

    def _body(self, response: httpx.Response, deadline: Deadline, *, slowly: bool) -> Iterator[bytes]:
        """Yield what arrives; a blob gets more time as it goes on."""
        pieces = response.iter_raw()
        fresh = 0
        while True:
            with explained(_where(response.request.url)), within(deadline):
                piece = next(pieces, None)
            if piece is None:
                return
            fresh += len(piece)
            if slowly and fresh >= PROGRESS:
                fresh = 0
                deadline.extend(self.patience.stall)
            with deadline.paused():
                yield piece

    def _client(self) -> httpx.Client:
        """Return the client, made at the first request: a build that finds all in its cache makes none."""
        with self._lock:
            if self._made is None:
                self._made = httpx.Client(
                    transport=_Network(self._pools),
                    trust_env=False,
                    follow_redirects=False,
                    headers={"User-Agent": "hatch-oci-image", "Accept-Encoding": "identity"},
                )
                self._made.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            return self._made


class _Network(httpx.BaseTransport):
    """Hands each request to the connections for its host."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        sent = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        pool = self._pools.find(url.scheme, url.host, url.port, request.extensions.get("nearest"))
        response = pool.handle_request(sent)
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    def close(self) -> None:
        self._pools.close()


class _Body(httpx.SyncByteStream):
    """The body of an answer, as it comes from the pool."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


def safe_url(url: str) -> str:
    """Return a URL without what may be secret: its user and its query."""
    parsed = _parse(url)
    return str(parsed.copy_with(userinfo=b"", query=None, fragment=None))[:200]


def origin(url: str) -> str:
    """Return scheme, host and port of a URL."""
    return _where(_parse(url))


def _where(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _is_quota(reply: Reply) -> bool:
    """Tell whether Docker Hub says that this address or user has pulled enough for hours."""
    return reply.status == 429 and (urlsplit(reply.hops[0]).hostname or "").endswith(".docker.io")


def _next(current: httpx.URL, location: str, *, allow_plain: bool) -> httpx.URL:
    target = current.join(_parse(location))
    secure = target.scheme == "https" or (target.scheme == "http" and (current.scheme == "http" or allow_plain))
    if not secure or not target.host:
        message = f"{safe_url(str(current))} redirects to {safe_url(str(target))}, which is not https"
        raise RegistryError(message)
    return target


def _host(target: httpx.URL, location: str) -> str:
    """Return the `Host` for a redirect's target as its URL writes it, empty where that is the usual one.

    A store's signature may cover it, with a port that goes without saying.
    """
    port = urlsplit(location).port
    return f"{target.netloc.decode('ascii')}:{port}" if port and target.port is None else ""


def _parse(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        message = f"not a URL: {printable(url.partition('?')[0])!r}: {error}"
        raise RegistryError(message) from None
