"""A repository at one host, its registry's own or a mirror's, asked with whatever authorization it wants."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from hatch_oci.errors import NotFoundError, PlainHTTPError, RegistryError, UnreachableError
from hatch_oci.image import media_types
from hatch_oci.image.reference import DOCKER_HUB, Reference, endpoint
from hatch_oci.registry.attempts import Attempts
from hatch_oci.registry.authorization import Authorization, Way
from hatch_oci.registry.headers import Headers
from hatch_oci.registry.network import Deadline, Scope, is_loopback
from hatch_oci.registry.options import Patience
from hatch_oci.registry.said import said
from hatch_oci.registry.transport import MAX_ERROR, Answer, Content, Reply, Request, Transport
from hatch_oci.registry.urls import Target, origin, safe_url

_WANTS_TLS = b"HTTPS"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a repository is asked for: a host, as users name it, and the repository's name there."""

    host: str
    repository: str


def find_places(reference: Reference, mirrors: Mapping[str, tuple[str, ...]]) -> list[Place]:
    """Return the places that have an image, in the order in which they are to be asked; its registry is the last."""
    places = []
    for mirror in mirrors.get(reference.registry, ()):
        host, _, prefix = mirror.partition("/")
        places.append(Place(host, f"{prefix}/{reference.repository}" if prefix else reference.repository))
    return [*places, Place(reference.registry, reference.repository)]


class Session:
    """A repository at one host; may be shared between threads."""

    def __init__(self, transport: Transport, place: Place, patience: Patience, actions: str = "pull") -> None:
        """Ask for nothing yet; `actions` are what a token must be good for, unless the registry says so itself."""
        self.place = place
        self.patience = patience
        self.redirects: set[str] = set()
        self._transport = transport
        self._authorization = Authorization(transport, place.host, self._host, place.repository, patience, actions)
        self._lock = threading.Lock()
        self._scheme: str | None = None

    @property
    def host(self) -> str:
        """The host, as users name it."""
        return self.place.host

    @property
    def scheme(self) -> str:
        """How the host is asked: https, but http on this machine, or where the user calls it insecure."""
        with self._lock:
            if self._scheme is None:
                self._scheme = self._find_scheme()
            return self._scheme

    @property
    def known_scheme(self) -> str | None:
        """The scheme, None where the host was not asked for anything yet."""
        return self._scheme

    @property
    def source(self) -> str | None:
        """Where the credentials in use come from; None where none are."""
        return self._authorization.source

    @property
    def scope(self) -> Scope:
        """How near the host is."""
        return self._transport.scope(endpoint(self._host)[0])

    def fetch(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        most: int,
        content: Content | None = None,
        *,
        follow: bool = True,
        once: bool = False,
    ) -> Reply:
        """Ask for `path` below the repository, and read an answer of at most `most` bytes.

        Unless `follow` is set, a redirect is an answer; with `once`, it is the caller who tries again.
        """
        seen: set[Way] = set()
        patience = replace(self.patience, tries=1) if once else self.patience
        while True:
            used = self._authorization.header()
            request = replace(self._request(method, self._url(path), headers, used, content=content), follow=follow)
            try:
                reply = self._transport.fetch(request, most, patience)
            except PlainHTTPError as error:
                message = f'{error}: if that is meant, set insecure-registries = ["{self.host}"]'
                raise RegistryError(message) from error
            if not self._is_refusal(reply):
                self._note(reply)
                return reply
            self._authorization.learn(reply, used, seen)

    def send_once(self, method: str, location: str, headers: Mapping[str, str], content: Content) -> Reply:
        """Send `content`, once, to where the registry said; credentials go to its own origin alone.

        After a refusal the next request is authorized anew; an `UnreachableError` where the connection breaks.
        """
        url = str(Target.read(location, Target.read(self._url(""))))
        own = origin(url) == origin(self._url(""))
        if self.scheme == "https" and not url.startswith("https:"):
            message = f"{self.host} wants {safe_url(url)} to be sent what https brought: that is not safe"
            raise RegistryError(message)
        used = self._authorization.header() if own else None
        nearest = None if own else self.scope
        request = replace(self._request(method, url, headers, used, content=content), nearest=nearest, redirects=0)
        with self._transport.open(request) as answer:
            reply = Reply.of(answer, MAX_ERROR)
        if own and self._is_refusal(reply):
            self._authorization.learn(reply, used, set())
        return reply

    @contextmanager
    def open_blob(self, path: str, headers: Mapping[str, str], deadline: Deadline) -> Iterator[Answer]:
        """Ask once for a blob, whose body is still to be read; what goes before that is none of the blob's time."""
        seen: set[Way] = set()
        while True:
            with deadline.paused():
                used = self._authorization.header()
                request = self._request("GET", self._url(path), headers, used, is_blob=True)
            with self._transport.open(request, deadline) as answer:
                if not self._is_refusal(answer):
                    self._note(answer)
                    if answer.status == 200:
                        self.check_no_page(answer.headers)
                    yield answer
                    return
                refusal = Reply.of(answer, MAX_ERROR)
            with deadline.paused():
                self._authorization.learn(refusal, used, seen)

    def check_no_page(self, headers: Headers) -> None:
        """Raise a `RegistryError` for the headers of a web page, which is neither a manifest nor a blob."""
        if media_types.essence(headers.get("content-type")) == "text/html":
            problem = "answered with a web page, not as a registry: is there a sign-in or proxy in between?"
            message = f"{self.host} {problem}"
            raise RegistryError(message)

    def problem(self, reply: Reply, what: str, advice: str = "") -> RegistryError:
        """Return the error for an answer that is not the one that was hoped for; `advice` is for what is missing."""
        text = said(reply.body, self._authorization.secrets)
        if len(reply.hops) > 1:
            message = f"{origin(reply.hops[-1])}, where {self.host} keeps {what}, answers with HTTP {reply.status}"
            # Signed URLs are good for some minutes; the registry gives another.
            return UnreachableError(message + text, tries=2)
        if reply.status == 404:
            return NotFoundError(f"{self.host} has no {what}{text}{advice}")
        return self.refusal(reply, what)

    def refusal(self, reply: Reply, what: str) -> RegistryError:
        """Return the error for an answer to what was sent, which is not the one that was hoped for."""
        text = said(reply.body, self._authorization.secrets)
        if reply.status == 429:
            advice = "wait, log in for a higher limit, or use a mirror"
            return RegistryError(f"{self.host} gives no more for now (HTTP 429){text}: {advice}")
        return RegistryError(f"HTTP {reply.status} from {self.host} about {what}{text}")

    def _url(self, path: str) -> str:
        return f"{self.scheme}://{self._host}/v2/{self.place.repository}{path}"

    @staticmethod
    def _request(
        method: str,
        url: str,
        headers: Mapping[str, str],
        authorization: str | None,
        *,
        content: Content | None = None,
        is_blob: bool = False,
    ) -> Request:
        sent = {**headers, "Authorization": authorization} if authorization else headers
        return Request(method, url, sent, content, is_blob=is_blob)

    @property
    def _host(self) -> str:
        return f"registry-1.{DOCKER_HUB}" if self.host == DOCKER_HUB else self.host

    @staticmethod
    def _is_refusal(answer: Answer | Reply) -> bool:
        # The challenge of another host, where a redirect leads, is not answered.
        return answer.status in (401, 403) and origin(answer.hops[-1]) == origin(answer.hops[0])

    def _note(self, answer: Answer | Reply) -> None:
        self.redirects |= {origin(hop) for hop in answer.hops[1:]}

    def _find_scheme(self) -> str:
        host = self.host
        if self._transport.options.is_insecure(*endpoint(self._host)):
            scheme = self._first_spoken("https", "http")
            unsafe = "by plain http" if scheme == "http" else "without checking its certificate"
            self._transport.reporter.warn(f"{host} is asked {unsafe}, since insecure-registries lists it")
            return scheme
        return self._first_spoken("http", "https") if is_loopback(endpoint(host)[0]) else "https"

    def _first_spoken(self, *schemes: str) -> str:
        """Ask the host itself which of `schemes` it speaks."""
        attempts = Attempts(self.patience, self._transport.reporter)
        while True:
            problem = UnreachableError(f"{self.host} speaks neither http nor https")
            for scheme in schemes:
                try:
                    if self._speaks(scheme):
                        return scheme
                except PlainHTTPError:
                    continue
                except UnreachableError as error:
                    problem = error
            attempts.again(problem)

    def _speaks(self, scheme: str) -> bool:
        with self._transport.open(Request("GET", f"{scheme}://{self._host}/v2/")) as answer:
            body = Reply.of(answer, MAX_ERROR).body
            return scheme == "https" or answer.status != 400 or _WANTS_TLS not in body
