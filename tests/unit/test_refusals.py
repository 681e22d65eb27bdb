"""What becomes of tokens, and of what must not be told or sent."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from demo.registry import Handler, serve
from hatch_oci.errors import RegistryError
from hatch_oci.image.reference import Reference
from hatch_oci.registry.authorization import Authorization
from hatch_oci.registry.headers import Headers
from hatch_oci.registry.pull import Repository
from hatch_oci.registry.transport import Reply, Request, Transport
from tests.unit.bases import QUICK
from tests.unit.guards import BASIC, Guard, log_in


def test_an_error_tells_all_that_was_tried_and_no_secret(guard: Guard, pull: Callable[..., None], home: Path) -> None:
    path = log_in(home, guard, auth=base64.b64encode(b"me:secret-wort").decode())
    with pytest.raises(RegistryError) as caught:
        pull()
    address = guard.registry.address
    service = f"the token service http://{address}/token gives no token (HTTP 401: incorrect username or password: "
    assert str(caught.value) == (
        f"{address} refuses app: tried with key {address} in {path}: {service}secret-word); "
        f"without credentials: {service}secret-word). "
        f"Check its name, log in with `docker login {address}`, "
        "or set HATCH_OCI_REGISTRY, HATCH_OCI_USER and HATCH_OCI_AUTH"
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


def test_one_token_is_fetched_for_all_threads(guard: Guard) -> None:
    guard.public = True
    with closing(Transport(patience=QUICK)) as transport, ThreadPoolExecutor(8) as pool:
        repository = Repository(transport, Reference.parse(f"{guard.registry.address}/app:1"))
        for future in [pool.submit(repository.manifest, "1") for _ in range(16)]:
            future.result()
    assert len(guard.tokens) == 1


def test_a_secret_is_known_while_another_thread_waits_for_a_token(guard: Guard) -> None:
    guard.public = True
    with closing(Transport(patience=QUICK)) as transport:
        repository = Repository(transport, Reference.parse(f"{guard.registry.address}/app:1"))
        repository.manifest("1")
        guard.valid.clear()
        waits, goes_on = threading.Event(), threading.Event()

        def slow(request: Handler) -> None:
            waits.set()
            goes_on.wait(10)
            guard.answer(request)

        guard.registry.answers["GET", "/token"] = slow
        session = repository._own
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(repository.manifest, "1")
            assert waits.wait(10)
            reply = Reply(("http://r.example/",), 400, Headers(), b'{"message": "bad token1"}')
            assert str(session.problem(reply, "it")).endswith(": bad ***")
            goes_on.set()
            future.result()


def test_the_challenge_of_another_host_is_not_answered(guard: Guard, pull: Callable[..., None], home: Path) -> None:
    log_in(home, guard)
    with serve({}) as other:
        other.answers["GET", "/v2/"] = lambda request: request.reply(
            401, b"", {"WWW-Authenticate": f'Bearer realm="http://{other.address}/token"'}
        )
        location = {"Location": f"http://{other.address}/v2/"}
        registry = guard.registry
        registry.answers["GET", "/v2/"] = lambda request: request.reply(
            307 if "/v2/app/manifests/1" in str(registry.log) else 200, b"", location
        )
        registry.answers["GET", "/v2/app/manifests/1"] = lambda request: request.reply(401)
        with pytest.raises(RegistryError, match=r"refuses app: tried without credentials: HTTP 401"):
            pull()
        assert other.log == []


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


def test_a_token_service_may_be_as_near_as_the_host_that_is_asked(guard: Guard) -> None:
    # Docker Hub is asked by another name than its users know, which some networks lead to addresses of their own.
    guard.public = True
    registry = guard.registry
    with closing(Transport(patience=QUICK)) as transport:
        url = f"http://{registry.address}/v2/app/manifests/1"
        refusal = transport.fetch(Request("GET", url), 1000)
        authorization = Authorization(transport, "docker.io", registry.address, "app", QUICK)
        authorization.learn(refusal, None, set())
        assert authorization.header() == "Bearer token1"
