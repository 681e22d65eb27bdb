"""URLs as users and servers write them: read, joined, and shown without what may be secret."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from hatch_oci.errors import RegistryError
from hatch_oci.image.document import printable

_LONGEST = 65536
_LONGEST_SHOWN = 200
_LONGEST_HOST = 253
PORTS = {"http": 80, "https": 443}
"""Those that go without saying."""

_NAME = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?\.?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_KEPT = "!#$%&'()*+,/:;=?@[]~"
"""What is not quoted in paths and queries; `%` among it, for servers quote what they want quoted."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL of http or https that can be asked for."""

    scheme: str
    host: str
    """In lower case, ASCII and without brackets."""

    port: int | None
    """None if it goes without saying."""

    authority: str
    """What the `Host` header says: as the URL was written, for a store's signature may cover a port that goes
    without saying.
    """

    path: str
    """Path and query, quoted as they are sent."""

    has_user: bool
    """Whether the URL names a user; nobody is told."""

    @classmethod
    def read(cls, text: str, base: Target | None = None) -> Target:
        """Read a URL, which may be relative to `base`; a `RegistryError` for whatever cannot be asked for."""
        # urllib would leave control characters out.
        if len(text) <= _LONGEST and not _CONTROL.search(text):
            # Of ports that are none, brackets that do not close, names that IDNA does not allow.
            try:
                parts = urlsplit(urljoin(str(base), text) if base else text)
                if parts.scheme in PORTS and (host := _read_host(parts.hostname or "")) and parts.port != 0:
                    return cls._of(parts, host)
            except ValueError:
                pass
        message = f"not a URL of http or https: {safe_url(text)!r}"
        raise RegistryError(message)

    @classmethod
    def _of(cls, parts: SplitResult, host: str) -> Target:
        written = f"[{host}]" if ":" in host else host
        query = f"?{parts.query}" if parts.query else ""
        return cls(
            parts.scheme,
            host,
            parts.port if parts.port != PORTS[parts.scheme] else None,
            written if parts.port is None else f"{written}:{parts.port}",
            quote(f"{parts.path or '/'}{query}", safe=_KEPT),
            "@" in parts.netloc,
        )

    @property
    def origin(self) -> str:
        """Scheme, host and port, which is left out where it goes without saying."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" if self.port is None else f"{self.scheme}://{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def _read_host(name: str) -> str:
    """Return a host as it is asked for, empty if it cannot be; a `ValueError` for some that cannot."""
    if ":" in name:
        return ipaddress.IPv6Address(name).compressed if "%" not in name else ""
    if not name.isascii():
        # Not above: hardly anybody needs its tables.
        import idna

        name = idna.encode(name, uts46=True).decode("ascii")
    return name if len(name) <= _LONGEST_HOST and _NAME.fullmatch(name) else ""


def origin(url: str) -> str:
    """Return scheme, host and port of a URL."""
    return Target.read(url).origin


def safe_url(url: str) -> str:
    """Return a URL, or what should be one, without what may be secret: its user and its query."""
    return printable(re.sub(r"//[^/?#]*@", "//", re.split(r"[?#]", url, maxsplit=1)[0]), _LONGEST_SHOWN)
