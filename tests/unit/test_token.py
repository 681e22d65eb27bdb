from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from demo.registry import Handler, Registry, serve
from hatch_oci.errors import RegistryError, UnreachableError
from hatch_oci.registry.credentials import Credential
from hatch_oci.registry.network import Scope
from hatch_oci.registry.token import Realm, RefusedError, Token, ask_token
from hatch_oci.registry.transport import Transport
from tests.unit.bases import QUICK

SCOPE = "repository:team/app:pull"
ANN = Credential("here", "ann", "hidden")
IDENTITY = Credential("here", identity_token="hidden")
NO_LIVES: list[Any] = [0, -1, 300.0, "300", True, None, []]


class Service:
    """A token service, and what it was asked: method, query, form and `Authorization`."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.asked: list[tuple[str, list[tuple[str, str]], dict[str, str], str | None]] = []
        self.replies: dict[str, tuple[int, Any]] = {}
        self.headers: dict[str, str] = {}
        for method in ("GET", "POST"):
            registry.answers[method, "/token"] = self.answer

    @property
    def url(self) -> str:
        return f"http://{self.registry.address}/token"

    def answer(self, request: Handler) -> None:
        form = request.rfile.read(int(request.headers.get("Content-Length", 0))).decode()
        query = parse_qsl(urlsplit(request.path).query, keep_blank_values=True)
        self.asked.append((request.command, query, dict(parse_qsl(form)), request.headers.get("Authorization")))
        status, body = self.replies.get(request.command, (200, {"token": "t"}))
        request.reply(status, body if isinstance(body, bytes) else json.dumps(body).encode(), self.headers)

    def ask(
        self, credential: Credential | None = None, *, query: str = "", service: str = "s", scope: str = SCOPE
    ) -> Token:
        realm = Realm(self.url + query, service, scope)
        with closing(Transport(patience=QUICK)) as transport:
            return ask_token(realm, credential, Scope.LOOPBACK, transport)

    def message(self, credential: Credential | None = None) -> str:
        with pytest.raises(RegistryError) as caught:
            self.ask(credential)
        message = str(caught.value)
        assert "hidden" not in message
        assert message.startswith(f"the token service {self.url}")
        return message.removeprefix(f"the token service {self.url}")


@pytest.fixture
def service() -> Iterator[Service]:
    with serve({}) as registry:
        yield Service(registry)


def basic(user: str, secret: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{secret}'.encode()).decode()}"


def test_a_token_is_asked_for_without_credentials(service: Service) -> None:
    assert service.ask().value == "t"
    assert service.asked == [("GET", [("service", "s"), ("scope", SCOPE)], {}, None)]


def test_user_and_password_go_along_as_basic(service: Service) -> None:
    assert service.ask(ANN).value == "t"
    query = [("service", "s"), ("scope", SCOPE), ("account", "ann")]
    assert service.asked == [("GET", query, {}, basic("ann", "hidden"))]


def test_the_realms_own_query_stays_and_each_scope_has_a_parameter(service: Service) -> None:
    service.ask(query="?a=%2F&b", scope="repository:a:pull repository:b/c:pull,push", service="a b&c")
    assert service.registry.log == [
        (
            "GET",
            "/token?a=%2F&b&service=a%20b%26c&scope=repository%3Aa%3Apull&scope=repository%3Ab%2Fc%3Apull%2Cpush",
        )
    ]


def test_a_fragment_of_the_realm_is_no_part_of_the_query(service: Service) -> None:
    service.ask(query="?a#part", scope="")
    assert service.registry.log == [("GET", "/token?a&service=s")]


def test_a_realm_without_service_is_asked_without_one(service: Service) -> None:
    service.ask(service="", scope="")
    assert service.registry.log == [("GET", "/token")]


def test_an_identity_token_is_posted_and_never_in_the_url(service: Service) -> None:
    assert service.ask(IDENTITY).value == "t"
    form = {
        "grant_type": "refresh_token",
        "refresh_token": "hidden",
        "client_id": "hatch-oci-image",
        "service": "s",
        "scope": SCOPE,
    }
    assert service.asked == [("POST", [], form, None)]


@pytest.mark.parametrize("status", [400, 401, 404, 405])
def test_a_service_that_knows_no_post_is_asked_the_older_way(status: int, service: Service) -> None:
    service.replies["POST"] = (status, b"")
    assert service.ask(IDENTITY).value == "t"
    assert [(method, authorization) for method, _, _, authorization in service.asked] == [
        ("POST", None),
        ("GET", basic("<token>", "hidden")),
    ]


def test_a_service_that_refuses_the_post_is_not_asked_again(service: Service) -> None:
    service.replies["POST"] = (403, {"details": "hidden is stale"})
    assert service.message(IDENTITY) == " gives no token (HTTP 403: *** is stale)"
    assert len(service.asked) == 1


def test_a_token_that_is_at_hand_is_not_asked_for(service: Service) -> None:
    token = service.ask(Credential("here", registry_token="rt"))
    assert (token.value, token.is_fresh, token.renew_at) == ("rt", True, float("inf"))
    assert service.asked == []


@pytest.mark.parametrize("value", ["hidden\n", "hiddén", "hidden hidden", "hid\rden"])
def test_what_is_at_hand_and_no_token_is_not_sent(value: str, service: Service) -> None:
    with pytest.raises(RefusedError, match=r"^its registrytoken is no token$"):
        service.ask(Credential("here", registry_token=value))
    assert service.asked == []


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_told_apart(status: int, service: Service) -> None:
    service.replies["GET"] = (status, {"details": f"no {basic('ann', 'hidden')[6:]}, hidden"})
    with pytest.raises(RefusedError):
        service.ask(ANN)
    assert service.message(ANN) == f" gives no token (HTTP {status}: no ***, ***)"


def test_a_service_that_is_down_is_tried_again_and_refuses_nobody(service: Service) -> None:
    service.replies["GET"] = (503, b"")
    assert service.message() == " gives no token (HTTP 503)"
    assert len(service.asked) == 5
    with pytest.raises(RegistryError) as caught:
        service.ask()
    assert not isinstance(caught.value, RefusedError)


def test_a_service_redirects_nowhere(service: Service) -> None:
    service.replies["GET"] = (307, b"")
    service.headers["Location"] = "/elsewhere"
    with pytest.raises(RegistryError, match=r"/token redirects, which it may not$"):
        service.ask(ANN)
    assert len(service.registry.log) == 1


def test_a_service_on_this_machine_is_for_registries_that_are_there(service: Service) -> None:
    with closing(Transport(patience=QUICK)) as transport:
        for nearest in (Scope.GLOBAL, Scope.PRIVATE):
            with pytest.raises(RegistryError, match="where a registry has no business") as caught:
                ask_token(Realm(service.url, "", ""), ANN, nearest, transport)
            assert not isinstance(caught.value, UnreachableError)
    assert service.asked == []


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ({"token": "a"}, "a"),
        ({"access_token": "b"}, "b"),
        ({"token": "a", "access_token": "b", "expires_in": 300, "issued_at": "2026-01-01T00:00:00Z"}, "a"),
        ({"token": None, "access_token": "b"}, "b"),
        ({"token": "", "access_token": "b"}, "b"),
        ({"token": "!~" + "x" * 60_000}, "!~" + "x" * 60_000),
    ],
)
def test_a_token_has_one_of_two_names(answer: dict[str, Any], value: str, service: Service) -> None:
    service.replies["GET"] = (200, answer)
    assert service.ask().value == value


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({}, " → access_token: is missing"),
        ([], ": must be an object"),
        (b"<html>hidden", ": not valid JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"", ": not valid JSON: Expecting value: line 1 column 1 (char 0)"),
        ({"token": 5}, " → token: must be a string"),
        ({"token": ""}, " answered with what is no token"),
        ({"token": "hidden hidden"}, " answered with what is no token"),
        ({"token": "hidden\r\nX-Injected: 1"}, " answered with what is no token"),
        ({"token": "hidden\n"}, " answered with what is no token"),
        ({"token": "hiddén"}, " answered with what is no token"),
    ],
)
def test_an_answer_without_a_token_is_told(answer: Any, problem: str, service: Service) -> None:
    service.replies["GET"] = (200, answer)
    assert service.message() == problem


def test_an_answer_that_is_too_long_is_refused(service: Service) -> None:
    service.replies["GET"] = (200, {"token": "x" * 65536})
    with pytest.raises(RegistryError, match=r"sent more than the 65536 bytes that such an answer may have$"):
        service.ask()


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ({}, 50),
        ({"expires_in": 300}, 290),
        ({"expires_in": 3}, 1.5),
        ({"expires_in": 20}, 10),
        ({"expires_in": 10**9}, 10**9 - 10),
        *(({"expires_in": value}, 50) for value in NO_LIVES),
    ],
)
def test_a_token_is_renewed_in_time(answer: Mapping[str, Any], seconds: float, service: Service) -> None:
    service.replies["GET"] = (200, {"token": "t", **answer})
    before = time.monotonic()
    token = service.ask()
    # Counted from before the service was asked.
    assert before + seconds <= token.renew_at <= before + seconds + 0.5
    assert token.is_fresh


def test_a_token_whose_time_has_come_is_not_fresh() -> None:
    assert not Token("t", time.monotonic()).is_fresh
    assert "hidden" not in repr(Token("hidden", 0))


def test_a_life_beyond_measure_is_a_long_one(service: Service) -> None:
    service.replies["GET"] = (200, b'{"token": "t", "expires_in": 1' + b"0" * 400 + b"}")
    assert service.ask().is_fresh
