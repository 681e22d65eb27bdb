"""A registry's guard, and a user who has credentials for it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from demo.registry import Handler, Registry

BASIC = "Basic " + base64.b64encode(b"me:secret-word").decode()
SCOPE = "repository:app:pull"


@dataclass
class Guard:
    """A registry's guard: says who may pull, hands out tokens, and remembers what it was shown."""

    registry: Registry
    scheme: str = "Bearer"
    public: bool = False
    """Whether everybody gets a token, or is let in."""

    life: int | None = 300
    scope: str | None = SCOPE
    realm: str = ""
    refuses: int = 401
    shown: list[str] = field(default_factory=list)
    tokens: list[dict[str, list[str]]] = field(default_factory=list)
    valid: set[str] = field(default_factory=set)

    def answer(self, request: Handler) -> None:
        shown = request.headers.get("Authorization", "")
        if request.path.startswith("/token"):
            self.give_token(request, shown)
            return
        self.shown.append(shown)
        if self.scheme == "Basic":
            allowed = shown == BASIC or (self.public and not shown)
        else:
            allowed = shown.removeprefix("Bearer ") in self.valid
        if allowed:
            request.answer()
            return
        realm = self.realm or f"http://{self.registry.address}/token"
        scope = f',scope="{self.scope}"' if self.scope else ""
        challenge = f'{self.scheme} realm="{realm}",service="me"{scope}'
        body = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
        request.reply(self.refuses, body, {"WWW-Authenticate": challenge} if self.refuses == 401 else {})

    def give_token(self, request: Handler, shown: str) -> None:
        length = int(request.headers.get("Content-Length", "0"))
        query = request.rfile.read(length).decode() if length else urlsplit(request.path).query
        asked = {"method": [request.command], "shown": [shown], **parse_qs(query)}
        self.tokens.append(asked)
        if shown != BASIC and asked.get("refresh_token") != ["identity"] and not (self.public and not shown):
            request.reply(401, b'{"details":"incorrect username or password: secret-word"}')
            return
        token = f"token{len(self.tokens)}"
        self.valid.add(token)
        life = {} if self.life is None else {"expires_in": self.life}
        request.reply(200, json.dumps({"token": token, **life}).encode())


def log_in(home: Path, guard: Guard, **entry: str) -> Path:
    """Write Docker's file with an entry for the registry."""
    path = home / ".docker/config.json"
    path.parent.mkdir()
    known = entry or {"auth": BASIC.removeprefix("Basic ")}
    path.write_text(json.dumps({"auths": {guard.registry.address: known}}))
    return path
