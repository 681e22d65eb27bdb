"""Registries that lead elsewhere, with what they are asked for and with what they are sent."""

from __future__ import annotations

import json
import sys

import pytest

from demo.base import digest
from demo.registry import Handler
from tests.faults.hostile import (
    IMAGE,
    SECRETS,
    Victim,
    blob_url,
    check_unknowing,
    manifest_url,
    manifest_with,
    publish,
)
from tests.faults.world import (
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
from tests.unit.layouts import config_of, layers_of, write_layout
from tests.unit.uploads import Uploads, read_body, serve_uploads

CONFIG, LAYER = config_of(IMAGE), layers_of(IMAGE)[0]
URLS = {"manifest": manifest_url(), "config": blob_url(CONFIG), "layer": blob_url(LAYER)}
ALL_SECRETS = (*SECRETS, TOKEN)


@pytest.mark.parametrize("to", [f"https://{EVIL}", f"https://{SISTER}", f"https://{REGISTRY}:8443"])
@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
def test_a_redirect_with_credentials(scheme: str, to: str, world: World, victim: Victim) -> None:
    """They stay with scheme, host and port; the bytes are the right ones, so the image is welcome."""
    if scheme == "Basic":
        ask_password(world.registry)
    else:
        ask_token(world.registry, f"https://{SISTER}/token")
        world.sister.answers["GET", "/token"] = lambda request: request.reply(
            200, json.dumps({"token": TOKEN}).encode()
        )
    other = world.evil if to.endswith(EVIL) else world.sister
    world.proxy.routes = {**world.proxy.routes, f"{REGISTRY}:8443": other.address}
    for url in URLS.values():
        world.registry.answers["GET", url] = redirect(to + url)
    # Who asks first, is challenged first.
    world.registry.answers.pop(("GET", URLS["manifest"]))
    done = victim.inspect(REFERENCE, "--json", "-q")
    assert done.code == 0, done.said
    seen = [came for came in other.requests if not came.path.startswith("/token")]
    assert {came.path for came in seen} == {URLS["config"], URLS["layer"]}
    check_unknowing(seen, ALL_SECRETS)
    assert not [secret for secret in ALL_SECRETS if secret in done.said]


@pytest.mark.parametrize("what", ["manifest", "layer"])
@pytest.mark.parametrize("challenge", ['Basic realm="r"', f'Bearer realm="https://{EVIL}/token",service="s"'])
def test_a_challenge_from_a_redirects_target(challenge: str, what: str, world: World, victim: Victim) -> None:
    """It is never answered, not even without a name."""
    if what != "manifest":
        ask_password(world.registry)
    world.registry.answers["GET", URLS[what]] = redirect(f"https://{EVIL}{URLS[what]}")
    headers = {"WWW-Authenticate": challenge}
    world.evil.answers["GET", URLS[what]] = lambda request: request.reply(401, b"", headers)
    victim.inspect(REFERENCE).check_refusal(f"https://{EVIL}, where {REGISTRY} keeps", "HTTP 401")
    assert {came.path for came in world.evil.requests} == {URLS[what]}
    check_unknowing(world.evil.requests)


@pytest.mark.parametrize("what", URLS)
def test_a_redirect_from_https_to_http(what: str, world: World, victim: Victim) -> None:
    """Only blobs may come so, for their digests tell, and without credentials."""
    ask_password(world.registry)
    world.registry.answers["GET", URLS[what]] = redirect(f"http://{EVIL}{URLS[what]}")
    if what == "manifest":
        victim.refuse(REFERENCE, f"redirects to http://{EVIL}{URLS[what]}, which is not https")
        assert world.plain.requests == []
        return
    done = victim.inspect(REFERENCE, "--json", "-q")
    assert done.code == 0, done.said
    assert {came.path for came in world.plain.requests} == {URLS[what]}
    check_unknowing([*world.plain.requests, *world.evil.requests])

    name = {"config": CONFIG, "layer": LAYER}[what]
    world.plain.answers["GET", URLS[what]] = lambda request: request.reply(200, bytes(len(IMAGE.blobs[name])))
    victim.inspect(REFERENCE).check_refusal(name, "what came has the digest")
    assert name not in victim.kept()


NO_BUSINESS, NO_URL = "where a registry has no business", "redirects to what is not a URL of http or https"
NOWHERE = {
    "http://169.254.169.254/latest/meta-data/iam": NO_BUSINESS,
    "http://2852039166/latest": NO_BUSINESS,
    "http://0xa9fea9fe/": NO_BUSINESS,
    "http://[::ffff:169.254.169.254]/": NO_BUSINESS,
    "http://[64:ff9b::a9fe:a9fe]/": NO_BUSINESS,
    "http://[fe80::1]/": NO_BUSINESS,
    "http://[fd00:ec2::254]/": NO_BUSINESS,
    "http://100.64.0.1/": NO_BUSINESS,
    "http://100.100.100.200/latest/meta-data/": NO_BUSINESS,
    "http://0.0.0.0:1/": NO_BUSINESS,
    "http://224.0.0.1/": NO_BUSINESS,
    "file:///etc/passwd": NO_URL,
    "gopher://127.0.0.1:11211/": NO_URL,
    "ftp://127.0.0.1/": NO_URL,
    "data:text/plain,x": NO_URL,
    "//[not-an-address/": NO_URL,
    "http://127.0.0.1:99999/": NO_URL,
}


@pytest.mark.parametrize("to", NOWHERE, ids=range(len(NOWHERE)))
def test_a_redirect_to_where_no_registry_has_business(to: str, registry: Uploads, victim: Victim) -> None:
    """Where clouds keep their machines' credentials, and to files: not even for a registry on this machine."""
    for what, pull in (("manifest", victim.hurry), ("layer", victim.pull)):
        registry.answers["GET", URLS[what]] = redirect(to)
        pull(f"{registry.address}/app:1").check_refusal(NOWHERE[to])
        assert LAYER not in victim.kept()
        registry.answers.clear()


@pytest.mark.parametrize(
    "to",
    ["http://127.0.0.1:{port}", "https://localhost:{port}", "http://[::1]:{port}", "http://10.0.0.1"],
    ids=["IPv4", "name", "IPv6", "private"],
)
def test_a_redirect_from_the_world_into_a_private_network(to: str, world: World, victim: Victim) -> None:
    """To no address that is nearer than the registry, which the proxy has found somewhere in the world."""
    port = world.plain.address.rpartition(":")[2]
    world.registry.answers["GET", URLS["layer"]] = redirect(to.format(port=port) + URLS["layer"])
    victim.inspect(REFERENCE).check_refusal("where a registry has no business")
    assert LAYER not in victim.kept()
    assert world.plain.requests == []
    assert world.proxy.places == {f"{REGISTRY}:443"}


@pytest.mark.parametrize("what", ["manifest", "layer"])
def test_a_redirect_loop(what: str, registry: Uploads, victim: Victim) -> None:
    """Five are followed, be each to another place."""
    with serve_uploads() as other:
        for here, there in ((registry, other), (other, registry)):

            def answer(request: Handler, there: Uploads = there) -> None:
                request.reply(302, b"", {"Location": f"http://{there.address}{request.path}x"})

            here.answers["GET", "*"] = answer
        registry.answers["GET", "/v2/"] = Handler.answer
        if what == "layer":
            for url in (URLS["manifest"], URLS["config"], blob_url(layers_of(IMAGE)[1])):
                registry.answers["GET", url] = Handler.answer
        victim.inspect(f"{registry.address}/app:1").check_refusal("redirects more than 5 times")
        followed = [came for came in (*registry.requests, *other.requests) if came.path.startswith(URLS[what])]
        assert len(followed) == 6


def push(victim: Victim) -> str:
    """Push the image to the world's registry, and return what was said of the failure."""
    write_layout(victim.folder / "app.oci", [IMAGE])
    command = (sys.executable, "-m", "hatch_oci", "push", "app.oci", "--to", f"{REGISTRY}/app", "--tag", "2")
    done = victim.attempt(*command, folder=victim.folder, env=victim.env)
    done.check_refusal()
    return done.said


@pytest.mark.parametrize(
    ("to", "words"),
    [
        (f"https://{EVIL}", "BLOB_UNKNOWN"),
        (f"http://{EVIL}", "is not safe"),
        (f"http://{REGISTRY}", "is not safe"),
        ("https://169.254.169.254", "where a registry has no business"),
        ("https://10.0.0.1", "where a registry has no business"),
        ("https://127.0.0.1:{port}", "where a registry has no business"),
        ("file:///etc", "not a URL of http or https"),
    ],
)
def test_an_upload_location_elsewhere(to: str, words: str, world: World, victim: Victim) -> None:
    """A blob may go to another store, by https and without credentials."""
    ask_password(world.registry)
    world.registry.repositories.clear()
    port = world.plain.address.rpartition(":")[2]
    world.registry.locate = lambda path: to.format(port=port) + path

    def take(request: Handler) -> None:
        read_body(request)
        request.reply(201)

    world.evil.answers["PUT", "*"] = take
    assert words in push(victim)
    assert world.plain.requests == []
    assert bool(world.evil.requests) is (to == f"https://{EVIL}")
    check_unknowing(world.evil.requests)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"https://{EVIL}/layer", ""),
        (f"https://{EVIL}/altered", "sent something else"),
        (f"http://{EVIL}/layer", "has no blob"),
        ("file:///etc/passwd", "has no blob"),
        ("https://169.254.169.254/latest/meta-data/", "where a registry has no business"),
        ("https://127.0.0.1:1/", "where a registry has no business"),
    ],
)
def test_a_foreign_layer(url: str, words: str, world: World, victim: Victim) -> None:
    """What the registry lacks may come from its own URLs by https, without credentials, if it has the right digest."""
    ask_password(world.registry)
    foreign = manifest_with(lambda document: document["layers"][0].update(urls=[url]))
    publish(world.registry, foreign)
    del world.registry.repositories["app"].blobs[LAYER]
    world.evil.answers["GET", "/layer"] = lambda request: request.reply(200, IMAGE.blobs[LAYER])
    world.evil.answers["GET", "/altered"] = lambda request: request.reply(200, bytes(len(IMAGE.blobs[LAYER])))
    done = victim.inspect(REFERENCE)
    if words:
        done.check_refusal(words)
    else:
        assert done.code == 0, done.said
    assert (LAYER in victim.kept()) is (not words)
    assert world.plain.requests == []
    check_unknowing(world.evil.requests)
    assert digest(foreign) in victim.kept()
