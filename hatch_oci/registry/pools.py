"""Connections, kept open: a pool for each host, with the host's own TLS settings and proxy."""

from __future__ import annotations

import os
import threading
from urllib.parse import unquote_to_bytes, urlsplit

import httpcore

from hatch_oci.registry.network import Dialler, ForbiddenAddressError, Scope, address_of, may_reach
from hatch_oci.registry.options import RegistryOptions
from hatch_oci.registry.proxies import find_proxy
from hatch_oci.registry.tls import tls_context
from hatch_oci.registry.urls import PORTS


class Pools:
    """Pools of connections; may be shared between threads."""

    def __init__(self, options: RegistryOptions) -> None:
        """Connect to nothing yet."""
        self._options = options
        self._lock = threading.Lock()
        self._pools: dict[object, tuple[httpcore.ConnectionPool, Dialler]] = {}

    def find(self, scheme: str, host: str, port: int | None, nearest: Scope | None) -> httpcore.ConnectionPool:
        """Return the pool for a host (without brackets), whose addresses may be no nearer than `nearest`.

        A `RegistryError` where its certificates or its proxy are set wrongly.
        """
        key = (scheme, host, port or PORTS[scheme], nearest)
        with self._lock:
            if key not in self._pools:
                self._pools[key] = self._make(*key)
            return self._pools[key][0]

    def scope(self, host: str) -> Scope:
        """Return how near a host was when it was connected to; GLOBAL if it never was, or through a proxy."""
        with self._lock:
            diallers = [dialler for _, dialler in self._pools.values()]
        return max((dialler.reached.get(host, Scope.GLOBAL) for dialler in diallers), default=Scope.GLOBAL)

    def close(self) -> None:
        """Close all connections."""
        for pool, _ in self._pools.values():
            pool.close()

    def _make(
        self, scheme: str, host: str, port: int, nearest: Scope | None
    ) -> tuple[httpcore.ConnectionPool, Dialler]:
        context = None
        if scheme == "https":
            context = tls_context(host, port, verify=not self._options.is_insecure(host, port))
        proxy = find_proxy(scheme, host, port, os.environ)
        if proxy is None:
            dialler = Dialler(nearest)
            return httpcore.ConnectionPool(context, network_backend=dialler), dialler
        address = address_of(host)
        if address and not may_reach(address, nearest):
            message = f"{host} is an address where a registry has no business"
            raise ForbiddenAddressError(message)
        # Only the proxy knows where names lead.
        dialler = Dialler(None)
        parts = urlsplit(proxy)
        user = (unquote_to_bytes(parts.username), unquote_to_bytes(parts.password or "")) if parts.username else None
        pool = httpcore.HTTPProxy(
            httpcore.URL(scheme=parts.scheme, host=parts.hostname or "", port=parts.port, target="/"),
            proxy_auth=user,
            ssl_context=context,
            network_backend=dialler,
        )
        return pool, dialler
