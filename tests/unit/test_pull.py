from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from demo.registry import Handler, Registry, Server, running
from hatch_oci.errors import RegistryError
from hatch_oci.image.media_types import ACCEPT
from hatch_oci.image.reference import Reference
from hatch_oci.registry.pull import Repository
from hatch_oci.registry.transport import Transport
from tests.unit.bases import QUICK, served, small_image


@pytest.fixture
def registry() -> Iterator[Registry]:
    with served(small_image()) as registry:
        yield registry


def guarded(registry: Registry, asked: list[str], token: Callable[[int], dict[str, str]]) -> None:
    """Let the registry want a token from a realm of its own, as Docker Hub does for anonymous pulls."""

    def answer(request: Handler) -> None:
        if request.path.startswith("/token"):
            asked.append(request.path)
            request.reply(200, json.dumps(token(len(asked))).encode())
        elif request.headers.get("Authorization") == f"Bearer token{len(asked)}" and asked:
            request.answer()
        else:
            scope = "repository:app:pull"
            realm = f"http://{registry.address}/token?own=1"
            header = f'Bearer realm="{realm}",service="the registry",scope="{scope}"'
            request.reply(401, b"{}", {"WWW-Authenticate": header})

    registry.answers["GET", "*"] = answer


@pytest.mark.parametrize("key", ["token", "access_token"])
def test_a_public_image_is_pulled_with_an_anonymous_token(key: str, registry: Registry) -> None:
    asked: list[str] = []
    guarded(registry, asked, lambda count: {key: f"token{count}"})
    with closing(Transport(patience=QUICK)) as transport:
        repository = Repository(transport, Reference.parse(f"{registry.address}/app:1"))
        first = repository.manifest("1")
        assert repository.manifest("1") == first
    assert asked == ["/token?own=1&service=the%20registry&scope=repository%3Aapp%3Apull"]


def test_one_token_serves_all_threads(registry: Registry) -> None:
    asked: list[str] = []
    guarded(registry, asked, lambda count: {"token": f"token{count}"})
    with closing(Transport(patience=QUICK)) as transport, ThreadPoolExecutor(8) as pool:
        repository = Repository(transport, Reference.parse(f"{registry.address}/app:1"))
        assert len(set(pool.map(repository.manifest, ["1"] * 8))) == 1
    assert len(asked) == 1


def test_a_manifest_is_asked_for_in_all_its_forms(registry: Registry) -> None:
    seen: list[str] = []

    def answer(request: Handler) -> None:
        seen.append(request.headers["Accept"])
        request.answer()

    registry.answers["GET", "/v2/app/manifests/1"] = answer
    with closing(Transport(patience=QUICK)) as transport:
        Repository(transport, Reference.parse(f"{registry.address}/app:1")).manifest("1")
    assert seen == [ACCEPT]


@pytest.mark.parametrize(
    ("status", "headers", "body", "message"),
    [
        (401, {"WWW-Authenticate": "Basic realm=x"}, b"", "{host} refuses app: tried without credentials: HTTP 401; "),
        (
            401,
            {},
            b"",
            "there are no credentials for it in any file. Check its name, log in with `docker login {host}`",
        ),
        (
            401,
            {"WWW-Authenticate": 'Bearer realm="ftp://x/token?a=b"'},
            b"",
            "{host} refuses app: it asks to log in at 'ftp://x/token', which is no https URL",
        ),
        (
            403,
            {},
            b'{"errors":[{"code":"DENIED","message":"not \\u001b[31myours"}]}',
            "tried without credentials: HTTP 403: not [31myours",
        ),
        (418, {}, b"<html>oops</html>", "HTTP 418 from {host} about {reference}"),
        (500, {}, b"{}", "HTTP 500 from {host} about {reference}"),
        (429, {}, b'{"errors":[{"code":"TOOMANYREQUESTS"}]}', "for now (HTTP 429): TOOMANYREQUESTS: wait, log in"),
        (404, {}, b'{"errors":[{"message":"' + b"x" * 500 + b'"}]}', "has no {reference}: " + "x" * 200 + "; check"),
    ],
)
def test_a_refusal_says_what_the_registry_said(
    status: int, headers: dict[str, str], body: bytes, message: str, registry: Registry
) -> None:
    registry.answers["GET", "*"] = lambda request: request.reply(status, body, headers)
    reference = Reference.parse(f"{registry.address}/app:1")
    with closing(Transport(patience=QUICK)) as transport, pytest.raises(RegistryError) as caught:
        Repository(transport, reference).manifest("1")
    assert message.format(reference=reference, host=registry.address) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_token_answer_that_is_none_is_one_line(registry: Registry) -> None:
    asked: list[str] = []
    guarded(registry, asked, lambda _count: {"tocken": "x"})
    with (
        closing(Transport(patience=QUICK)) as transport,
        pytest.raises(Exception, match=r"access_token: is missing") as caught,
    ):
        Repository(transport, Reference.parse(f"{registry.address}/app:1")).manifest("1")
    assert f"the token service http://{registry.address}/token" in str(caught.value)


class Tunnel(Handler):
    """A proxy behind which every host is a server without TLS."""

    def do_CONNECT(self) -> None:  # noqa: N802
        self.send_response(200)
        self.end_headers()


def test_a_registry_without_tls_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server({}, {}) as server:
        server.RequestHandlerClass = Tunnel
        with running(server), closing(Transport(patience=QUICK)) as transport:
            monkeypatch.setenv("HTTPS_PROXY", f"http://{server.registry.address}")
            with pytest.raises(RegistryError) as caught:
                Repository(transport, Reference.parse("reg.example:5000/app:1")).manifest("1")
    assert str(caught.value) == (
        "https://reg.example:5000 speaks plain http, not https: "
        'if that is meant, set insecure-registries = ["reg.example:5000"]'
    )
