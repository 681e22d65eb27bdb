"""The files that a lock pins, fetched from where it says, and checked by its hashes."""

from __future__ import annotations

import base64
import netrc
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from hatch_oci.errors import ContentError, LockError, NotFoundError, RegistryError
from hatch_oci.image.digest import Digest
from hatch_oci.lock.selection import Pinned
from hatch_oci.registry.download import Download
from hatch_oci.registry.network import Deadline, is_loopback
from hatch_oci.registry.options import OFFLINE_VARIABLE, Patience
from hatch_oci.registry.transport import Answer, Reply, Request, Transport, origin, safe_url
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore, StoredBlob
from hatch_oci.store.intake import Arriving, take_in

_CHUNK = 1024 * 1024


def fetch_pinned(
    pinned: Sequence[Pinned], folder: Path, store: BlobStore, transport: Transport, reporter: Reporter
) -> dict[Digest, StoredBlob]:
    """Return the files in the store, after fetching those that are missing; `folder` is where relative paths start.

    A `LockError` for one that cannot be had, a `ContentError` for one that is not what its hash says.
    """
    found = {one.digest: store.find(one.digest, one.size) for one in pinned}
    missing = [one for one in pinned if found[one.digest] is None]
    if missing:
        if transport.options.offline and (remote := [one.filename for one in missing if one.url]):
            message = f"{', '.join(remote)}: not in the cache, and {OFFLINE_VARIABLE} is set: build once without it"
            raise LockError(message)
        total = sum(one.size or 0 for one in missing)
        arriving = [Arriving(one.digest, one.size, partial(_read, one, folder, transport)) for one in missing]
        try:
            with reporter.transfer(f"Fetching {len(missing)} wheels", total) as advance:
                found |= take_in(arriving, store, advance)
        except ContentError as error:
            names = {str(one.digest): one.filename for one in missing}
            name = next((name for digest, name in names.items() if digest in str(error)), "a file of the lock")
            message = f"{name} is not what the lock pins: {error}"
            raise ContentError(message) from error
    return {digest: blob for digest, blob in found.items() if blob}


def _read(one: Pinned, folder: Path, transport: Transport) -> Iterator[bytes]:
    if one.url is None:
        yield from _read_file(folder / (one.path or ""), one.filename)
        return
    parts = urlsplit(one.url)
    if parts.scheme == "file":
        yield from _read_file(Path(unquote(parts.path)), one.filename)
        return
    if parts.scheme not in ("https", "http") or not parts.hostname:
        message = f"{one.filename}: {safe_url(one.url)} is no URL to fetch from"
        raise LockError(message)
    index = _Index(one.url, transport)
    yield from Download(one.filename, one.size, transport).pieces(index, index.open)


def _read_file(path: Path, filename: str) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        message = f"{filename}: cannot read {path}: {error.strerror or error}"
        raise LockError(message) from error


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


def _find_user(url: str) -> tuple[str, str] | None:
    """Return user and password for an index from ~/.netrc, else from the keyring, if it is installed."""
    host = urlsplit(url).hostname or ""
    with suppress(OSError, netrc.NetrcParseError, RuntimeError):
        if found := netrc.netrc(os.environ.get("NETRC")).authenticators(host):
            return found[0], found[2]
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
