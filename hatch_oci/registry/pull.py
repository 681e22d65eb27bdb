"""Manifests and blobs out of a registry or its mirrors (distribution-spec, "Pull")."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from hatch_oci.errors import ContentError, DigestError, NotFoundError, OCIError, RegistryError
from hatch_oci.image import media_types
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.manifest import MAX_MANIFEST, check_pulled
from hatch_oci.image.reference import Reference
from hatch_oci.registry.attempts import PASSING
from hatch_oci.registry.download import Download, Opener
from hatch_oci.registry.network import Deadline
from hatch_oci.registry.session import Session, find_places
from hatch_oci.registry.transport import Answer, Reply, Request, Transport

_ACCEPT = {"Accept": media_types.ACCEPT}
_MIRROR_TRIES = 2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reached:
    """How an image was reached, for a user who wonders."""

    registry: str
    mirror: str | None
    scheme: str | None
    """None where nothing was asked: the cache had it all."""

    credentials: str | None
    """Where they come from; None where none were needed."""

    redirects: tuple[str, ...]
    """The origins that blobs came from, other than the registry's own."""


class Repository:
    """A repository and its mirrors, to read from; may be shared between threads."""

    def __init__(self, transport: Transport, reference: Reference) -> None:
        """Address the repository of `reference`, and ask for nothing yet."""
        self._transport = transport
        self._reference = reference
        *mirrors, own = find_places(reference, transport.options.mirrors)
        impatient = replace(transport.patience, tries=min(transport.patience.tries, _MIRROR_TRIES))
        self._mirrors = [Session(transport, place, impatient) for place in mirrors]
        self._own = Session(transport, own, transport.patience)
        self._used = self._own

    @property
    def reached(self) -> Reached:
        """Which way the last manifest came, and where blobs did."""
        redirects = {redirect for session in (*self._mirrors, self._own) for redirect in session.redirects}
        return Reached(
            registry=self._reference.registry,
            mirror=None if self._used is self._own else self._used.place.host,
            scheme=self._used.known_scheme,
            credentials=self._used.source,
            redirects=tuple(sorted(redirects)),
        )

    def find_tag(self, tag: str) -> Digest | None:
        """Return the digest that a tag stands for today, None where the registry does not say.

        It asks by HEAD, which counts against no quota. A `RegistryError` where another request would fail as well.
        """

        def head(session: Session) -> Reply:
            reply = session.fetch("HEAD", f"/manifests/{tag}", _ACCEPT, 0)
            # That a mirror does not have it is no answer; and who is down or over a quota need not be asked again.
            if reply.status != 200 and (session is not self._own or reply.status in PASSING):
                raise session.problem(reply, str(self._reference))
            return reply

        reply = self._first(head)
        try:
            return Digest.parse(reply.headers.get("docker-content-digest")) if reply.status == 200 else None
        except DigestError:
            return None

    def manifest(self, target: Digest | str) -> tuple[bytes, str]:
        """Return the bytes and the Content-Type of the manifest that a digest or a tag names.

        A `NotFoundError` where there is none, a `ContentError` where it is not what the digest says, else a
        `RegistryError`.
        """

        def get(session: Session) -> Reply:
            reply = session.fetch("GET", f"/manifests/{target}", _ACCEPT, MAX_MANIFEST)
            if reply.status != 200:
                # Some registries say of what is private that it is not there.
                private = "" if session.source else ", or log in if it is private"
                raise session.problem(reply, str(self._reference), f"; check its name and tag{private}")
            session.check_no_page(reply.headers)
            if isinstance(target, Digest):
                check_pulled(reply.body, target, session.host)
            return reply

        reply = self._first(get)
        return reply.body, reply.headers.get("content-type")

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Yield the bytes of a blob as they arrive; not more than one too many.

        A connection that breaks is taken up again where it broke. Layers that a registry need not have are
        fetched from their own URLs (image-spec, layer.md, "Non-Distributable Layers"). The bytes are not checked
        here, but for what several places had a hand in: a `ContentError` names them.
        """
        download = Download(f"blob {descriptor.digest}", descriptor.size, self._transport)
        openers = self._openers(descriptor)
        if len(openers) == 1:
            yield from download.pieces(*openers[0])
            return
        hasher, left = descriptor.digest.hasher(), descriptor.size
        hosts: list[str] = []
        for session, opener in openers:
            hosts.append(session.host)
            try:
                for piece in download.pieces(session, opener):
                    hasher.update(piece)
                    left -= len(piece)
                    if left < 0:
                        raise _another_blob(descriptor, hosts)
                    yield piece
            except RegistryError as error:
                if opener is openers[-1][1]:
                    raise
                self._go_on(session, error)
            else:
                break
        if hasher.hexdigest() != descriptor.digest.hex:
            raise _another_blob(descriptor, hosts)

    def _openers(self, descriptor: Descriptor) -> list[tuple[Session, Opener]]:
        """Return the ways to a blob, in the order in which they are to be tried."""
        path = f"/blobs/{descriptor.digest}"
        openers: list[tuple[Session, Opener]] = [
            (session, partial(session.open_blob, path)) for session in (*self._mirrors, self._own)
        ]
        urls = [url for url in descriptor.urls if url.startswith("https://")]
        return [*openers, *((self._own, partial(self._open_elsewhere, url)) for url in urls)]

    def _open_elsewhere(
        self, url: str, headers: Mapping[str, str], deadline: Deadline
    ) -> AbstractContextManager[Answer]:
        nearest = self._own.scope
        return self._transport.open(Request("GET", url, headers, nearest=nearest, is_blob=True), deadline)

    def _first(self, ask: Callable[[Session], T]) -> T:
        """Return the answer of the first mirror that has one, else the registry's own."""
        for session in list(self._mirrors):
            try:
                answer = ask(session)
            except (RegistryError, ContentError) as error:
                self._go_on(session, error)
            else:
                self._used = session
                return answer
        self._used = self._own
        return ask(self._own)

    def _go_on(self, session: Session, error: OCIError) -> None:
        """Tell that a mirror failed; one that does not answer at all is not asked again."""
        self._transport.reporter.info(f"{error}; asking elsewhere")
        if not isinstance(error, NotFoundError):
            with suppress(ValueError):
                self._mirrors.remove(session)


def _another_blob(descriptor: Descriptor, hosts: list[str]) -> ContentError:
    return ContentError(f"{' or '.join(dict.fromkeys(hosts))} sent something else than blob {descriptor.digest}")
