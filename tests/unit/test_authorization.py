"""What a repository is asked with: tokens, user and password, or neither."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from demo.registry import Handler, Registry
from hatch_oci.errors import RegistryError
from hatch_oci.image.reference import Reference
from hatch_oci.registry.options import RegistryOptions
from hatch_oci.registry.pull import Repository
from hatch_oci.registry.transport import Transport
from hatch_oci.report import Reporter
from tests.unit.bases import QUICK, served, small_image

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


@pytest.fixture
def guard() -> Iterator[Guard]:
    with served(small_image()) as registry:
        guard = Guard(registry)
        for method in ("GET", "HEAD", "POST"):
            registry.answers[method, "*"] = guard.answer
        registry.answers["GET", "/v2/"] = Handler.answer
        yield guard


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def pull(guard: Guard, told: list[str]) -> Callable[..., None]:
    """Return what pulls a manifest, several times over one connection if need be."""

    def pull(times: int = 1, **options: object) -> None:
        reporter = Reporter(info=told.append, warn=told.append)
        known = RegistryOptions(**options)  # type: ignore[arg-type]
        with closing(Transport(known, reporter, QUICK)) as transport:
            repository = Repository(transport, Reference.parse(f"{guard.registry.address}/app:1"))
            for _ in range(times):
                assert repository.manifest("1")[0]

    return pull


def log_in(home: Path, guard: Guard, **entry: str) -> Path:
    """Write Docker's file with an entry for the registry."""
    path = home / ".docker/config.json"
    path.parent.mkdir()
    known = entry or {"auth": BASIC.removeprefix("Basic ")}
    path.write_text(json.dumps({"auths": {guard.registry.address: known}}))
    return path


def test_a_public_image_needs_no_credentials(guard: Guard, pull: Callable[..., None]) -> None:
    guard.public = True
    pull(times=3)
    assert guard.shown == ["", "Bearer token1", "Bearer token1", "Bearer token1"]
    assert guard.tokens == [{"method": ["GET"], "shown": [""], "service": ["me"], "scope": [SCOPE]}]


def test_user_and_password_get_a_token(guard: Guard, pull: Callable[..., None], home: Path) -> None:
    log_in(home, guard)
    pull()
    assert guard.tokens == [
        {"method": ["GET"], "shown": [BASIC], "service": ["me"], "scope": [SCOPE], "account": ["me"]}
    ]
    # The password went to the token service alone.
    assert guard.shown == ["", "Bearer token1"]


def test_an_identity_token_gets_a_token_by_post(guard: Guard, pull: Callable[..., None], home: Path) -> None:
    log_in(home, guard, auth=base64.b64encode(b"me:").decode(), identitytoken="identity")
    pull()
    (asked,) = guard.tokens
    assert (asked["method"], asked["grant_type"], asked["scope"]) == (["POST"], ["refresh_token"], [SCOPE])
    assert asked["shown"] == [""]


@pytest.mark.parametrize("status", [400, 401, 404, 405])
def test_an_identity_token_is_the_password_where_there_is_no_post(
    status: int, guard: Guard, pull: Callable[..., None], home: Path
) -> None:
    log_in(home, guard, auth=base64.b64encode(b"me:").decode(), identitytoken="secret-word")

    def refuse(request: Handler) -> None:
        request.rfile.read(int(request.headers["Content-Length"]))
        request.reply(status)

    guard.registry.answers["POST", "/token"] = refuse
    pull()
    assert [asked["shown"] for asked in guard.tokens] == [[BASIC]]


def test_a_token_of_a_file_is_used_as_it_is(guard: Guard, pull: Callable[..., None], home: Path) -> None:
    guard.valid.add("ready-made")
    log_in(home, guard, registrytoken="ready-made")
    pull()
    assert guard.shown == ["", "Bearer ready-made"]
    assert guard.tokens == []


def test_what_is_no_token_in_a_file_does_not_bar_a_public_image(
    guard: Guard, pull: Callable[..., None], home: Path
) -> None:
    guard.public = True
    path = log_in(home, guard, registrytoken="ready-made\n")
    pull()
    assert guard.shown == ["", "Bearer token1"]
    guard.public = False
    with pytest.raises(RegistryError) as caught:
        pull()
    assert f"with key {guard.registry.address} in {path}: its registrytoken is no token; " in str(caught.value)
    assert "ready-made" not in str(caught.value)


def test_user_and_password_are_sent_where_the_registry_wants_them(
    guard: Guard, pull: Callable[..., None], home: Path
) -> None:
    guard.scheme = "Basic"
    log_in(home, guard)
    pull(times=2)
    assert guard.shown == ["", BASIC, BASIC]


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
def test_stale_credentials_do_not_bar_a_public_image(
    scheme: str, guard: Guard, pull: Callable[..., None], told: list[str], home: Path
) -> None:
    guard.scheme = scheme
    path = log_in(home, guard, auth=base64.b64encode(b"me:old-word").decode())
    guard.public = True
    if scheme == "Basic":
        # A registry that challenges whoever comes with nothing, but once.
        guard.public = False
        guard.registry.answers["GET", "*"] = _challenge_once(guard)
    pull()
    assert told == [
        f"{guard.registry.address} refuses key {guard.registry.address} in {path}; trying without credentials"
    ]


def _challenge_once(guard: Guard) -> Callable[[Handler], None]:
    challenged: list[bool] = []

    def answer(request: Handler) -> None:
        if len(challenged) < 2:
            challenged.append(True)
            guard.answer(request)
        else:
            assert "Authorization" not in request.headers
            request.answer()

    return answer


def test_a_token_that_the_registry_bars_is_left_for_none(
    guard: Guard, pull: Callable[..., None], told: list[str], home: Path
) -> None:
    log_in(home, guard)
    guard.public = True

    def answer(request: Handler) -> None:
        # As GHCR does with a token of somebody who lost their rights.
        if request.headers.get("Authorization") == "Bearer token1":
            guard.shown.append("Bearer token1")
            request.reply(403, b'{"errors":[{"code":"DENIED"}]}')
        else:
            guard.answer(request)

    guard.registry.answers["GET", "/v2/app/manifests/1"] = answer
    pull()
    assert guard.shown == ["", "Bearer token1", "Bearer token2"]
    assert [asked["shown"] for asked in guard.tokens] == [[BASIC], [""]]
    assert len(told) == 1


def test_an_error_tells_all_that_was_tried_and_no_secret(guard: Guard, pull: Callable[..., None], home: Path) -> None:
    path = log_in(home, guard, auth=base64.b64encode(b"me:secret-wort").decode())
    with pytest.raises(RegistryError) as caught:
        pull()
    address = guard.registry.address
    service = f"the token service http://{address}/token gives no token (HTTP 401: incorrect username or password: "
    assert str(caught.value) == (
        f"{address} refuses app: tried with key {address} in {path}: {service}secret-word); "
        f"without credentials: {service}secret-word). "
        f"Log in with `docker login {address}`, or set HATCH_OCI_REGISTRY, HATCH_OCI_USER and HATCH_OCI_AUTH"
    )
    assert "secret-wort" not in str(caught.value)


def test_a_registry_that_repeats_the_token_does_not_get_it_printed(
    guard: Guard, pull: Callable[..., None], home: Path
) -> None:
    log_in(home, guard)

    def answer(request: Handler) -> None:
        shown = request.headers.get("Authorization", "")
        if shown:
            body = {"errors": [{"message": f"bad header {shown} of https://x/y?Signature=abc\x1b[31m"}]}
            request.reply(403, json.dumps(body).encode())
        else:
            guard.answer(request)

    guard.registry.answers["GET", "/v2/app/manifests/1"] = answer
    with pytest.raises(RegistryError, match=r"HTTP 403: bad header Bearer \*\*\* of https://x/y\?\*\*\*") as caught:
        pull()
    assert "token1" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_token_near_its_end_is_renewed_before(guard: Guard) -> None:
    guard.public = True
    guard.life = 1
    with closing(Transport(patience=QUICK)) as transport:
        repository = Repository(transport, Reference.parse(f"{guard.registry.address}/app:1"))
        repository.manifest("1")
        time.sleep(0.6)
        repository.manifest("1")
    assert guard.shown == ["", "Bearer token1", "Bearer token2"]


def test_a_token_that_ends_unannounced_is_renewed(guard: Guard) -> None:
    guard.public = True
    with closing(Transport(patience=QUICK)) as transport:
        repository = Repository(transport, Reference.parse(f"{guard.registry.address}/app:1"))
        repository.manifest("1")
        guard.valid.clear()
        repository.manifest("1")
    assert guard.shown == ["", "Bearer token1", "Bearer token1", "Bearer token2"]


def test_a_token_of_too_narrow_a_scope_is_exchanged_for_a_wider(guard: Guard, pull: Callable[..., None]) -> None:
    guard.public = True
    guard.scope = "repository:app:metadata_read"

    def answer(request: Handler) -> None:
        if request.headers.get("Authorization") == "Bearer token1":
            challenge = (
                f'Bearer realm="http://{guard.registry.address}/token",service="me",'
                f'scope="{SCOPE} repository:base:pull",error="insufficient_scope"'
            )
            request.reply(401, b"{}", {"WWW-Authenticate": challenge})
        else:
            guard.answer(request)

    guard.registry.answers["GET", "/v2/app/manifests/1"] = answer
    pull()
    assert [asked["scope"] for asked in guard.tokens] == [
        ["repository:app:metadata_read"],
        [SCOPE, "repository:base:pull"],
    ]


def test_a_challenge_without_a_scope_means_this_repository(guard: Guard, pull: Callable[..., None]) -> None:
    guard.public = True
    guard.scope = None
    pull()
    assert guard.tokens[0]["scope"] == [SCOPE]


def test_a_registry_that_challenges_at_its_front_door_only_is_asked_there(
    guard: Guard, pull: Callable[..., None]
) -> None:
    guard.public = True

    def silent(request: Handler) -> None:
        if "Authorization" in request.headers:
            guard.answer(request)
        else:
            request.reply(401)

    def door(request: Handler) -> None:
        request.reply(401, b"", {"WWW-Authenticate": f'Bearer realm="http://{guard.registry.address}/token"'})

    guard.registry.answers["GET", "/v2/"] = door
    guard.registry.answers["GET", "/v2/app/manifests/1"] = silent
    pull()
    assert guard.shown == ["Bearer token1"]


def test_one_token_is_fetched_for_all_threads(guard: Guard) -> None:
    guard.public = True
    with closing(Transport(patience=QUICK)) as transport, ThreadPoolExecutor(8) as pool:
        repository = Repository(transport, Reference.parse(f"{guard.registry.address}/app:1"))
        for future in [pool.submit(repository.manifest, "1") for _ in range(16)]:
            future.result()
    assert len(guard.tokens) == 1


def test_credentials_do_not_go_to_a_realm_of_another_domain(
    guard: Guard, pull: Callable[..., None], home: Path
) -> None:
    log_in(home, guard)
    # The same server, but under another name.
    port = guard.registry.address.partition(":")[2]
    guard.realm = f"http://localhost:{port}/token"
    with pytest.raises(RegistryError) as caught:
        pull()
    assert f"was not sent to localhost:{port}, which is of another domain" in str(caught.value)
    assert [asked["shown"] for asked in guard.tokens] == [[""]]
    pull(trusted_realms=frozenset({"localhost"}))
    assert guard.tokens[-1]["shown"] == [BASIC]
