"""HTTP: the only module that knows httpx.

Redirects are followed by hand, so that each target is checked and credentials stay with their origin; bodies
are read as they are on the wire, since that is what digests are of, and never beyond a bound.
"""

from __future__ import annotations

import ipaddress
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy

import httpx

from hatch_oci.errors import RegistryError

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_CONNECT_SECONDS = 10.0
_STALL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer whose body is still to be read, in pieces, once."""

    url: str
    status: int
    headers: httpx.Headers
    body: Iterator[bytes]

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


class Transport:
    """Connections to registries, kept open between requests; may be shared between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: httpx.Client | None = None

    def close(self) -> None:
        """Close all connections."""
        if self._made:
            self._made.close()

    def _client(self) -> httpx.Client:
        """Return the client, made at the first request: a build that finds all in its cache makes none."""
        with self._lock:
            if self._made is None:
                self._made = httpx.Client(
                    verify=ssl.create_default_context(),
                    trust_env=False,
                    follow_redirects=False,
                    timeout=httpx.Timeout(_STALL_SECONDS, connect=_CONNECT_SECONDS),
                    headers={"User-Agent": "hatch-oci-image", "Accept-Encoding": "identity"},
                )
                self._made.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            return self._made

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str]) -> Iterator[Answer]:
        """Ask for `url`; an `Authorization` in `headers` goes to that origin only.

        A `RegistryError` where the server can't be reached, the connection breaks, or it redirects too often
        or to a place that is not safe.
        """
        target = _parse(url)
        origin = _origin(target)
        for _ in range(_MAX_REDIRECTS + 1):
            sent = {
                name: value
                for name, value in headers.items()
                if name.lower() != "authorization" or _origin(target) == origin
            }
            with _failures(target), self._client().stream("GET", target, headers=sent) as response:
                if response.status_code not in _REDIRECTS or "location" not in response.headers:
                    yield Answer(str(target), response.status_code, response.headers, _body(response))
                    return
                target = _next(target, response.headers["location"])
        message = f"{safe_url(url)} redirects more than {_MAX_REDIRECTS} times"
        raise RegistryError(message)


def safe_url(url: str) -> str:
    """Return a URL without what may be secret: its user and its query."""
    parsed = httpx.URL(url)
    return str(parsed.copy_with(userinfo=b"", query=None, fragment=None))


def is_loopback(host: str) -> bool:
    """Tell whether a registry's host, with or without a port, is this machine."""
    name = host[1 : host.index("]")] if host.startswith("[") else host.partition(":")[0]
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _body(response: httpx.Response) -> Iterator[bytes]:
    with _failures(response.request.url):
        yield from response.iter_raw()


def _next(current: httpx.URL, location: str) -> httpx.URL:
    target = current.join(_parse(location))
    secure = target.scheme == "https" or (target.scheme == "http" and current.scheme == "http")
    if not secure or not target.host:
        message = f"{safe_url(str(current))} redirects to {safe_url(str(target))[:200]}, which is not https"
        raise RegistryError(message)
    return target


def _parse(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except httpx.InvalidURL as error:
        message = f"not a URL: {url[:80]!r}: {error}"
        raise RegistryError(message) from None


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


@contextmanager
def _failures(url: httpx.URL) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        message = f"no answer from {safe_url(str(url))}: {reason}"
        raise RegistryError(message) from error
