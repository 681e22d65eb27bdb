"""What a repository is asked with: tokens, user and password, or neither."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.registry import Handler
from tests.unit.guards import BASIC, SCOPE, Guard, log_in


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
