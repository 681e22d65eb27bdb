"""A registry in a thread that takes uploads, as the distribution specification has it, and notes all that came."""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from demo.base import digest
from demo.registry import API_PATH, Handler, Manifest, Repository, Server, running
from hatch_oci.registry.options import Patience

BRIEF = Patience(connect=5, stall=0.5, answer=1, commit=2, first_wait=0.01, longest_wait=0.02, longest_retry_after=0.05)
"""So that a test that makes a registry fail is over soon, also while it is sent something."""

INDEX = "application/vnd.oci.image.index.v1+json"

_BEGIN = re.compile(r"/v2/(?P<name>.+)/blobs/uploads/")
_SESSION = re.compile(r"/v2/(?P<name>.+)/blobs/uploads/(?P<session>[^/]+)")
_REFERRERS = re.compile(r"/v2/(?P<name>.+)/referrers/(?P<digest>[^/]+)")
_PIECE = 64 * 1024


@dataclass(frozen=True)
class Came:
    """A request as it came."""

    method: str
    path: str
    """With its query."""

    headers: dict[str, str]
    """By their names in lower case."""


@dataclass
class Uploads:
    """What a registry that takes uploads may do, and what it was sent."""

    server: Server
    locate: Callable[[str], str] = lambda path: path
    """Makes the `Location` of an upload out of its path."""

    mounts: bool = True
    keeps: bool = True
    """Whether blobs are kept, or just their digests checked."""

    missing_status: int = 404
    """Of the answer to a manifest that names what is not there."""

    lists_referrers: bool = False
    """Whether it has the referrers API."""

    requests: list[Came] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """Of the blobs that were sent whole."""

    sessions: dict[str, str] = field(default_factory=dict)
    """The repositories of the uploads that began and did not end, by their names."""

    begun: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def address(self) -> str:
        return self.server.registry.address

    @property
    def repositories(self) -> dict[str, Repository]:
        return self.server.registry.repositories

    @property
    def answers(self) -> dict[tuple[str, str], Callable[[Handler], None]]:
        return self.server.registry.answers

    def repository(self, name: str) -> Repository:
        """Return a repository, which is made if need be."""
        with self.lock:
            return self.repositories.setdefault(name, Repository())

    def methods(self, kind: str = "") -> list[str]:
        """Return the methods of the requests whose paths hold `kind`, in order."""
        return [came.method for came in self.requests if kind in came.path]

    def paths(self, method: str) -> list[str]:
        """Return the paths that were asked for with a method, without their queries."""
        return [urlsplit(came.path).path for came in self.requests if came.method == method]

    def referrers(self, name: str, subject: str) -> list[dict[str, Any]]:
        """Return the manifests of a repository that refer to another one, as they are found from that."""
        manifests = self.repositories[name].manifests
        if self.lists_referrers:
            found = [json.loads(one.content) for one in manifests.values()]
            return [one for one in found if one.get("subject", {}).get("digest") == subject]
        listed = manifests.get(subject.replace(":", "-"))
        entries = json.loads(listed.content)["manifests"] if listed else []
        return [json.loads(manifests[entry["digest"]].content) for entry in entries]

    def forget(self) -> None:
        """Forget what was asked and sent."""
        self.requests.clear()
        self.sizes.clear()


class UploadServer(Server):
    """Serves what is uploaded to it."""

    def __init__(self) -> None:
        super().__init__({}, {})
        self.RequestHandlerClass = UploadHandler
        self.uploads = Uploads(self)


class UploadHandler(Handler):
    """Answers as a registry that may be written to."""

    server: UploadServer

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        if parsed:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.server.uploads.requests.append(Came(self.command, self.path, headers))
        return parsed

    def answer(self) -> None:
        target = urlsplit(self.path)
        path, query = unquote(target.path), parse_qs(target.query)
        if self.command == "POST" and (match := _BEGIN.fullmatch(path)):
            self.begin(match["name"], query)
        elif self.command == "PUT" and (match := _SESSION.fullmatch(path)):
            self.take_blob(match["name"], match["session"], query.get("digest", [""])[0])
        elif self.command == "PUT" and (match := API_PATH.fullmatch(path)) and match["kind"] == "manifests":
            self.take_manifest(match["name"], match["reference"])
        elif self.server.uploads.lists_referrers and (match := _REFERRERS.fullmatch(path)):
            self.list_referrers(match["name"], match["digest"])
        else:
            super().answer()

    def list_referrers(self, name: str, subject: str) -> None:
        """Answer with an index of what refers to a manifest."""
        found = []
        for manifest in self.server.uploads.repository(name).manifests.values():
            document = json.loads(manifest.content)
            if document.get("subject", {}).get("digest") == subject:
                entry = {"mediaType": manifest.media_type, "digest": digest(manifest.content)}
                fields = {key: document[key] for key in ("artifactType", "annotations") if key in document}
                found.append({**entry, "size": len(manifest.content), **fields})
        body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": found}).encode()
        self.reply(200, body, {"Content-Type": INDEX})

    def begin(self, name: str, query: dict[str, list[str]]) -> None:
        """Mount a blob of another repository, or begin an upload."""
        uploads = self.server.uploads
        read_body(self)
        repository = uploads.repository(name)
        if uploads.mounts and "mount" in query:
            source = uploads.repositories.get(query["from"][0], Repository())
            if (blob := source.blobs.get(query["mount"][0])) is not None:
                repository.blobs[query["mount"][0]] = blob
                self.reply(201, b"", {"Location": f"/v2/{name}/blobs/{query['mount'][0]}"})
                return
        with uploads.lock:
            uploads.begun += 1
            session = f"session{uploads.begun}"
            uploads.sessions[session] = name
        self.reply(202, b"", {"Location": uploads.locate(f"/v2/{name}/blobs/uploads/{session}")})

    def take_blob(self, name: str, session: str, expected: str) -> None:
        """Take a blob whole; its upload is over, however it ends."""
        uploads = self.server.uploads
        if uploads.sessions.pop(session, None) != name:
            read_body(self)
            self.fail(404, "BLOB_UPLOAD_UNKNOWN")
            return
        hasher, blob, size = hashlib.sha256(), bytearray(), 0
        for piece in pieces_of(self):
            hasher.update(piece)
            size += len(piece)
            if uploads.keeps:
                blob += piece
        if size < int(self.headers["Content-Length"]):
            self.close_connection = True
        elif f"sha256:{hasher.hexdigest()}" != expected:
            self.fail(400, "DIGEST_INVALID")
        else:
            with uploads.lock:
                uploads.sizes.append(size)
            uploads.repository(name).blobs[expected] = bytes(blob)
            self.reply(201, b"", {"Location": f"/v2/{name}/blobs/{expected}"})

    def take_manifest(self, name: str, reference: str) -> None:
        """Take a manifest if all that it names is there."""
        uploads = self.server.uploads
        raw, repository = read_body(self), uploads.repository(name)
        if ":" in reference and digest(raw) != reference:
            self.fail(400, "DIGEST_INVALID")
        elif not _is_complete(json.loads(raw), repository):
            self.fail(uploads.missing_status, "MANIFEST_BLOB_UNKNOWN")
        else:
            repository.manifests[reference] = Manifest(self.headers["Content-Type"], raw)
            headers = {"Location": f"/v2/{name}/manifests/{reference}"}
            if uploads.lists_referrers and (subject := json.loads(raw).get("subject")):
                headers["OCI-Subject"] = subject["digest"]
            self.reply(201, b"", headers)


def _is_complete(document: dict[str, Any], repository: Repository) -> bool:
    if any(repository.manifest(entry["digest"]) is None for entry in document.get("manifests", [])):
        return False
    blobs = [document["config"], *document["layers"]] if "config" in document else []
    return all(blob["digest"] in repository.blobs or blob.get("urls") for blob in blobs)


def pieces_of(request: Handler) -> Iterator[bytes]:
    """Yield what came with a request, less than was announced where the client goes away."""
    left = int(request.headers.get("Content-Length", "0"))
    while left and (piece := request.rfile.read(min(left, _PIECE))):
        left -= len(piece)
        yield piece


def read_body(request: Handler) -> bytes:
    """Read what came with a request."""
    return b"".join(pieces_of(request))


def refuse(
    status: int, times: int = 1, headers: dict[str, str] | None = None, body: bytes = b""
) -> Callable[[Handler], None]:
    """Return what answers so many requests with a status, and the others as the registry would."""
    left = [None] * times

    def answer(request: Handler) -> None:
        if left:
            left.pop()
            read_body(request)
            request.reply(status, body, headers)
        else:
            request.answer()

    return answer


@contextmanager
def serve_uploads(tls: ssl.SSLContext | None = None) -> Iterator[Uploads]:
    """Serve an empty registry that takes uploads, for as long as the block runs."""
    server = UploadServer()
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    with running(server):
        yield server.uploads
