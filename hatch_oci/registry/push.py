"""Blobs and manifests into a registry (distribution-spec, "Push")."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from hatch_oci.errors import RegistryError, UnreachableError
from hatch_oci.image.digest import Digest
from hatch_oci.image.manifest import MAX_MANIFEST
from hatch_oci.registry.attempts import PASSING, Attempts, read_retry_after
from hatch_oci.registry.session import Place, Session
from hatch_oci.registry.transport import MAX_ERROR, Content, Reply, Transport
from hatch_oci.registry.urls import Target

_ACCEPTED = 202
_CREATED = 201
_UPLOADS = "/blobs/uploads/"
_SUBJECT = "oci-subject"
"""The header of an answer to a manifest with a subject, from registries that list referrers."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob to push: `read` makes it ready, and returns its `size` bytes in pieces, each time it is called."""

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
        self._closed: set[str] = set()
        self._session = Session(transport, Place(host, repository), transport.patience, actions="pull,push")

    def has(self, digest: Digest) -> bool:
        """Tell whether the repository has a blob."""
        # Where its bytes lie elsewhere, it is there; and a URL that was signed for a GET takes no HEAD.
        reply = self._session.fetch("HEAD", f"/blobs/{digest}", {}, 0, follow=False)
        if reply.status != 404 and not 200 <= reply.status < 400:
            raise self._session.problem(reply, f"blob {digest}")
        return reply.status != 404

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

    def get_manifest(self, reference: str, media_type: str) -> bytes | None:
        """Return what is there under a tag or a digest, None where nothing is."""
        reply = self._session.fetch("GET", f"/manifests/{reference}", {"Accept": media_type}, MAX_MANIFEST)
        if reply.status == 404:
            return None
        if reply.status != 200:
            raise self._session.problem(reply, f"the manifest {reference}")
        return reply.body

    def put_manifest(self, raw: bytes, media_type: str, reference: str) -> bool:
        """Put a manifest or an index under a tag or its digest; tell whether its subject's referrers are listed there.

        A `MissingBlobsError` where the registry lacks what it names.
        """
        headers = {"Content-Type": media_type}
        reply = self._session.fetch("PUT", f"/manifests/{reference}", headers, MAX_ERROR, Content.of(raw))
        if reply.status == _CREATED:
            return bool(reply.headers.get(_SUBJECT))
        joint = "@" if ":" in reference else ":"
        problem = self._session.refusal(reply, f"the manifest {self.host}/{self.repository}{joint}{reference}")
        if reply.status in (400, 404) and b"BLOB_UNKNOWN" in reply.body:
            raise MissingBlobsError(str(problem))
        raise problem

    def _begin(self, digest: Digest, source: str | None) -> str | None:
        """Begin an upload; return where to send it, None where the blob was mounted instead."""
        reply = self._mount(digest, source) if source and source not in self._closed else None
        if reply is None:
            reply = self._session.fetch("POST", _UPLOADS, {}, MAX_ERROR, Content.of(b""), once=True)
        if source and reply.status == _CREATED:
            return None
        what = f"an upload of {digest}"
        if reply.status in PASSING:
            raise self._passing(reply, what)
        location = reply.headers.get("location")
        if reply.status != _ACCEPTED or not location:
            raise self._session.refusal(reply, what)
        return str(Target.read(location, Target.read(reply.hops[-1])))

    def _mount(self, digest: Digest, source: str) -> Reply | None:
        """Ask to mount a blob; return the answer, which may be that of an upload, or None for a refusal."""
        query = f"?mount={quote(str(digest), safe='')}&from={quote(source, safe='')}"
        try:
            reply = self._session.fetch("POST", _UPLOADS + query, {}, MAX_ERROR, Content.of(b""), once=True)
        except UnreachableError:
            raise
        except RegistryError:
            # Who may write here need not be one who may read there. The next blob need not ask.
            self._closed.add(source)
            return None
        return reply if reply.status in (_CREATED, _ACCEPTED) or reply.status in PASSING else None

    def _send(self, blob: Blob, location: str) -> None:
        joint = "&" if "?" in location else "?"
        url = f"{location}{joint}digest={quote(str(blob.digest), safe='')}"
        headers = {"Content-Type": "application/octet-stream"}
        # What has to come from elsewhere first comes now, and costs the upload no time.
        pieces = blob.read()
        reply = self._session.send_once("PUT", url, headers, Content(blob.size, lambda: pieces))
        if reply.status in PASSING or reply.status in (401, 404, 416):
            # The session is lost, or its token: the next try begins both anew.
            raise self._passing(reply, f"the end of {blob.digest}")
        if reply.status != _CREATED:
            raise self._session.refusal(reply, f"blob {blob.digest}")

    def _passing(self, reply: Reply, what: str) -> UnreachableError:
        message = f"HTTP {reply.status} from {self.host} at {what}"
        return UnreachableError(message, read_retry_after(reply.headers.get("retry-after")))
