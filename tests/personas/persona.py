"""What a registry is like, as plain data; `service` acts on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.personas.images import Content, oci_content

if TYPE_CHECKING:
    from tests.personas.service import Service
    from tests.personas.world import Visit

Quirk = Callable[["Service", "Visit"], bool]
"""Looks at a request before everybody else, and tells whether it has answered it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who may pull; the identity token is what `docker login` may have got in place of the password."""

    user: str
    password: str
    identity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that says no."""

    status: int
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where blobs really lie: behind a redirect to a URL with a signature.

    `query` and the bodies are templates: `{end}` is when the signature ends, `{authorization}` what was sent.
    """

    base: str
    """What its URLs start with."""

    query: str
    status: int = 307
    relative: bool = False
    """Whether the redirect names no host."""

    both: Refusal | None
    """What it says to a request with a signature and an Authorization."""

    mismatch: Refusal
    """What it says when the signature is not for this request."""

    expired: Refusal

    @property
    def origin(self) -> str:
        """Scheme and host as the log has them."""
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{parts.netloc.removesuffix(':80')}"


def errors(code: str, message: str) -> str:
    """Return an error's body in the form that the distribution specification gives."""
    return f'{{"errors":[{{"code":"{code}","message":"{message}","detail":null}}]}}\n'


UNAUTHORIZED = Refusal(status=401, body=errors("UNAUTHORIZED", "authentication required"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """A registry's recorded behaviour: a row of the table, or a second form of one."""

    name: str
    reference: str
    """What a user writes to get the image."""

    host: str
    """Where the registry's API is."""

    repository: str
    challenge: str = ""
    """The WWW-Authenticate header, `{scope}` to be filled in; empty where nobody is asked who they are."""

    lacking: str = ""
    """The header for a token which does not allow this; by default the same with `error="insufficient_scope"`."""

    realm: str = ""
    """The token service's URL; empty where there is only Basic."""

    service: str = ""
    scope: str = ""
    """The one scope that the token service knows; by default `repository:NAME:pull`."""

    keys: tuple[str, ...] = ("token",)
    """Under which the token is in the service's answer."""

    expires_in: int | None = None
    post: Refusal | None = Refusal(status=405, body="Method Not Allowed\n")
    """The token service's answer to a POST; None if it knows refresh tokens."""

    account: Account | None = None
    key: str = ""
    """Under which Docker's file keeps the credentials; by default the host."""

    basic: bool = False
    """Whether the registry itself takes user and password."""

    anonymous: bool = True
    """Whether it has images for everybody."""

    wrong: Refusal = UNAUTHORIZED
    """The answer to a wrong password."""

    closed: Refusal | None = UNAUTHORIZED
    """The token service's answer to somebody without credentials about a private image; None: a token for nothing."""

    store: Store | None = None
    content: Content = field(default_factory=oci_content)
    first: tuple[Quirk, ...] = ()
    """What comes before the question who it is."""

    then: tuple[Quirk, ...] = ()
    """What comes after it."""

    @property
    def origin(self) -> str:
        return f"https://{self.host}"

    @property
    def wanted_scope(self) -> str:
        return self.scope or f"repository:{self.repository}:pull"
