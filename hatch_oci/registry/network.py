"""TCP connections below the HTTP library: to addresses that are allowed, and never beyond a deadline."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import httpcore

from hatch_oci import stopping

_STEP = 0.25
"""Seconds after which a wait looks whether it was called off."""

# Networks of IPv6 whose addresses end in one of IPv4: RFC 6052, RFC 8215, RFC 4291 and RFC 2765.
_WRAPPINGS = [ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")]
_CARRIER = ipaddress.ip_network("100.64.0.0/10")
# "This" network, and that for protocols, where some clouds keep their metadata. Not in all of Python's tables.
_NOWHERE = [ipaddress.IPv4Network(text) for text in ("0.0.0.0/8", "192.0.0.0/24")]
_AWS_METADATA = ipaddress.ip_address("fd00:ec2::254")


class Scope(IntEnum):
    """How near an address is. A registry may lead to what is no nearer than itself."""

    NEVER = -1
    """Link-local, where clouds keep their machines' credentials, shared carrier space, multicast and the like."""

    GLOBAL = 0
    PRIVATE = 1
    LOOPBACK = 2


class ForbiddenAddressError(Exception):
    """A name that leads to an address where nothing may be asked for."""


class UnknownHostError(Exception):
    """A name that has no address."""


@dataclass(slots=True)
class Deadline:
    """The moment, on the monotonic clock, when what goes on in this thread has taken too long."""

    until: float
    last: float = float("inf")
    """The latest moment that it can be put off to."""

    @classmethod
    def after(cls, seconds: float, most: float = float("inf")) -> Deadline:
        """Return the deadline that many seconds from now, which may be put off, but not beyond `most` seconds."""
        now = time.monotonic()
        return cls(now + seconds, now + most)

    @property
    def is_over(self) -> bool:
        """Whether the moment has passed."""
        return time.monotonic() >= self.until

    def extend(self, seconds: float) -> None:
        """Put it off until that many seconds from now."""
        self.until = min(max(self.until, time.monotonic() + seconds), self.last)

    def remaining(self, timeout: float | None) -> float:
        """Return how long to wait at most, in seconds; a `httpcore.ReadTimeout` where no time is left."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left if timeout is None else min(left, timeout)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock for as long as somebody else works."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.until += time.monotonic() - start
            self.last += time.monotonic() - start


_deadline: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def within(deadline: Deadline) -> Iterator[None]:
    """Hold this thread's connections to `deadline`."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


@dataclass
class Dialler(httpcore.NetworkBackend):
    """Opens connections to addresses that are no nearer than `nearest`; None allows all but link-local ones."""

    nearest: Scope | None
    reached: dict[str, Scope] = field(default_factory=dict)
    """How near the addresses were that connections were made to, by host."""

    system: httpcore.NetworkBackend = field(default_factory=httpcore.SyncBackend)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of `host` that answers."""
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self._allowed(host, port):
            try:
                stream = self.system.connect_tcp(address, port, _remaining(timeout), local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                self.reached[host] = scope_of(address)
                return _Stream(stream)
        raise failure

    def _allowed(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
                raise httpcore.ConnectError(str(error)) from error
            message = f"{host} has no address"
            raise UnknownHostError(message) from error
        return allowed(host, list(dict.fromkeys(str(entry[4][0]) for entry in found)), self.nearest)


def allowed(host: str, addresses: Sequence[str], nearest: Scope | None) -> list[str]:
    """Return those of a host's addresses that may be dialled; a `ForbiddenAddressError` where none may."""
    found = [address for address in addresses if may_reach(address, nearest)]
    if is_loopback(host):
        # It is asked by plain http, and without a proxy, for what its name says.
        found = [address for address in found if scope_of(address) is Scope.LOOPBACK]
    if not found:
        message = f"{host} leads to {addresses[0]}, where a registry has no business"
        raise ForbiddenAddressError(message)
    return found


def may_reach(address: str, nearest: Scope | None) -> bool:
    """Tell whether an address is no nearer than `nearest`; None allows all but link-local ones."""
    scope = scope_of(address)
    if nearest is None:
        # What a user names is meant, be it in the shared space that some private networks use.
        return scope is not Scope.NEVER or _plain(address) in _CARRIER
    return Scope.NEVER < scope <= nearest


def scope_of(address: str) -> Scope:
    """Return how near an IP address is."""
    plain = _plain(address)
    if (
        plain.is_link_local
        or plain.is_multicast
        or plain.is_unspecified
        or plain == _AWS_METADATA
        or plain in _CARRIER
        or any(plain in network for network in _NOWHERE)
        or (plain.version == 4 and plain.is_reserved)
    ):
        return Scope.NEVER
    if plain.is_loopback:
        return Scope.LOOPBACK
    site_local = isinstance(plain, ipaddress.IPv6Address) and plain.is_site_local
    return Scope.GLOBAL if plain.is_global and not site_local else Scope.PRIVATE


def is_loopback(host: str) -> bool:
    """Tell whether a host's name or address, without brackets and port, is this machine's own."""
    if address := address_of(host):
        return scope_of(address) is Scope.LOOPBACK
    name = host.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost")


def is_name(host: str) -> bool:
    """Tell whether a host is a name, and no address."""
    return address_of(host) is None


def address_of(host: str) -> str | None:
    """Return the address that a host is, also as the numbers that systems take for one: `127.1`, `0x7f000001`."""
    plain = host.removesuffix(".")
    with suppress(ValueError):
        return str(ipaddress.ip_address(plain))
    with suppress(ValueError, OSError):
        return socket.inet_ntoa(socket.inet_aton(plain))
    return None


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an address without what wraps an IPv4 address into an IPv6 one."""
    plain = ipaddress.ip_address(address)
    if isinstance(plain, ipaddress.IPv4Address) or plain.is_loopback or plain.is_unspecified:
        return plain
    if any(plain in network for network in _WRAPPINGS):
        return ipaddress.IPv4Address(int(plain) & 0xFFFFFFFF)
    return plain.ipv4_mapped or plain.sixtofour or plain


def _remaining(timeout: float | None) -> float | None:
    stopping.check()
    deadline = _deadline.get()
    return deadline.remaining(timeout) if deadline else timeout


@dataclass
class _Stream(httpcore.NetworkStream):
    """A connection each of whose steps ends by the deadline, so that a drip ends too."""

    inner: httpcore.NetworkStream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        end = Deadline.after(float("inf") if timeout is None else timeout)
        while True:
            step = _remaining(end.remaining(_STEP))
            with suppress(httpcore.ReadTimeout):
                return self.inner.read(max_bytes, step)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.inner.write(buffer, _remaining(timeout))

    def close(self) -> None:
        self.inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self.inner.start_tls(ssl_context, server_hostname, _remaining(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)
