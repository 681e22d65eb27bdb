"""A persona at work: registry, token service and store, with what they remember between requests."""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlsplit

from demo.registry import API_PATH
from tests.personas.images import BULK
from tests.personas.persona import UNAUTHORIZED, Persona, Refusal, errors
from tests.personas.world import Visit

SIGNATURE_SECONDS = 20 * 60


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature is good for."""

    digest: str
    host: str
    end: float


@dataclass
class Service:
    """Answers for all hosts of one persona; a test may change what it is like while it runs."""

    persona: Persona
    private: bool = False
    """Whether its image needs credentials; where nothing is public it always does."""

    cuts: int = 0
    """How many downloads of the large layer are still to break in the middle."""

    reset: bool = False
    """Whether they break with a reset of the connection, not just with its end."""

    signature_seconds: float = SIGNATURE_SECONDS
    withheld: int = 0
    """How many tokens are still to be issued without the scope that was asked for."""

    quota: int = 100
    tokens: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The tokens that were issued, with their scopes."""

    revoked: set[str] = field(default_factory=set)
    """Tokens that are good for nothing any more."""

    refused: list[Refusal] = field(default_factory=list)
    """What a store or a token service has said no with."""

    signed: dict[tuple[str, tuple[tuple[str, str], ...]], Signed] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, visit: Visit) -> None:
        """Answer a request, whichever of the persona's hosts it is for."""
        persona, store = self.persona, self.persona.store
        path = urlsplit(visit.path).path
        if visit.origin + path == persona.realm:
            self.answer_token(visit)
        elif store and visit.origin == store.origin and path.startswith(urlsplit(store.base).path):
            self.answer_store(visit)
        elif visit.origin == persona.origin:
            self.answer_registry(visit)
        elif blob := persona.content.elsewhere.get(visit.origin + visit.path):
            visit.reply(200, blob)
        else:
            visit.reply(502, f"no such host: {visit.origin}".encode())

    # The registry

    def answer_registry(self, visit: Visit) -> None:
        if any(quirk(self, visit) for quirk in self.persona.first):
            return
        if challenge := self.objection(visit):
            headers = {"WWW-Authenticate": challenge, "Content-Type": "application/json"}
            wrong = visit.headers.get("Authorization", "").startswith("Basic")
            self.refuse(visit, self.persona.wrong if wrong else UNAUTHORIZED, headers)
        elif not any(quirk(self, visit) for quirk in self.persona.then):
            digest = self.asked(visit, "blobs")
            if digest not in self.persona.content.repository.blobs:
                visit.answer()
            elif self.persona.store:
                visit.reply(self.persona.store.status, b"", {"Location": self.sign(digest)})
            else:
                self.send_blob(visit, digest)

    def asked(self, visit: Visit, kind: str) -> str:
        """Return the tag or digest that is asked for; empty if the request is for something else."""
        match = API_PATH.fullmatch(unquote(urlsplit(visit.path).path))
        known = match and match["name"] == self.persona.repository and match["kind"] == kind
        return match["reference"] if match and known else ""

    def objection(self, visit: Visit) -> str:
        """Return the challenge for a request that may not go on, else nothing."""
        persona = self.persona
        if not persona.challenge:
            return ""
        is_ping = urlsplit(visit.path).path == "/v2/"
        scope = "" if is_ping else persona.wanted_scope
        # A ping is about no repository, so that its challenge has no scope.
        challenge = re.sub(r',scope="\{scope\}"', f',scope="{scope}"' if scope else "", persona.challenge)
        scheme, _, credentials = visit.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer" and credentials in self.tokens:
            allowed = self.tokens[credentials]
            lacks = not is_ping and persona.wanted_scope not in allowed
            return (persona.lacking or f'{challenge},error="insufficient_scope"') if lacks else ""
        if scheme == "Basic" and persona.basic and self.knows(visit):
            return ""
        return challenge

    def knows(self, visit: Visit) -> bool:
        """Tell whether a request has the right user and password; an identity token serves as one."""
        account = self.persona.account
        encoded = visit.headers.get("Authorization", "").removeprefix("Basic ")
        user, _, password = base64.b64decode(encoded).decode().partition(":")
        if account is None or not password:
            return False
        return (user == account.user and password == account.password) or password == account.identity

    # The token service

    def answer_token(self, visit: Visit) -> None:
        persona = self.persona
        query = parse_qs(visit.body.decode() if visit.command == "POST" else urlsplit(visit.path).query)
        scopes = query.get("scope", [])
        if visit.command == "POST" and persona.post:
            self.refuse(visit, persona.post)
        elif query.get("service") != [persona.service] or set(scopes) != {persona.wanted_scope}:
            said = errors("UNSUPPORTED", f"service {query.get('service')}, scope {scopes}").replace("'", "")
            self.refuse(visit, Refusal(status=400, body=said))
        elif visit.command == "POST":
            account = persona.account
            grant = query.get("grant_type") == ["refresh_token"] and "client_id" in query
            known = account is not None and query.get("refresh_token") == [account.identity]
            self.issue(visit, scopes) if grant and known else self.refuse(visit, persona.wrong)
        elif visit.headers.get("Authorization"):
            self.issue(visit, scopes) if self.knows(visit) else self.refuse(visit, persona.wrong)
        elif self.is_private and persona.closed:
            self.refuse(visit, persona.closed)
        else:
            self.issue(visit, [] if self.is_private else scopes)

    @property
    def is_private(self) -> bool:
        return self.private or not self.persona.anonymous

    def issue(self, visit: Visit, scopes: list[str]) -> None:
        token = f"eyJ{secrets.token_hex(24)}"
        with self.lock:
            self.tokens[token] = () if self.withheld else tuple(scopes)
            self.withheld = max(self.withheld - 1, 0)
        answer: dict[str, object] = dict.fromkeys(self.persona.keys, token)
        if self.persona.expires_in is not None:
            answer |= {"expires_in": self.persona.expires_in}
        visit.reply(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def revoke(self) -> None:
        """End all tokens, whatever was said about how long they last."""
        with self.lock:
            self.revoked |= self.tokens.keys()
            self.tokens.clear()

    def refuse(self, visit: Visit, refusal: Refusal, headers: dict[str, str] | None = None) -> None:
        self.refused.append(refusal)
        visit.reply(refusal.status, refusal.body.encode(), headers or {"Content-Type": "text/plain"})

    # The store

    def sign(self, digest: str) -> str:
        """Return a new URL of a blob in the store, whose signature is good for this host and some time."""
        store = self.persona.store
        assert store
        base = urlsplit(store.base)
        code = digest.removeprefix("sha256:")
        path = f"{base.path}{code[:2]}/{code}/data"
        # As in real signatures, there are characters in it which a URL can't have as they are.
        signature = quote(base64.b64encode(b"\xfb\xff" + secrets.token_bytes(18)).decode(), safe="")
        end = time.time() + self.signature_seconds
        query = store.query.format(end=int(end), start=int(time.time()), signature=signature)
        self.signed[path, tuple(sorted(parse_qsl(query)))] = Signed(digest, base.netloc, end)
        return f"{path}?{query}" if store.relative else f"{base.scheme}://{base.netloc}{path}?{query}"

    def answer_store(self, visit: Visit) -> None:
        store = self.persona.store
        assert store
        url = urlsplit(visit.path)
        signed = self.signed.get((url.path, tuple(sorted(parse_qsl(url.query)))))
        authorization = visit.headers.get("Authorization", "")
        xml = {"Content-Type": "application/xml"}
        if authorization and store.both:
            body = store.both.body.replace("{authorization}", authorization)
            self.refuse(visit, Refusal(status=store.both.status, body=body), xml)
        elif signed is None or visit.headers.get("Host") != signed.host or visit.command != "GET":
            self.refuse(visit, store.mismatch, xml)
        elif time.time() >= signed.end:
            body = store.expired.body.replace("{query}", url.query.replace("&", "&amp;"))
            self.refuse(visit, Refusal(status=store.expired.status, body=body), xml)
        else:
            self.send_blob(visit, signed.digest)

    def send_blob(self, visit: Visit, digest: str) -> None:
        """Send a blob, or a part of it; with it end all signatures for it, if the connection is to break."""
        blob = self.persona.content.repository.blobs[digest]
        with self.lock:
            cut = bool(self.cuts) and len(blob) > BULK and visit.command == "GET"
            if cut:
                self.cuts -= 1
                for key in [key for key, signed in self.signed.items() if signed.digest == digest]:
                    del self.signed[key]
        if cut:
            visit.break_off(blob, len(blob) // 2, reset=self.reset)
        else:
            visit.reply_blob(blob, digest)
