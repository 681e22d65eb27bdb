"""Registries that would have the user's password sent to somebody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.registry import Handler
from tests.faults.hostile import Victim, check_unknowing
from tests.faults.world import (
    ALIKE,
    EVIL,
    REFERENCE,
    REGISTRY,
    SISTER,
    TOKEN,
    World,
    ask_password,
    ask_token,
    redirect,
)

Amount = Callable[[int, int], int]
Note = Callable[[str, object], None]


def give_token(request: Handler) -> None:
    request.reply(200, json.dumps({"token": TOKEN}).encode())


@pytest.mark.parametrize("realm", [f"https://{SISTER}/token", f"https://{REGISTRY}/token"])
def test_an_honest_token_realm(realm: str, world: World, victim: Victim) -> None:
    """The same host, or one of the same domain, may know the password; nobody else does."""
    ask_token(world.registry, realm)
    for server in (world.registry, world.sister):
        server.answers["GET", "/token"] = give_token
    done = victim.inspect(REFERENCE, "--json")
    assert done.code == 0, done.said
    assert len([came for came in (*world.registry.requests, *world.sister.requests) if "/token" in came.path]) == 1
    check_unknowing(
        [came for came in world.registry.requests if "/token" not in came.path and not _bears(came.headers)]
    )


def _bears(headers: dict[str, str], token: str = TOKEN) -> bool:
    return headers.get("authorization") == f"Bearer {token}"


REALMS = {
    "another domain": (f"https://{EVIL}/token", f"was not sent to {EVIL}"),
    "a name that looks alike": (f"https://{ALIKE}/token", f"was not sent to {ALIKE}"),
    "plain http elsewhere": (f"http://{EVIL}/token", "no https URL"),
    "plain http at the registry": (f"http://{REGISTRY}/token", "no https URL"),
    "the metadata address": ("https://169.254.169.254/latest/meta-data/", "where a registry has no business"),
    "the metadata address, plain": ("http://169.254.169.254/latest/meta-data/", "no https URL"),
    "as one number": ("https://2852039166/", "where a registry has no business"),
    "a private address": ("https://10.0.0.1/token", "where a registry has no business"),
    "this machine": ("https://127.0.0.1:{evil}/token", "where a registry has no business"),
    "this machine by its name": ("https://localhost:{evil}/token", "where a registry has no business"),
    "a user in it": (f"https://x:y@{REGISTRY}/token", "no https URL"),
    "a file": ("file:///etc/passwd", "no https URL"),
    "none": ("", "no https URL"),
    "a backslash": (f"https://{EVIL}\\\\@{REGISTRY}/token", "no https URL"),
    "escapes of a terminal": ("https://\x1b[31m\x1b]0;x\x07/", "no https URL"),
}


def test_a_token_realm_elsewhere(world: World, victim: Victim, amount: Amount, record_property: Note) -> None:
    """It is not asked at all, or without a name: who has none may get a token anywhere."""
    tries = list(REALMS.values())[:: amount(3, 1)]
    for realm, words in tries:
        ask_token(world.registry, realm.format(evil=world.evil.address.rpartition(":")[2]))
        world.evil.answers["GET", "/token"] = lambda request: request.reply(200, b'{"token":"another"}')
        world.evil.forget()
        victim.refuse(REFERENCE, words)
        assert bool(world.evil.requests) is ("was not sent" in words)
        check_unknowing(world.evil.requests)
        check_unknowing(came for came in world.registry.requests if not _bears(came.headers, "another"))
    assert world.plain.requests == []
    assert world.proxy.places <= {f"{REGISTRY}:443", f"{EVIL}:443", f"{ALIKE}:443"}
    record_property("cases", len(tries))


def test_a_token_service_that_redirects(world: World, victim: Victim) -> None:
    """It got the password, and may pass nothing on."""
    ask_token(world.registry, f"https://{SISTER}/token")
    world.sister.answers["GET", "/token"] = redirect(f"https://{EVIL}/token")
    victim.refuse(REFERENCE, f"https://{SISTER}/token redirects, which it may not")
    assert world.evil.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>log in</html>",
        b'{"token":"a\\r\\nX: y"}',
        b'{"token":["x"]}',
        b"{}",
        b'{"token":"' + b"x" * 70_000 + b'"}',
    ],
    ids=["a page", "a header in it", "no text", "none", "70 kB"],
)
def test_a_token_that_is_none(answer: bytes, world: World, victim: Victim) -> None:
    ask_token(world.registry, f"https://{SISTER}/token")
    world.sister.answers["GET", "/token"] = lambda request: request.reply(200, answer)
    victim.refuse(REFERENCE, SISTER)
    check_unknowing(world.registry.requests)


@pytest.mark.parametrize("kind", ["unknown authority", "another name"])
def test_a_certificate_that_is_not_trusted(kind: str, world: World, victim: Victim, tmp_path: Path) -> None:
    """Nothing is asked for, and so nothing told."""
    ask_password(world.registry)
    if kind == "unknown authority":
        victim.env["SSL_CERT_FILE"] = str(type(world.authority)(tmp_path / "other").ca)
    else:
        world.proxy.routes = {
            f"{REGISTRY}:443": world.registry.address,
            "other.example.com:443": world.registry.address,
        }
        victim.log_in("other.example.com")
    host = REGISTRY if kind == "unknown authority" else "other.example.com"
    victim.refuse(f"{host}/app:1", f"the certificate of https://{host} is not trusted")
    assert world.registry.requests == []
