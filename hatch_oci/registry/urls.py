"""URLs as users and servers write them: read, joined, and shown without what may be secret."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from hatch_oci.errors import RegistryError
from hatch_oci.image.document import printable

_LONGEST = 200
_LONGEST_HOST = 253


@dataclass(frozen=True, slots=True)
class Target:
    """A URL of http or https that can be asked for."""

    url: httpx.URL
    authority: str
    """What the `Host` header says: as the URL was written, for a store's signature may cover a port that goes
    without saying.
    """

    @classmethod
    def read(cls, text: str, base: Target | None = None) -> Target:
        """Read a URL, which may be relative to `base`; a `RegistryError` for whatever cannot be asked for."""
        try:
            url = base.url.join(text) if base else httpx.URL(text)
            authority = url.netloc.decode("ascii")
            written = urlsplit(text).port
            is_host = 0 < len(url.raw_host) <= _LONGEST_HOST
            if url.scheme in ("http", "https") and is_host and (url.port is None or 0 < url.port < 65536):
                return cls(url, f"{authority}:{written}" if written and url.port is None else authority)
        # Of names that IDNA does not allow, ports that are none, brackets that do not close.
        except (httpx.InvalidURL, ValueError):
            pass
        message = f"not a URL of http or https: {safe_url(text)!r}"
        raise RegistryError(message)

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        return self.url.scheme

    @property
    def host(self) -> str:
        """The host, in lower case, ASCII and without brackets."""
        return self.url.raw_host.decode("ascii")

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.url.netloc.decode('ascii')}"

    def __str__(self) -> str:
        return str(self.url)


def origin(url: str) -> str:
    """Return scheme, host and port of a URL."""
    return Target.read(url).origin


def safe_url(url: str) -> str:
    """Return a URL, or what should be one, without what may be secret: its user and its query."""
    return printable(re.sub(r"//[^/?#]*@", "//", re.split(r"[?#]", url, maxsplit=1)[0]), _LONGEST)
