"""Blobs and manifests into a registry (distribution-spec, "Push")."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from hatch_oci.errors import RegistryError, UnreachableError
from hatch_oci.image.digest import Digest
from hatch_oci.registry.attempts import PASSING, Attempts, read_retry_after
from hatch_oci.registry.session import Place, Session
from hatch_oci.registry.transport import MAX_ERROR, Content, Transport

_ACCEPTED = 202
_CREATED = 201


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob to push: `read` gives its `size` bytes in pieces, each time it is called."""

    digest: Digest
    size: int
    read: Callable[[], Iterator[bytes]]


class MissingBlobsError(RegistryError):
    """A registry that does not take a manifest, since it lacks something that the manifest names."""


class Destination:
    """A repository to write to; may be shared between threads."""

    def __init__(self, transport: Transport, host: str, repository: str) -> None:
        """Ask for nothing yet."""
        self.host = host
        self.repository = repository
        self._transport = transport
        self._session = Session(transport, Place(host, repository), transport.patience, actions="pull,push")

    def has(self, digest: Digest) -> bool:
        """Tell whether the repository has a blob."""
        reply = self._session.fetch("HEAD", f"/blobs/{digest}", {}, 0)
        if reply.status not in (200, 404):
            raise self._session.problem(reply, f"blob {digest}")
        return reply.status == 200

    def put_blob(self, blob: Blob, source: str | None = None) -> bool:
        """Upload a blob, or let the registry mount it from its repository `source`; tell whether bytes were sent.

        A `RegistryError` where it is not taken. An upload that breaks off is begun anew.
        """
        attempts = Attempts(self._transport.patience, self._transport.reporter)
        while True:
            try:
                location = self._begin(blob.digest, source)
                if location is None:
                    return False
                self._send(blob, location)
            except UnreachableError as error:
                attempts.again(error)
            else:
                return True

    def put_manifest(self, raw: bytes, media_type: str, reference: str) -> None:
        """Put a manifest or an index under a tag or its digest.

        A `MissingBlobsError` where the registry lacks what it names.
        """
        headers = {"Content-Type": media_type}
        reply = self._session.fetch("PUT", f"/manifests/{reference}", headers, MAX_ERROR, Content.of(raw))
        if reply.status == _CREATED:
            return
        joint = "@" if ":" in reference else ":"
        name = f"{self.host}/{self.repository}{joint}{reference}"
        if reply.status in (400, 404) and b"BLOB_UNKNOWN" in reply.body:
            message = f"{self.host} does not take {name}: it lacks a blob that the manifest names"
            raise MissingBlobsError(message)
        raise self._session.problem(reply, f"the manifest of {name}")

    def _begin(self, digest: Digest, source: str | None) -> str | None:
        """Begin an upload; return where to send it, None where the blob was mounted instead."""
        query = f"?mount={quote(str(digest), safe='')}&from={quote(source, safe='')}" if source else ""
        reply = self._session.fetch("POST", f"/blobs/uploads/{query}", {}, MAX_ERROR, Content.of(b""))
        if reply.status == _CREATED:
            return None
        location = reply.headers.get("location", "")
        if reply.status != _ACCEPTED or not location:
            raise self._session.problem(reply, f"an upload of {digest}")
        return str(location)

    def _send(self, blob: Blob, location: str) -> None:
        joint = "&" if "?" in location else "?"
        url = f"{location}{joint}digest={quote(str(blob.digest), safe='')}"
        headers = {"Content-Type": "application/octet-stream"}
        reply = self._session.send_once("PUT", url, headers, Content(blob.size, blob.read))
        if reply.status in PASSING or reply.status in (401, 404, 416):
            # The session is lost, or its token: the next try begins both anew.
            message = f"HTTP {reply.status} from {self.host} at the end of {blob.digest}"
            raise UnreachableError(message, read_retry_after(reply.headers.get("retry-after", "")))
        if reply.status != _CREATED:
            raise self._session.problem(reply, f"blob {blob.digest}")
