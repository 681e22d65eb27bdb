"""What is peculiar to one of the registries that teams run themselves; each test is named after it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hatch_oci.registry.options import RegistryOptions
from tests.personas.conftest import Enter
from tests.personas.images import Content, docker_content, oci_content
from tests.personas.persona import Persona
from tests.personas.registries import (
    DISTRIBUTION_2,
    DISTRIBUTION_3,
    GITLAB,
    HARBOR,
    ZOT,
)


def test_persona_harbor_never_gets_its_cookie_back(enter: Enter) -> None:
    place = enter(HARBOR)
    place.log_in()
    place.service.private = True
    place.pull_and_check()
    assert not [refusal for refusal in place.service.refused if "CSRF" in refusal.body]


def test_persona_harbor_challenges_a_token_without_the_scope_by_basic(enter: Enter) -> None:
    place = enter(HARBOR)
    place.service.private = True
    place.service.withheld = 1
    place.log_in()
    place.pull_and_check()


@pytest.mark.parametrize("registry", ["registry.gitlab.com", "registry.git.acme.example", "registry.acme.example:5050"])
def test_persona_gitlab_has_its_token_service_on_another_host(registry: str, enter: Enter) -> None:
    place = enter(_gitlab(registry))
    place.service.private = True
    place.log_in()
    place.pull_and_check()


def test_persona_gitlab_of_another_domain_gets_no_password_unless_it_is_trusted(enter: Enter) -> None:
    place = enter(_gitlab("images.acme-registry.example"))
    place.service.private = True
    place.log_in()
    message = place.refusal()
    assert "gitlab.acme.example" in message
    assert "trusted-realms" in message
    assert not any(seen.header("Authorization") for seen in place.asked(place.persona.realm))
    place.options = RegistryOptions(trusted_realms=frozenset({"gitlab.acme.example"}))
    place.pull_and_check()


def _gitlab(registry: str) -> Persona:
    if registry == GITLAB.host:
        return GITLAB
    realm = "https://gitlab.acme.example/jwt/auth"
    challenge = GITLAB.challenge.replace(GITLAB.realm, realm)
    return replace(GITLAB, host=registry, reference=f"{registry}/acme/app:1", realm=realm, challenge=challenge)


@pytest.mark.parametrize("content", [oci_content(), docker_content()], ids=["oci", "docker"])
def test_persona_gitlab_is_told_every_media_type(content: Content, enter: Enter) -> None:
    place = enter(replace(GITLAB, content=content))
    place.pull_and_check()
    assert not [refusal for refusal in place.service.refused if refusal.status == 404]


@pytest.mark.parametrize("persona", [pytest.param(one, id=one.name) for one in (DISTRIBUTION_2, DISTRIBUTION_3)])
@pytest.mark.parametrize("content", [oci_content(), docker_content()], ids=["oci", "docker"])
def test_persona_distribution_is_told_every_media_type(content: Content, persona: Persona, enter: Enter) -> None:
    place = enter(replace(persona, content=content))
    place.pull_and_check()
    assert not place.service.refused


def test_persona_distribution_answers_a_range_with_206(enter: Enter) -> None:
    place = enter(DISTRIBUTION_2)
    place.service.cuts = 2
    place.pull_and_check()
    starts = [int(seen.header("Range")[6:-1]) for seen in place.asked("/blobs/") if seen.header("Range")]
    assert starts == sorted(starts)
    assert starts[0] > 0


def test_persona_zot_challenges_in_lower_case_without_quotes(enter: Enter) -> None:
    place = enter(ZOT)
    place.log_in()
    place.pull_and_check()
    assert any(seen.header("Authorization") for seen in place.asked("/v2/acme/app/"))
