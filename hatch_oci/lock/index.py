"""A file on the server of an index, which may want to know who asks."""

from __future__ import annotations

import base64
import netrc
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from hatch_oci.errors import LockError, NotFoundError, RegistryError
from hatch_oci.registry.download import Download
from hatch_oci.registry.network import Deadline, is_loopback
from hatch_oci.registry.options import Patience
from hatch_oci.registry.transport import Answer, Reply, Request, Transport, origin, safe_url


def read_url(url: str, filename: str, size: int | None, transport: Transport) -> Iterator[bytes]:
    """Yield the bytes at a URL, which are not checked here; `size` is how many they are, where that is known."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        message = f"{filename}: {safe_url(url)} is no URL to fetch from"
        raise LockError(message)
    index = _Index(url, transport)
    yield from Download(filename, size, transport).pieces(index, index.open)


class _Index:
    """The server of a file's URL, which may want to know who asks."""

    def __init__(self, url: str, transport: Transport) -> None:
        parts = urlsplit(url)
        self._url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
        self._user = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        self._transport = transport

    @property
    def host(self) -> str:
        return origin(self._url)

    @property
    def patience(self) -> Patience:
        return self._transport.patience

    def problem(self, reply: Reply, what: str) -> RegistryError:
        if reply.status in (401, 403):
            hint = "put its credentials into ~/.netrc or the keyring"
            return RegistryError(f"{self.host} refuses {what} (HTTP {reply.status}): {hint}")
        if reply.status in (404, 410):
            return NotFoundError(f"{self.host} has no {what} any more (HTTP {reply.status}): make the lock anew")
        return RegistryError(f"HTTP {reply.status} from {self.host} about {what}")

    @contextmanager
    def open(self, headers: Mapping[str, str], deadline: Deadline) -> Iterator[Answer]:
        """Ask bare, and again with credentials where that is refused; they go to this very host alone."""
        with self._ask(headers, deadline, self._user) as answer:
            if answer.status not in (401, 403) or self._user or len(answer.hops) > 1:
                yield answer
                return
        self._user = _find_user(self._url)
        with self._ask(headers, deadline, self._user) as answer:
            yield answer

    def _ask(
        self, headers: Mapping[str, str], deadline: Deadline, user: tuple[str, str] | None
    ) -> AbstractContextManager[Answer]:
        sent = dict(headers)
        parts = urlsplit(self._url)
        if user and (parts.scheme == "https" or is_loopback(parts.hostname or "")):
            sent["Authorization"] = f"Basic {base64.b64encode(':'.join(user).encode()).decode('ascii')}"
        return self._transport.open(Request("GET", self._url, sent, is_blob=True), deadline)


def netrc_user(host: str) -> tuple[str, str] | None:
    """Return user and password for a host from ~/.netrc; one that cannot be read has none."""
    # ValueError: of one that is no text. Neither may be there, which is None.
    with suppress(OSError, netrc.NetrcParseError, RuntimeError, ValueError):
        place = os.environ.get("NETRC")
        # A pipe would be waited for.
        if Path(place or "~/.netrc").expanduser().is_file() and (found := netrc.netrc(place).authenticators(host)):
            return found[0] or "", found[2] or ""
    return None


def _find_user(url: str) -> tuple[str, str] | None:
    """Return user and password for an index from ~/.netrc, else from the keyring, if it is installed."""
    host = urlsplit(url).hostname or ""
    if found := netrc_user(host):
        return found
    try:
        import keyring
    except ImportError:
        return None
    # Whatever a keyring's back-end raises, the index has the last word.
    with suppress(Exception):
        for name in (origin(url), host):
            if credential := keyring.get_credential(name, None):
                return credential.username, credential.password
    return None
