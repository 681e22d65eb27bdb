"""HTTP: the only module that knows httpx.

Redirects are followed by hand, so that each target is checked and credentials stay with their origin; bodies
are read as they are on the wire, since that is what digests are of, and never beyond a bound or a deadline.
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import unquote, urlsplit

import httpcore
import httpx

from hatch_oci.errors import PlainHTTPError, RegistryError, UnreachableError
from hatch_oci.image.document import printable
from hatch_oci.registry.attempts import PASSING, Attempts, read_retry_after
from hatch_oci.registry.network import (
    Deadline,
    Dialler,
    ForbiddenAddressError,
    Scope,
    UnknownHostError,
    is_name,
    scope_of,
    within,
)
from hatch_oci.registry.options import Patience, RegistryOptions
from hatch_oci.registry.proxies import find_proxy
from hatch_oci.registry.tls import tls_context
from hatch_oci.report import QUIET, Reporter

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_PROGRESS = 64 * 1024
_PORTS = {"http": 80, "https": 443}
_HTTPCORE_ERRORS = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)

# How OpenSSL calls an answer that is no TLS, by its versions.
_PLAIN_REASONS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
_NAMES: dict[type[Exception], str] = {
    httpcore.ConnectTimeout: "the connection takes too long",
    httpcore.ReadTimeout: "it sends nothing any more, or too little",
    httpcore.WriteTimeout: "it takes nothing any more",
    httpcore.ReadError: "the connection broke",
    httpcore.WriteError: "the connection broke",
}

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
        self._network: _Network | None = None
        self._made: httpx.Client | None = None

    def close(self) -> None:
        """Close all connections."""
        if self._made:
            self._made.close()

    def scope(self, host: str) -> Scope:
        """Return how near a host was when it was connected to; GLOBAL if it never was, or through a proxy."""
        return self._network.scope(host) if self._network else Scope.GLOBAL

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
            with _failures(hops[-1]), within(deadline):
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
            # A signature may cover the Host header as the URL writes it, with a port that goes without saying.
            hosts.append(urlsplit(location).netloc.rpartition("@")[2])
        message = f"{safe_url(request.url)} redirects more than {request.redirects} times"
        raise RegistryError(message)

    def _send(self, request: Request, hops: list[httpx.URL], host: str) -> httpx.Response:
        target = hops[-1]
        is_own = _origin(target) == _origin(hops[0])
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
            with _failures(response.request.url), within(deadline):
                piece = next(pieces, None)
            if piece is None:
                return
            fresh += len(piece)
            if slowly and fresh >= _PROGRESS:
                fresh = 0
                deadline.extend(self.patience.stall)
            with deadline.paused():
                yield piece

    def _client(self) -> httpx.Client:
        """Return the client, made at the first request: a build that finds all in its cache makes none."""
        with self._lock:
            if self._made is None:
                self._network = _Network(self.options)
                self._made = httpx.Client(
                    transport=self._network,
                    trust_env=False,
                    follow_redirects=False,
                    headers={"User-Agent": "hatch-oci-image", "Accept-Encoding": "identity"},
                )
                self._made.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            return self._made


class _Network(httpx.BaseTransport):
    """Hands each request to a pool of connections for its host, with the host's own TLS settings and proxy."""

    def __init__(self, options: RegistryOptions) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._pools: dict[object, tuple[httpcore.ConnectionPool, Dialler]] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        pool = self._pool(request.url, request.extensions.get("nearest"))
        url = request.url
        response = pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    def scope(self, host: str) -> Scope:
        """Return the nearest scope in which a host was found."""
        with self._lock:
            diallers = [dialler for _, dialler in self._pools.values()]
        return max((dialler.reached.get(host, Scope.GLOBAL) for dialler in diallers), default=Scope.GLOBAL)

    def close(self) -> None:
        for pool, _ in self._pools.values():
            pool.close()

    def _pool(self, url: httpx.URL, nearest: Scope | None) -> httpcore.ConnectionPool:
        port = url.port or _PORTS[url.scheme]
        proxy = find_proxy(url.scheme, url.host, port, os.environ)
        key = (url.scheme, url.host, port, nearest)
        with self._lock:
            if key not in self._pools:
                self._pools[key] = self._make_pool(url, port, proxy, nearest)
            return self._pools[key][0]

    def _make_pool(
        self, url: httpx.URL, port: int, proxy: str | None, nearest: Scope | None
    ) -> tuple[httpcore.ConnectionPool, Dialler]:
        name = url.netloc.decode("ascii")
        context = None
        if url.scheme == "https":
            context = tls_context(url.host, port, verify=name not in self._options.insecure_registries)
        if proxy is None:
            dialler = Dialler(nearest)
            return httpcore.ConnectionPool(context, network_backend=dialler), dialler
        if nearest is not None and not is_name(url.host) and not Scope.NEVER < scope_of(url.host) <= nearest:
            message = f"{url.host} is an address where a registry has no business"
            raise ForbiddenAddressError(message)
        # Only the proxy knows where other names lead.
        dialler = Dialler(None)
        parts = urlsplit(proxy)
        user = (unquote(parts.username or ""), unquote(parts.password or "")) if parts.username else None
        pool = httpcore.HTTPProxy(
            httpcore.URL(scheme=parts.scheme, host=parts.hostname or "", port=parts.port, target="/"),
            proxy_auth=user,
            ssl_context=context,
            network_backend=dialler,
        )
        return pool, dialler


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
    parsed = _parse(url)
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"


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


def _parse(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        message = f"not a URL: {printable(url.partition('?')[0])!r}: {error}"
        raise RegistryError(message) from None


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme, 0)


@contextmanager
def _failures(url: httpx.URL) -> Iterator[None]:
    """Tell of a request's failure; whether it may pass is in the error's class."""
    where = f"{url.scheme}://{url.netloc.decode('ascii')}"
    try:
        yield
    except (ForbiddenAddressError, UnknownHostError) as error:
        message = f"no answer from {where}: {error}"
        raise RegistryError(message) from error
    except httpcore.ProxyError as error:
        message = f"the proxy does not lead to {where}: {error}"
        raise UnreachableError(message) from error
    except (*_HTTPCORE_ERRORS, httpx.HTTPError) as error:
        raise _explained(where, url, error) from error


def _explained(where: str, url: httpx.URL, error: Exception) -> RegistryError:
    reason: Any = error.__cause__ or error.__context__
    while reason is not None and not isinstance(reason, ssl.SSLError):
        reason = reason.__cause__ or reason.__context__
    if isinstance(reason, ssl.SSLCertVerificationError):
        return RegistryError(
            f"the certificate of {where} is not trusted: {reason.verify_message}\n"
            f"If it is right, name its authority in SSL_CERT_FILE, or put it into "
            f"~/.config/containers/certs.d/{url.netloc.decode('ascii')}/ca.crt"
        )
    if isinstance(reason, ssl.SSLError) and reason.reason in _PLAIN_REASONS:
        return PlainHTTPError(f"{where} speaks plain http, not https")
    text = str(error) or _NAMES.get(type(error), type(error).__name__)
    return UnreachableError(f"no answer from {where}: {text}")
