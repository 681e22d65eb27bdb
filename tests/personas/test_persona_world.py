"""The personas themselves, asked by a plain client: each would notice one that does what it should not."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx
import pytest

from hatch_oci.image import media_types
from tests.personas import stores
from tests.personas.conftest import Enter
from tests.personas.images import Content, oci_content
from tests.personas.persona import Persona
from tests.personas.place import Place
from tests.personas.registries import (
    DISTRIBUTION_2,
    DISTRIBUTION_3,
    ECR,
    GHCR,
    GITLAB,
    HARBOR,
    HUB,
    MCR,
    PERSONAS,
    TENCENT,
    ZOT,
)

STORED = [persona for persona in PERSONAS if persona.store]


@contextmanager
def client(place: Place, *, cookies: bool = False) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=str(place.home / "ca.pem"))
    with httpx.Client(proxy=place.world.url, verify=context, trust_env=False) as made:
        if not cookies:
            made.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        yield made


def authorization(http: httpx.Client, place: Place) -> dict[str, str]:
    """Return what the registry wants to see, got the way it asks for."""
    persona, account = place.persona, place.persona.account
    if not persona.challenge:
        return {}
    answer = http.get(f"{persona.origin}/v2/{persona.repository}/manifests/1")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].split(" ")[0] == persona.challenge.split(" ")[0]
    assert account
    if not persona.realm:
        request = httpx.Request("GET", persona.origin)
        return {
            "Authorization": next(httpx.BasicAuth(account.user, account.password).auth_flow(request)).headers[
                "Authorization"
            ]
        }
    query = {"service": persona.service, "scope": persona.wanted_scope}
    answer = http.get(persona.realm, params=query, auth=(account.user, account.password))
    return {"Authorization": f"Bearer {answer.json()[persona.keys[0]]}"}


@pytest.mark.parametrize("persona", [pytest.param(persona, id=persona.name) for persona in PERSONAS])
def test_persona_serves_a_plain_client(persona: Persona, enter: Enter) -> None:
    place = enter(persona)
    with client(place) as http:
        known = authorization(http, place)
        api = f"{persona.origin}/v2/{persona.repository}"
        index = http.get(f"{api}/manifests/1", headers={"Accept": media_types.ACCEPT, **known})
        assert index.headers["Content-Type"] == index.json()["mediaType"]
        one = http.get(f"{api}/manifests/{persona.content.manifest}", headers={"Accept": media_types.ACCEPT, **known})
        for layer in one.json()["layers"]:
            answer = http.get(f"{api}/blobs/{layer['digest']}", headers=known)
            if persona.store:
                there = urljoin(api, answer.headers["Location"])
                # As it is written there: httpx would leave out a default port.
                answer = http.get(there, headers={"Host": urlsplit(there).netloc})
            assert len(answer.content) == layer["size"]


@pytest.mark.parametrize("persona", [pytest.param(persona, id=persona.name) for persona in STORED])
def test_persona_has_a_store_that_refuses_what_it_should(persona: Persona, enter: Enter) -> None:
    place = enter(persona)
    store = persona.store
    assert store
    url = httpx.URL(place.service.sign(persona.content.layers[0]))
    url = httpx.URL(persona.origin).join(url)
    changed = url.copy_with(
        query=urlencode([(name, f"{value}x") for name, value in parse_qsl(url.query.decode())]).encode()
    )
    host = store.base.split("/")[2]
    with client(place) as http:
        if store.both:
            refused = http.get(url, headers={"Host": host, "Authorization": "Bearer eyJleample"})
            assert (refused.status_code, "<Error>" in refused.text) == (store.both.status, True)
            assert ("eyJleample" in refused.text) == ("{authorization}" in store.both.body)
        assert http.get(changed, headers={"Host": host}).text == store.mismatch.body
        assert http.get(url, headers={"Host": "elsewhere.example"}).text == store.mismatch.body
        assert http.get(url, headers={"Host": host}).status_code == 200
        assert http.get(url, headers={"Host": host, "Range": "bytes=10-19"}).status_code == 206
        place.service.signature_seconds = -1
        late = httpx.URL(persona.origin).join(place.service.sign(persona.content.layers[0]))
        assert http.get(late, headers={"Host": host}).status_code == store.expired.status


def test_persona_tencent_signs_the_host_with_its_port(enter: Enter) -> None:
    place = enter(replace(TENCENT, store=stores.cos("bucket.cos.ap-guangzhou.myqcloud.com:80")))
    url = place.service.sign(TENCENT.content.layers[0])
    with client(place) as http:
        assert "SignatureDoesNotMatch" in http.get(url).text
        assert http.get(url, headers={"Host": "bucket.cos.ap-guangzhou.myqcloud.com:80"}).status_code == 200


def test_persona_ecr_sends_no_digest_with_a_get(enter: Enter) -> None:
    place = enter(ECR)
    with client(place) as http:
        headers = {"Accept": media_types.ACCEPT, **authorization(http, place)}
        url = f"{ECR.origin}/v2/app/manifests/1"
        assert http.head(url, headers=headers).headers["Docker-Content-Digest"] == ECR.content.top
        assert "Docker-Content-Digest" not in http.get(url, headers=headers).headers


def test_persona_harbor_refuses_its_own_cookie(enter: Enter) -> None:
    place = enter(HARBOR)
    with client(place, cookies=True) as http:
        first = http.get(f"{HARBOR.origin}/v2/")
        second = http.get(f"{HARBOR.origin}/v2/")
    assert (first.status_code, second.status_code) == (401, 403)
    assert "CSRF token invalid" in second.text


def test_persona_zot_greets_everybody_with_a_challenge(enter: Enter) -> None:
    place = enter(ZOT)
    with client(place) as http:
        answer = http.get(f"{ZOT.origin}/v2/")
    assert (answer.status_code, answer.headers["WWW-Authenticate"], answer.json()) == (200, "basic realm=zot", {})


def test_persona_token_service_refuses_another_scope_than_its_own(enter: Enter) -> None:
    place = enter(GHCR)
    with client(place) as http:
        query = {"service": "ghcr.io", "scope": "repository:acme/other:pull"}
        answer = http.get(GHCR.realm, params=query)
        assert (answer.status_code, json.loads(answer.text)["errors"][0]["code"]) == (400, "UNSUPPORTED")
        assert http.get(GHCR.realm, params=query | {"scope": "repository:acme/app:pull"}).status_code == 200


@pytest.mark.parametrize(
    ("persona", "content", "accept", "status", "media_type"),
    [
        pytest.param(MCR, None, "*/*", 200, media_types.DOCKER_SCHEMA1_SIGNED, id="mcr, anything"),
        pytest.param(GHCR, None, media_types.DOCKER_LIST, 404, "", id="ghcr, list"),
        pytest.param(GITLAB, None, media_types.OCI_MANIFEST, 404, "", id="gitlab, manifest"),
        pytest.param(DISTRIBUTION_2, None, "*/*", 200, media_types.DOCKER_SCHEMA1_SIGNED, id="2.8, anything"),
        pytest.param(
            DISTRIBUTION_2, None, media_types.DOCKER_MANIFEST, 200, media_types.DOCKER_MANIFEST, id="2.8, manifest"
        ),
        pytest.param(DISTRIBUTION_2, oci_content(), media_types.DOCKER_LIST, 404, "", id="2.8 with OCI, list"),
        pytest.param(DISTRIBUTION_3, None, "*/*", 400, "", id="3, anything"),
        pytest.param(DISTRIBUTION_3, oci_content(), "*/*", 200, media_types.OCI_INDEX, id="3 with OCI, anything"),
    ],
)
def test_persona_answers_by_what_is_accepted(
    persona: Persona, content: Content | None, accept: str, status: int, media_type: str, enter: Enter
) -> None:
    place = enter(replace(persona, content=content or persona.content))
    with client(place) as http:
        headers = {"Accept": accept, **authorization(http, place)}
        answer = http.get(f"{persona.origin}/v2/{persona.repository}/manifests/1", headers=headers)
    assert answer.status_code == status
    assert not media_type or answer.headers["Content-Type"] == media_type
    assert bool(answer.json().get("errors")) == (status != 200)


def test_persona_docker_hub_counts_gets_and_no_heads(enter: Enter) -> None:
    place = enter(HUB)
    place.service.quota = 1
    url = f"{HUB.origin}/v2/library/python/manifests/1"
    with client(place) as http:
        headers = {"Accept": media_types.ACCEPT, **authorization(http, place)}
        answers = [http.request(method, url, headers=headers) for method in ("HEAD", "GET", "HEAD", "GET")]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers[:3]] == ["1;w=21600", "0;w=21600", "0;w=21600"]
    assert answers[3].json()["errors"][0]["code"] == "TOOMANYREQUESTS"
