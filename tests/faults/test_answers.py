"""Answers that are no registry's, and texts that would do something to a terminal or tell a secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

import pytest

from demo.base import Image, digest, image
from demo.registry import Handler
from hatch_oci.image.media_types import OCI_INDEX, OCI_MANIFEST
from tests.faults.hostile import (
    IMAGE,
    PAIR,
    PASSWORD,
    SECRETS,
    USER,
    Victim,
    blob_url,
    entry_of,
    image_with,
    index_of,
    manifest_url,
    manifest_with,
    publish,
)
from tests.faults.world import EVIL, REFERENCE, World, ask_password, redirect
from tests.unit.bases import AMD64, layer
from tests.unit.layouts import config_of, layers_of
from tests.unit.uploads import Uploads

PAGE = b"<!DOCTYPE html><title>Welcome to the hotel</title><form action='/login'>"
ESCAPES = "\x1b[31m\x1b]0;owned\x07\x9b2J\r\nError: all is well\u202e"
SIGNATURE = "0123456789abcdef-signature"


@pytest.mark.parametrize("what", ["manifest", "manifest by its digest", "config", "layer", "where it redirects"])
def test_a_captive_portal(what: str, registry: Uploads, victim: Victim) -> None:
    """It answers everything by a page, with status 200."""
    reference = f"{registry.address}/app:1"
    url = {"config": blob_url(config_of(IMAGE)), "layer": blob_url(layers_of(IMAGE)[0])}.get(what, manifest_url())
    if what == "manifest by its digest":
        reference, url = f"{registry.address}/app@{digest(IMAGE.manifest)}", manifest_url(digest(IMAGE.manifest))
    page = lambda request: request.reply(200, PAGE, {"Content-Type": "text/html; charset=utf-8"})
    if what == "where it redirects":
        registry.answers["GET", "/login"] = page
        page = redirect(f"http://{registry.address}/login")
    registry.answers["GET", url] = page
    victim.inspect(reference).check_refusal("answered with a web page, not as a registry")
    assert not victim.kept() & {digest(PAGE)}


def distribution(text: str) -> bytes:
    return json.dumps({"errors": [{"code": "DENIED", "message": text}] * 50}).encode()


def token_service(text: str) -> bytes:
    return json.dumps({"error": "x", "error_description": text, "details": text}).encode()


def store(text: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>Denied</Code><Message>{text}</Message></Error>".encode()


@pytest.mark.parametrize("form", [distribution, token_service, store, str.encode])
@pytest.mark.parametrize("status", [401, 429])
def test_an_error_that_echoes_secrets(form: Callable[[str], bytes], status: int, world: World, victim: Victim) -> None:
    """Nor do they come out by way of `-v`."""
    ask_password(world.registry)

    def echo(request: Handler) -> None:
        sent = request.headers.get("Authorization", "none")
        spelled = (
            f"{sent} {PAIR} {PASSWORD} {quote(PAIR)} {USER}:{PASSWORD} https://{USER}:{PASSWORD}@x/?sig={SIGNATURE}"
        )
        headers = {"X-Echo": sent, "WWW-Authenticate": f'Basic realm="{PASSWORD}"', "Retry-After": "0"}
        request.reply(status, form(f"{ESCAPES} {spelled} {request.path} {'y' * 5000}"), headers)

    world.registry.answers["GET", blob_url(layers_of(IMAGE)[0])] = echo
    done = victim.inspect(REFERENCE, *(["-v"] if form is distribution else []))
    if form is distribution:
        assert done.code == 1
    else:
        done.check_refusal()
        assert len(done.said.rpartition("Error: ")[2]) < 900
    assert "\x1b" not in done.said
    assert not [secret for secret in (*SECRETS, SIGNATURE) if secret in done.said]


@pytest.mark.parametrize("status", [200, 403])
def test_a_signed_url_in_an_error(status: int, world: World, victim: Victim) -> None:
    """Whoever reads a log could fetch what it leads to."""
    signed = f"https://{EVIL}{blob_url('x')}?X-Amz-Signature={SIGNATURE}#{SIGNATURE}"
    world.registry.answers["GET", blob_url(layers_of(IMAGE)[0])] = redirect(signed)
    world.evil.answers["GET", blob_url("x")] = lambda request: request.reply(
        status, distribution(f"no {request.path} at {signed}")
    )
    victim.inspect(REFERENCE).check_refusal()
    done = victim.inspect(REFERENCE, "-v")
    assert SIGNATURE not in done.said
    assert EVIL in done.said


def image_in(path: str, file: str = "etc/name") -> Image:
    """Return an image whose PATH is this, with a file."""
    return image([layer({file: b"x"})], {"Env": [f"PATH={path}", f"PYTHON_VERSION={path}"]}, AMD64)


TEXTS: dict[str, Callable[[], tuple[bytes, Image]]] = {
    "a platform": lambda: (index_of([entry_of(IMAGE.manifest, platform={"os": ESCAPES, "architecture": "x"})]), IMAGE),
    "a media type": lambda: (manifest_with(lambda one: one["layers"][0].update(mediaType=ESCAPES)), IMAGE),
    "a config's media type": lambda: (manifest_with(lambda one: one["config"].update(mediaType=ESCAPES)), IMAGE),
    "a digest": lambda: (manifest_with(lambda one: one["layers"][0].update(digest=ESCAPES)), IMAGE),
    "a key": lambda: (manifest_with(lambda one: one.update(annotations={ESCAPES: 1})), IMAGE),
    "a type of the whole": lambda: (manifest_with(lambda one: one.update(mediaType=ESCAPES)), IMAGE),
    "a config's platform": lambda: _both(image_with(lambda one: one.update(os=ESCAPES))),
    "a file's name": lambda: _both(image([layer({f"../{ESCAPES}": b"x"})], {}, AMD64)),
    "the PATH": lambda: _both(image_in(ESCAPES)),
    "the folder of its Python": lambda: _both(image_in("/\x1b\x07\nx", "\x1b\x07\nx/python3")),
}


def _both(one: Image) -> tuple[bytes, Image]:
    return one.manifest, one


@pytest.mark.parametrize("what", TEXTS)
def test_escapes_of_a_terminal_in_an_image(what: str, registry: Uploads, victim: Victim) -> None:
    raw, one = TEXTS[what]()
    reference = publish(registry, raw, one.blobs, OCI_INDEX if what == "a platform" else OCI_MANIFEST)
    done = victim.build(reference) if what.startswith("the") else victim.inspect(reference)
    if done.code == 1:
        done.check_refusal()
    assert not set("\x1b\x07\x9b\u202e") & set(done.said), ascii(done.said)
    assert done.code == (0 if what == "a key" else 1)
