"""What is peculiar to one of the registries in the clouds; each test is named after it."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import unquote

import pytest

from hatch_oci.image import media_types
from tests.personas import quirks, stores
from tests.personas.conftest import Enter
from tests.personas.images import windows_content
from tests.personas.persona import Persona
from tests.personas.registries import (
    ALIYUN,
    ALIYUN_PERSONAL,
    AZURE,
    ECR,
    ECR_PUBLIC,
    GAR,
    GCR,
    GHCR,
    HUB,
    MCR,
    QUAY,
    TENCENT,
    TENCENT_HONG_KONG,
)


def test_persona_docker_hub_counts_no_pull_for_an_image_that_is_already_here(enter: Enter) -> None:
    place = enter(HUB)
    place.pull_and_check()
    place.service.quota = place.service.counts["pulls"]
    place.pull_and_check()
    assert place.service.counts["pulls"] == place.service.quota == 2
    assert 429 not in [refusal.status for refusal in place.service.refused]


def test_persona_docker_hub_over_its_quota_is_given_up_at_once_with_advice(enter: Enter) -> None:
    place = enter(HUB)
    place.service.quota = 0
    message = place.refusal()
    assert [refusal.status for refusal in place.service.refused].count(429) == 1
    assert "429" in message or "limit" in message
    assert "log in" in message or "login" in message


def test_persona_docker_hub_has_names_of_one_part_below_library(enter: Enter) -> None:
    place = enter(HUB)
    for name in ("python:1", "docker.io/python:1", "docker.io/library/python:1", "index.docker.io/library/python:1"):
        assert str(place.pull(name)[0].top_digest) == HUB.content.top
    assert {seen.path.split("/manifests/")[0] for seen in place.asked("/manifests/")} == {"/v2/library/python"}
    assert place.asked(origin="https://docker.io") == place.asked(origin="https://index.docker.io") == []


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io"])
def test_persona_docker_hub_finds_its_credentials_under_each_of_their_keys(key: str, enter: Enter) -> None:
    place = enter(replace(HUB, key=key))
    place.service.private = True
    place.log_in()
    place.pull_and_check()


def test_persona_mcr_is_never_asked_who_one_is(enter: Enter) -> None:
    place = enter(MCR)
    place.auth_file.write_text('{"auths":{"other.example":{"auth":"YTpi"}}}', encoding="utf-8")
    place.pull_and_check()
    assert {seen.header("Authorization") for seen in place.asked()} == {""}
    assert {seen.origin for seen in place.asked()} == {MCR.origin, "https://eastus.data.mcr.microsoft.com"}


def test_persona_mcr_is_told_what_the_client_understands(enter: Enter) -> None:
    place = enter(MCR)
    place.pull_and_check()
    accepted = {seen.header("Accept") for seen in place.asked("/manifests/")}
    assert all(kind in text for text in accepted for kind in media_types.INDEXES | media_types.MANIFESTS)
    assert not any(kind in text for text in accepted for kind in media_types.SCHEMA1)


def test_persona_mcr_has_windows_layers_elsewhere(enter: Enter) -> None:
    url = "https://go.microsoft.com/fwlink/?linkid=2196018"
    windows = replace(MCR, reference="mcr.microsoft.com/windows/nanoserver:1", repository="windows/nanoserver")
    place = enter(replace(windows, content=windows_content(url)))
    place.pull_and_check("windows/amd64")
    foreign = place.persona.content.layers[0]
    order = [seen.url for seen in place.asked() if foreign in seen.url or seen.url == url]
    assert order == [f"{MCR.origin}/v2/windows/nanoserver/blobs/{foreign}", url]


@pytest.mark.parametrize("persona", [pytest.param(one, id=one.name) for one in (ALIYUN, ALIYUN_PERSONAL)])
def test_persona_aliyun_resets_a_connection_in_the_middle_of_a_blob(persona: Persona, enter: Enter) -> None:
    place = enter(persona)
    place.log_in()
    place.service.cuts = 2
    place.service.reset = True
    place.pull_and_check()
    assert place.service.cuts == 0
    assert [seen.header("Range")[:6] for seen in place.asked(origin=_store_origin(persona)) if seen.header("Range")]


def test_persona_aliyun_gives_tokens_without_an_end_that_last_a_minute(enter: Enter) -> None:
    place = enter(ALIYUN)
    place.service.private = True
    place.log_in()
    place.pull_and_check()
    assert len(place.service.tokens) == 1
    assert ALIYUN.expires_in is None


def test_persona_aliyun_has_configs_that_are_octet_streams(enter: Enter) -> None:
    place = enter(ALIYUN)
    base, _ = place.pull()
    manifest = ALIYUN.content.repository.manifest(str(base.digest))
    assert manifest
    assert json.loads(manifest.content)["config"]["mediaType"] == "application/octet-stream"
    assert base.config.cmd == ("sh",)


@pytest.mark.parametrize("persona", [pytest.param(one, id=one.name) for one in (ALIYUN, TENCENT, ECR, AZURE)])
def test_persona_whose_store_says_no_has_its_signature_kept_out_of_the_message(persona: Persona, enter: Enter) -> None:
    place = enter(persona)
    place.log_in()
    place.service.signature_seconds = -1
    message = place.refusal()
    assert "403" in message
    queries = [query for _, query in place.service.signed]
    signatures = [value for query in queries for name, value in query if name.lower().endswith(("sig", "signature"))]
    assert signatures
    assert not any(signature in unquote(line) for signature in signatures for line in place.said)


@pytest.mark.parametrize("port", ["", ":80"], ids=["without a port", "with its port"])
def test_persona_tencent_signs_for_the_host_as_the_redirect_writes_it(port: str, enter: Enter) -> None:
    place = enter(replace(TENCENT, store=stores.cos(f"bucket-1253687700.cos.ap-guangzhou.myqcloud.com{port}")))
    place.pull_and_check()
    hosts = {
        seen.header("Host") for seen in place.asked(origin="http://bucket-1253687700.cos.ap-guangzhou.myqcloud.com")
    }
    assert hosts == {f"bucket-1253687700.cos.ap-guangzhou.myqcloud.com{port}"}


@pytest.mark.parametrize("persona", [pytest.param(one, id=one.name) for one in (TENCENT, TENCENT_HONG_KONG)])
def test_persona_tencent_gives_a_new_signature_for_the_rest_of_a_blob(persona: Persona, enter: Enter) -> None:
    place = enter(persona)
    place.service.cuts = 3
    place.pull_and_check()
    assert not [refusal for refusal in place.service.refused if "SignatureDoesNotMatch" in refusal.body]


def test_persona_ghcr_is_told_of_the_oci_index_with_every_manifest(enter: Enter) -> None:
    place = enter(GHCR)
    place.pull_and_check()
    # The second time only a HEAD is needed.
    place.pull_and_check()
    asked = place.asked("/manifests/")
    assert {seen.method for seen in asked} == {"HEAD", "GET"}
    assert all(media_types.OCI_INDEX in seen.header("Accept") for seen in asked)


def test_persona_ghcr_says_403_to_a_stale_token_and_gives_the_image_all_the_same(enter: Enter) -> None:
    place = enter(GHCR)
    place.log_in("ghp_stale")
    place.pull_and_check()
    assert [refusal.status for refusal in place.service.refused if refusal.status == 403] == [403]
    (warning,) = [line for line in place.warnings if str(place.auth_file) in line]
    assert "ghcr.io" in warning


def test_persona_ecr_takes_only_the_user_aws_by_basic(enter: Enter) -> None:
    place = enter(ECR)
    place.log_in()
    place.pull_and_check()
    assert {seen.header("Authorization").partition(" ")[0] for seen in place.asked(origin=ECR.origin)} <= {"", "Basic"}
    assert {seen.origin for seen in place.asked()} == {ECR.origin, _store_origin(ECR)}


def test_persona_ecr_names_no_digest_with_a_get(enter: Enter) -> None:
    # Nor with a HEAD, as some say: the digest is then computed from what a GET gives.
    place = enter(replace(ECR, first=(quirks.no_digest,)))
    place.log_in()
    place.pull_and_check()
    place.pull_and_check()


def test_persona_ecr_public_gets_the_scope_of_its_challenge(enter: Enter) -> None:
    place = enter(ECR_PUBLIC)
    place.pull_and_check()
    (token,) = place.asked(ECR_PUBLIC.realm)
    assert "scope=aws" in token.path
    assert "repository" not in token.path


@pytest.mark.parametrize("persona", [pytest.param(one, id=one.name) for one in (GAR, GCR)])
@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
def test_persona_gar_sends_a_challenge_only_from_its_root(private: bool, persona: Persona, enter: Enter) -> None:
    place = enter(replace(persona, first=(quirks.challenge_on_ping_only,)))
    place.service.private = private
    if private:
        place.log_in()
    place.pull_and_check()
    assert [seen for seen in place.asked() if seen.url == f"{persona.origin}/v2/"]


def test_persona_gcr_names_its_service_without_quotes(enter: Enter) -> None:
    place = enter(GCR)
    place.pull_and_check()
    (token,) = place.asked(GCR.realm)
    assert "service=gcr.io&" in token.path


def test_persona_gcr_has_no_post_and_is_asked_by_get_then(enter: Enter) -> None:
    place = enter(GCR)
    place.service.private = True
    place.log_in(identity=True)
    place.pull_and_check()
    assert [seen.method for seen in place.asked(GCR.realm)] == ["POST", "GET"]
    assert [refusal.status for refusal in place.service.refused] == [401, 404]


def test_persona_azure_names_its_token_access_token_only(enter: Enter) -> None:
    place = enter(AZURE)
    place.service.private = True
    place.log_in(identity=True)
    place.pull_and_check()
    (token,) = place.asked(AZURE.realm)
    assert token.method == "POST"
    assert token.header("Content-Type") == "application/x-www-form-urlencoded"
    assert not token.header("Authorization")


BOTH_SCHEMES = 'Basic realm="quay.io", Bearer realm="https://quay.io/v2/auth",service="quay.io"'


@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
def test_persona_quay_offers_basic_and_bearer_in_one_line(private: bool, enter: Enter) -> None:
    place = enter(replace(QUAY, challenge=BOTH_SCHEMES))
    place.service.private = private
    if private:
        place.log_in()
    # The password may be at the token service only, so that this sees that Bearer is preferred.
    place.pull_and_check()


def test_persona_quay_redirects_with_302_and_breaks_a_download_three_times(enter: Enter) -> None:
    place = enter(QUAY)
    place.service.cuts = 3
    place.pull_and_check()
    assert place.service.cuts == 0


def _store_origin(persona: Persona) -> str:
    assert persona.store
    return persona.store.origin
