"""Which proxy a request goes through: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in either case.

Read here, since the HTTP library sends requests to this machine through proxies, and stumbles over `[::1]:5000`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from hatch_oci.errors import RegistryError
from hatch_oci.registry.network import is_loopback


def find_proxy(scheme: str, host: str, port: int, environ: Mapping[str, str]) -> str | None:
    """Return the URL of the proxy for a host (without brackets), None where it is asked directly.

    A `RegistryError` where the variable holds no URL of an HTTP proxy.
    """
    if is_loopback(host) or _is_excepted(host, port, _read("no_proxy", environ)):
        return None
    for variable in (f"{scheme}_proxy", "all_proxy"):
        if value := _read(variable, environ):
            return _checked(variable.upper(), value)
    return None


def _read(variable: str, environ: Mapping[str, str]) -> str:
    return (environ.get(variable) or environ.get(variable.upper()) or "").strip()


def _checked(variable: str, value: str) -> str:
    url = value if "://" in value else f"http://{value}"
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme == "http" and parts.hostname and parts.port != 0 and url.isascii():
            return url
    message = f"{variable} must be the URL of an HTTP proxy, like http://proxy.example:3128"
    if value.lower().startswith("https://"):
        # There would be TLS within TLS, which the library reads with no regard to deadlines.
        message += "; one that is itself asked by https is not supported"
    raise RegistryError(message)


def _is_excepted(host: str, port: int, exceptions: str) -> bool:
    return any(_matches(entry.lower(), host.lower(), port) for entry in re.split(r"[\s,]+", exceptions) if entry)


def _matches(entry: str, host: str, port: int) -> bool:
    """Tell whether an entry of `NO_PROXY` means a host: `*`, a domain, address or network, each maybe with a port."""
    if entry == "*":
        return True
    name, bracket, rest = entry.removeprefix("[").partition("]")
    if bracket:
        only = rest.removeprefix(":")
    elif entry.count(":") == 1:
        name, _, only = entry.partition(":")
    else:
        only = ""
    if only and only != str(port):
        return False
    with suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    domain = name.removeprefix("*").removeprefix(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))
