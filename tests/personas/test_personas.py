"""What must work with every registry of the table, whatever it is like."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.personas import quirks
from tests.personas.conftest import Enter
from tests.personas.persona import Persona
from tests.personas.registries import PERSONAS


def each(personas: Iterable[Persona]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("persona", [pytest.param(persona, id=persona.name) for persona in personas])


WITH_ACCOUNTS = [persona for persona in PERSONAS if persona.account]
PUBLIC = [persona for persona in PERSONAS if persona.anonymous]
WITH_REALMS = [persona for persona in PERSONAS if persona.realm]
WITH_IDENTITIES = [persona for persona in WITH_ACCOUNTS if persona.account and persona.account.identity]


@each(PUBLIC)
def test_persona_gives_a_public_image_to_everybody(persona: Persona, enter: Enter) -> None:
    place = enter(persona)
    place.pull_and_check()
    assert not place.warnings
    assert not [refusal for refusal in place.service.refused if refusal.status != 401]


@each(WITH_ACCOUNTS)
def test_persona_gives_a_private_image_to_one_who_is_logged_in(persona: Persona, enter: Enter) -> None:
    place = enter(persona)
    place.service.private = True
    place.log_in()
    place.pull_and_check()
    assert not place.warnings
    assert not [refusal for refusal in place.service.refused if refusal.status != 401]


@each(WITH_IDENTITIES)
def test_persona_takes_an_identity_token(persona: Persona, enter: Enter) -> None:
    place = enter(persona)
    place.service.private = True
    place.log_in(identity=True)
    place.pull_and_check()
    methods = [seen.method for seen in place.asked(persona.realm)]
    # Where the token service knows no POST, it is asked by GET after that.
    assert methods == (["POST"] if persona.post is None else ["POST", "GET"])


@each(WITH_REALMS)
def test_persona_is_asked_for_one_token_a_pull(persona: Persona, enter: Enter) -> None:
    place = enter(persona)
    place.pull_and_check()
    assert len(place.asked(persona.realm)) == len(place.service.tokens) == 1


@each(WITH_REALMS)
def test_persona_that_forgets_its_tokens_halfway_is_asked_for_another(persona: Persona, enter: Enter) -> None:
    place = enter(replace(persona, first=(*persona.first, quirks.revokes_at_first_blob)))
    place.service.private = True
    place.log_in()
    place.pull_and_check()
    assert len(place.service.revoked) == len(place.service.tokens) == 1
    assert not place.warnings


@each(PERSONAS)
def test_persona_is_asked_only_whether_the_tag_is_still_the_same_in_a_second_pull(
    persona: Persona, enter: Enter
) -> None:
    place = enter(persona)
    if persona.account:
        place.log_in()
    place.pull_and_check()
    api = f"{persona.origin}/v2/{persona.repository}/"
    before = len(place.asked(api))
    place.pull_and_check()
    again = {(seen.method, seen.path) for seen in place.asked(api)[before:]}
    assert again == {("HEAD", f"/v2/{persona.repository}/manifests/1")}


@each(PERSONAS)
def test_persona_whose_download_breaks_once_is_asked_for_the_rest(persona: Persona, enter: Enter) -> None:
    place = enter(persona)
    if persona.account:
        place.log_in()
    place.service.cuts = 1
    place.pull_and_check()
    assert place.service.cuts == 0
    store = persona.store
    # The log has no default port, which a store's address may have.
    parts = place.asked(store.base.replace(":80/", "/") if store else "/blobs/")
    (rest,) = [seen for seen in parts if seen.header("Range")]
    assert rest.header("Range").startswith("bytes=")
    assert not rest.header("Range").startswith("bytes=0-")
    if store:
        # The registry signed a new URL for it, as the first one was good for one download only.
        digest = rest.path.split("/")[-2]
        assert len({seen.path for seen in parts if digest in seen.path}) == 2


@each(WITH_ACCOUNTS)
def test_persona_refuses_a_wrong_password_and_the_message_names_its_file(persona: Persona, enter: Enter) -> None:
    place = enter(persona)
    place.service.private = True
    place.log_in("wrong-password-119")
    message = place.refusal()
    named = persona.key or persona.host
    assert str(place.auth_file) in message
    assert named in message
    assert "wrong-password-119" not in message
    assert any(seen.header("Authorization").startswith("Basic ") for seen in place.asked())


@each([persona for persona in WITH_ACCOUNTS if persona.anonymous])
def test_persona_gives_a_public_image_in_spite_of_a_wrong_password(persona: Persona, enter: Enter) -> None:
    place = enter(persona)
    place.log_in("wrong-password-119")
    place.pull_and_check()
    assert any(str(place.auth_file) in warning for warning in place.warnings)


@each(WITH_ACCOUNTS)
def test_persona_refuses_a_private_image_without_credentials(persona: Persona, enter: Enter) -> None:
    place = enter(persona)
    place.service.private = True
    message = place.refusal()
    assert persona.host in message or "docker.io" in message
    assert persona.repository in message
    assert not any(seen.header("Authorization").startswith("Basic") for seen in place.asked())


@each(PERSONAS)
def test_persona_that_has_no_such_tag_says_so_in_one_message(persona: Persona, enter: Enter) -> None:
    place = enter(replace(persona, reference=persona.reference.removesuffix(":1") + ":2"))
    if persona.account:
        place.log_in()
    message = place.refusal()
    assert persona.reference.removesuffix(":1").split("/")[-1] + ":2" in message
