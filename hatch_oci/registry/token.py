"""Bearer tokens: which service they come from, and how to ask for them (distribution-spec's token authentication)."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from hatch_oci.errors import DocumentError, RegistryError
from hatch_oci.image.document import parse_json, printable
from hatch_oci.registry.credentials import Credential
from hatch_oci.registry.network import Scope, is_name
from hatch_oci.registry.options import Patience
from hatch_oci.registry.said import said
from hatch_oci.registry.transport import Content, Request, Transport
from hatch_oci.registry.urls import Target, safe_url

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

MAX_TOKEN_ANSWER = 64 * 1024
"""Bytes."""

_DEFAULT_LIFE = 60
_EARLY = 10
"""Seconds before its end at which a token is renewed."""

_REFUSALS = frozenset({400, 401, 403, 404})
_NO_POST = frozenset({400, 401, 404, 405})
_CLIENT = "hatch-oci-image"
_LONGEST_LIFE = 10**9
# It goes into a header as it is.
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Token:
    """What a token service gave, and when to ask it for another, on the monotonic clock."""

    value: str = field(repr=False)
    renew_at: float

    @property
    def is_fresh(self) -> bool:
        """Whether it is good for some seconds more."""
        return time.monotonic() < self.renew_at


@dataclass(frozen=True, slots=True)
class Realm:
    """A token service, as a registry's challenge names it."""

    url: str
    service: str
    scope: str
    """Of several words, if it speaks of several repositories."""


class RefusedError(RegistryError):
    """A token service that gives no token to this user."""


def check_realm(realm: Realm, registry_scheme: str) -> None:
    """Raise a `RegistryError` unless tokens may be asked for there: by https, or as unsafely as the registry itself."""
    try:
        target = Target.read(realm.url)
        sound = target.scheme in {"https", registry_scheme} and not target.has_user
    except RegistryError:
        sound = False
    if not sound:
        message = f"it asks to log in at {printable(realm.url.partition('?')[0])!r}, which is no https URL"
        raise RegistryError(message)


def may_know(realm: Realm, registry_host: str, trusted: frozenset[str]) -> bool:
    """Tell whether a token service may be sent the credentials for a registry.

    It may on the registry's host, in the same domain (by the public suffix list), or if it is listed as trusted.
    """
    target = Target.read(realm.url)
    host = target.host
    own = Target.read(f"https://{registry_host}").host
    if host == own or not trusted.isdisjoint({host, target.authority}):
        return True
    if not (is_name(host) and is_name(own)):
        return False
    domain = _suffixes().privatesuffix(host)
    return domain is not None and domain == _suffixes().privatesuffix(own)


@cache
def _suffixes() -> PublicSuffixList:
    # Not above: it takes a while to read its list.
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()


def ask_token(
    realm: Realm,
    credential: Credential | None,
    nearest: Scope,
    transport: Transport,
    patience: Patience | None = None,
) -> Token:
    """Ask for a token, with credentials or without, at addresses no nearer than `nearest`.

    A `RefusedError` where the service gives none to this user; any other `RegistryError` where it can't be reached
    or answers nonsense. It may redirect nowhere.
    """
    asked = time.monotonic()
    if credential and credential.registry_token:
        if not _TOKEN.fullmatch(credential.registry_token):
            message = "its registrytoken is no token"
            raise RefusedError(message)
        return Token(credential.registry_token, float("inf"))
    where = f"the token service {safe_url(realm.url)}"
    reply = None
    if credential and credential.identity_token:
        reply = transport.fetch(_post(realm, credential, nearest), MAX_TOKEN_ANSWER, patience)
    # Some know only the older way, where the identity token stands in for a password.
    if reply is None or reply.status in _NO_POST:
        reply = transport.fetch(_get(realm, credential, nearest), MAX_TOKEN_ANSWER, patience)
    if reply.status != 200:
        problem = f"HTTP {reply.status}{said(reply.body, credential.secrets if credential else ())}"
        message = f"{where} gives no token ({problem})"
        raise RefusedError(message) if reply.status in _REFUSALS else RegistryError(message)
    return _read_token(reply.body, where, asked)


def _get(realm: Realm, credential: Credential | None, nearest: Scope) -> Request:
    pairs = [("service", realm.service)] if realm.service else []
    pairs += [("scope", scope) for scope in realm.scope.split()]
    if credential and credential.username:
        pairs.append(("account", credential.username))
    # Appended by hand: the realm's own query must stay as it is.
    query = urlencode(pairs, quote_via=quote, safe="", errors="surrogateescape")
    url = realm.url.partition("#")[0]
    joint = ("&" if "?" in url else "?") if query else ""
    headers = {"Authorization": credential.basic} if credential else {}
    return Request("GET", f"{url}{joint}{query}", headers, nearest=nearest, redirects=0)


def _post(realm: Realm, credential: Credential, nearest: Scope) -> Request:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": credential.identity_token,
        "client_id": _CLIENT,
        "service": realm.service,
        "scope": realm.scope,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    content = Content.of(urlencode(form, errors="surrogateescape").encode())
    return Request("POST", realm.url, headers, content, nearest=nearest, redirects=0)


def _read_token(raw: bytes, where: str, asked: float) -> Token:
    try:
        node = parse_json(raw, where)
        named = [found.text() for name in ("token", "access_token") if (found := node.find(name))]
        value = next(filter(None, named or [node.get("access_token").text()]), "")
        life = node.table().get("expires_in")
    except DocumentError as error:
        raise RegistryError(str(error)) from None
    if not _TOKEN.fullmatch(value):
        message = f"{where} answered with what is no token"
        raise RegistryError(message)
    seconds = min(life, _LONGEST_LIFE) if type(life) is int and life > 0 else _DEFAULT_LIFE
    return Token(value, asked + max(seconds - _EARLY, seconds / 2))
