"""How to ask a repository so that its registry answers: learned from its challenges, one at a time for all threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from hatch_oci.errors import RegistryError
from hatch_oci.registry.challenge import Challenge, parse_challenges
from hatch_oci.registry.credentials import Credential, Lookup, find_credential
from hatch_oci.registry.options import Patience
from hatch_oci.registry.said import said
from hatch_oci.registry.token import MAX_TOKEN_ANSWER, Realm, RefusedError, Token, ask_token, check_realm, may_know
from hatch_oci.registry.transport import Reply, Request, Transport
from hatch_oci.registry.urls import Target


@dataclass(frozen=True, slots=True)
class Way:
    """A way to ask: with a token from a realm, or with user and password, or with neither."""

    realm: Realm | None
    credential: Credential | None


class Authorization:
    """The `Authorization` header for one repository of a registry; may be shared between threads."""

    def __init__(
        self,
        transport: Transport,
        host: str,
        server: str,
        repository: str,
        patience: Patience,
        actions: str = "pull",
    ) -> None:
        """Know nothing yet; `host` is the registry as users name it, with which its credentials are filed.

        `server` is the host that is really asked.
        """
        self._transport = transport
        self._host = host
        self._server = server
        self._patience = patience
        self._repository = repository
        self._actions = actions
        self._lock = threading.RLock()
        self._way = Way(None, None)
        self._tokens: dict[Way, Token] = {}
        self._seen_tokens: frozenset[str] = frozenset()
        self._lookup: Lookup | None = None
        self._refusals: list[str] = []
        self._challenges: list[Challenge] = []

    @property
    def source(self) -> str | None:
        """Where the credentials in use come from; None where none are."""
        return self._way.credential.source if self._way.credential else None

    @property
    def secrets(self) -> frozenset[str]:
        """All that must never be shown."""
        own = self._lookup.credential.secrets if self._lookup and self._lookup.credential else frozenset()
        return own | self._seen_tokens

    def header(self) -> str | None:
        """Return the header's value for the next request, None for none; a token near its end is renewed."""
        with self._lock:
            realm, credential = self._way.realm, self._way.credential
            if realm is None:
                return credential.basic if credential else None
            if not self._tokens[self._way].is_fresh:
                self._ask(self._way, realm)
            return f"Bearer {self._tokens[self._way].value}"

    def learn(self, refusal: Reply, used: str | None, seen: set[Way]) -> None:
        """Find another way after a refusal with 401 or 403 of a request whose header was `used`.

        `seen` are the ways that this request took since its first refusal, and grows. A `RegistryError` that tells
        all that was tried where no way is left.
        """
        with self._lock:
            if self.header() != used:
                # Another thread has found one meanwhile.
                return
            self._note(refusal)
            for way in self._ways(refusal):
                if way in seen:
                    continue
                if way.credential is None and (
                    stale := next((other.credential for other in seen if other.credential), None)
                ):
                    self._transport.reporter.warn(f"{self._host} refuses {stale.source}; trying without credentials")
                seen.add(way)
                if self._take(way):
                    return
            raise self._denial(refusal)

    def _ways(self, refusal: Reply) -> Iterator[Way]:
        """Yield what a refusal leaves open: first with credentials, if there are any, then without."""
        challenges = parse_challenges(refusal.headers.get_list("www-authenticate"))
        if not challenges:
            # Some registries challenge at their front door only. A 403 means the way that was taken.
            challenges = self._challenges or self._challenges_of_api(refusal.hops[0])
        self._challenges = challenges
        credential = self._credential()
        if bearer := next((challenge for challenge in challenges if challenge.scheme == "bearer"), None):
            realm = self._realm(bearer, Target.read(refusal.hops[0]).scheme)
            if credential and may_know(realm, self._host, self._transport.options.trusted_realms):
                yield Way(realm, credential)
            elif credential:
                self._refusals.append(_mistrust(realm, credential))
            # Nobody may write without a name, where a name is needed to read.
            if credential is None or self._actions == "pull":
                yield Way(realm, None)
        elif credential and any(challenge.scheme == "basic" for challenge in challenges):
            yield Way(None, credential)
            if self._actions == "pull":
                yield Way(None, None)

    def _realm(self, bearer: Challenge, registry_scheme: str) -> Realm:
        parameters = bearer.parameters
        scope = parameters.get("scope") or f"repository:{self._repository}:{self._actions}"
        realm = Realm(parameters.get("realm", ""), parameters.get("service", ""), scope)
        try:
            check_realm(realm, registry_scheme)
        except RegistryError as error:
            message = f"{self._host} refuses {self._repository}: {error}"
            raise RegistryError(message) from None
        return realm

    def _take(self, way: Way) -> bool:
        """Go a way; False where the token service bars it."""
        if way.realm:
            try:
                self._ask(way, way.realm)
            except RefusedError as error:
                self._refusals.append(f"{_name(way)}: {error}")
                return False
        self._way = way
        return True

    def _ask(self, way: Way, realm: Realm) -> None:
        nearest = self._transport.scope(Target.read(f"https://{self._server}").host)
        token = ask_token(realm, way.credential, nearest, self._transport, self._patience)
        self._tokens[way] = token
        # Replaced, not changed: other threads read it to tell of errors, also while this one waits for a token.
        self._seen_tokens |= {token.value}

    def _credential(self) -> Credential | None:
        if self._lookup is None:
            self._lookup = find_credential(self._host, self._repository)
        return self._lookup.credential

    def _challenges_of_api(self, url: str) -> list[Challenge]:
        api = url.partition("/v2/")[0] + "/v2/"
        try:
            # The challenge of another host, where a redirect leads, is not answered.
            reply = self._transport.fetch(Request("GET", api, redirects=0), MAX_TOKEN_ANSWER, self._patience)
        except RegistryError:
            return []
        return parse_challenges(reply.headers.get_list("www-authenticate"))

    def _note(self, refusal: Reply) -> None:
        if self._way != Way(None, None):
            self._refusals.append(f"{_name(self._way)}: {self._text(refusal)}")

    def _text(self, refusal: Reply) -> str:
        return f"HTTP {refusal.status}{said(refusal.body, self.secrets)}"

    def _denial(self, refusal: Reply) -> RegistryError:
        lookup = self._lookup or Lookup(None, (), ())
        tried = list(dict.fromkeys(self._refusals)) or [f"without credentials: {self._text(refusal)}"]
        if lookup.credential is None:
            tried.append(f"there are no credentials for it in {' or '.join(lookup.places) or 'any file'}")
        tried += lookup.problems
        return RegistryError(
            f"{self._host} refuses {self._repository}: tried {'; '.join(tried)}. "
            f"Check its name, log in with `docker login {self._host}`, "
            "or set HATCH_OCI_REGISTRY, HATCH_OCI_USER and HATCH_OCI_AUTH"
        )


def _name(way: Way) -> str:
    return f"with {way.credential.source}" if way.credential else "without credentials"


def _mistrust(realm: Realm, credential: Credential) -> str:
    host = Target.read(realm.url).authority
    return (
        f"{credential.source} was not sent to {host}, which is of another domain "
        f'(if that is right, set trusted-realms = ["{host}"])'
    )
