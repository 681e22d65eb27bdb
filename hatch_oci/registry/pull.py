"""Manifests and blobs out of a registry (distribution-spec, "Pull")."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

from hatch_oci.errors import ContentError, DocumentError, NotFoundError, RegistryError
from hatch_oci.image import media_types
from hatch_oci.image.digest import Digest
from hatch_oci.image.document import parse_json
from hatch_oci.image.manifest import MAX_MANIFEST
from hatch_oci.image.reference import DOCKER_HUB, Reference
from hatch_oci.registry.challenge import Challenge, parse_challenges
from hatch_oci.registry.transport import Answer, Transport, is_loopback, safe_url

_MAX_TEXT = 64 * 1024
"""Bytes of a token answer or of an error's body that are read."""


class Repository:
    """One repository of a registry, read without credentials; may be shared between threads."""

    def __init__(self, transport: Transport, reference: Reference) -> None:
        """Address the repository of `reference`: over https, or over http on this machine."""
        self._transport = transport
        self._reference = reference
        host = "registry-1.docker.io" if reference.registry == DOCKER_HUB else reference.registry
        self._scheme = "http" if is_loopback(host) else "https"
        self._url = f"{self._scheme}://{host}/v2/{reference.repository}"
        self._token: str | None = None
        self._lock = threading.Lock()

    def manifest(self, target: str) -> tuple[bytes, str]:
        """Return the bytes and the Content-Type of the manifest that a tag or a digest names.

        The digest is not checked here. A `NotFoundError` where there is none, else a `RegistryError`.
        """
        with self._get(f"/manifests/{target}", {"Accept": media_types.ACCEPT}) as answer:
            return answer.read(MAX_MANIFEST), answer.header("content-type")

    def blob(self, digest: Digest) -> Iterator[bytes]:
        """Yield the bytes of a blob as they arrive; they are not checked here."""
        with self._get(f"/blobs/{digest}", {}) as answer:
            yield from answer.body

    @contextmanager
    def _get(self, path: str, headers: Mapping[str, str]) -> Iterator[Answer]:
        url = self._url + path
        token = self._token
        with self._transport.get(url, {**headers, **_bearer(token)}) as answer:
            if answer.status != 401:
                yield self._checked(answer)
                return
            challenges = parse_challenges(answer.header_list("www-authenticate"))
        token = self._fetch_token(challenges, token)
        with self._transport.get(url, {**headers, **_bearer(token)}) as answer:
            yield self._checked(answer)

    def _checked(self, answer: Answer) -> Answer:
        if answer.status == 200:
            return answer
        said = _said(answer)
        where = f"{self._reference.registry} about {self._reference.repository}"
        if answer.status == 404:
            message = f"{self._reference.registry} has no {self._reference}{said}; check its name and tag"
            raise NotFoundError(message)
        if answer.status in (401, 403):
            message = (
                f"{self._reference.registry} does not give {self._reference} without credentials "
                f"(HTTP {answer.status}){said}"
            )
            raise RegistryError(message)
        message = f"HTTP {answer.status} from {where}{said}"
        raise RegistryError(message)

    def _fetch_token(self, challenges: list[Challenge], used: str | None) -> str:
        """Return a token for anonymous pulls, a new one if `used` was refused; one thread asks, all use it."""
        with self._lock:
            if self._token is None or self._token == used:
                self._token = self._ask_token(challenges)
            return self._token

    def _ask_token(self, challenges: list[Challenge]) -> str:
        challenge = next((entry for entry in challenges if entry.scheme == "bearer"), None)
        realm = challenge.parameters.get("realm", "") if challenge else ""
        if challenge is None or urlsplit(realm).scheme not in {"https", self._scheme}:
            message = f"{self._reference.registry} does not give {self._reference} without credentials"
            raise RegistryError(message)
        scope = challenge.parameters.get("scope") or f"repository:{self._reference.repository}:pull"
        query = [("service", challenge.parameters.get("service", "")), ("scope", scope)]
        text = "&".join(f"{key}={quote(value, safe='')}" for key, value in query if value)
        with self._transport.get(f"{realm}{'&' if '?' in realm else '?'}{text}", {}) as answer:
            raw = self._checked(answer).read(_MAX_TEXT)
        node = parse_json(raw, f"the token from {safe_url(realm)}")
        found = node.find("token") or node.get("access_token")
        return found.text()


def check_pulled(raw: bytes, digest: Digest, where: str) -> bytes:
    """Return a manifest that was asked for by `digest`; a `ContentError` if it is another one."""
    if not digest.matches(raw):
        message = f"{where} was asked for {digest} and sent something else"
        raise ContentError(message)
    return raw


def _bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _said(answer: Answer) -> str:
    """Return what a registry's error body says, made safe to print: at most 200 characters of its messages."""
    try:
        errors = parse_json(answer.read(_MAX_TEXT), "error").get("errors").items()
        texts = [text.text() for error in errors if (text := error.find("message") or error.find("code"))]
    except (RegistryError, DocumentError):
        return ""
    printable = re.sub(r"[^\x21-\x7e]+", " ", "; ".join(texts))[:200]
    return f": {printable}" if printable else ""
