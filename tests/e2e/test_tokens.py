"""docker-registry with TLS and Bearer tokens, which a service of another port signs for those who may have them."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .inspections import VERBOSE, error_of, inspect, inspect_json
from .logins import PASSWORD, USER, assert_no_secret_said, own_variables
from .projects import hatchling_build, layout_of, set_table
from .samples import PRIVATE, TABLE, assert_pulled, sample
from .tokens import ANONYMOUS, basic
from .vaults import Vault, serve_vault, serve_world, users

pytestmark = pytest.mark.e2e

IDENTITY = "refresh-0123456789abcdef0123456789abcdef"


@pytest.fixture
def vault(sample_storage: Path, tmp_path: Path) -> Iterator[Vault]:
    """Serve the sample, public and private."""
    service = users()
    service.identity_tokens = {IDENTITY: USER}
    with serve_vault(sample_storage, tmp_path / "vault", service) as vault:
        yield vault


def test_a_password_becomes_a_token(vault: Vault, member: dict[str, str]) -> None:
    """The password goes to the token service alone, which is asked once, for this repository."""
    seen = inspect_json(vault.private, member)
    assert seen["digest"] == sample().digest
    assert member["REGISTRY_AUTH_FILE"] in seen["reached"]["credentials"]
    assert vault.tokens.scopes == [(USER, f"repository:{PRIVATE}:pull")]
    assert [request.header("Authorization") for request in vault.tokens.log] == [f"Basic {basic(USER, PASSWORD)}"]


def test_an_identity_token_is_posted(vault: Vault, stranger: dict[str, str]) -> None:
    """It goes into the body, since URLs end in logs."""
    entry = {"auth": basic("00000000-0000-0000-0000-000000000000", ""), "identitytoken": IDENTITY}
    config = Path(stranger["HOME"], ".docker", "config.json")
    config.parent.mkdir()
    config.write_text(json.dumps({"auths": {vault.address: entry}}))
    seen = inspect_json(vault.private, stranger)
    assert seen["digest"] == sample().digest
    assert [request.method for request in vault.tokens.log] == ["POST"]
    assert IDENTITY not in vault.tokens.log[0].text
    assert_no_secret_said(vault.secrets, inspect(vault.private, stranger, *VERBOSE))


def test_a_public_image_needs_no_account(vault: Vault, stranger: dict[str, str]) -> None:
    seen = inspect_json(vault.public, stranger)
    assert seen["digest"] == sample().digest
    assert seen["reached"]["credentials"] is None
    assert {user for user, _ in vault.tokens.scopes} == {ANONYMOUS}


def test_a_stale_password_does_not_hinder_a_public_image(vault: Vault, member: dict[str, str]) -> None:
    """A warning names its file and its key there."""
    file = Path(member["REGISTRY_AUTH_FILE"])
    file.write_text(file.read_text().replace(basic(USER, PASSWORD), basic(USER, "yesterday's password")))
    done = inspect(vault.public, member)
    assert sample().digest in done.stdout
    assert any(str(file) in line and vault.address in line for line in done.stderr.splitlines())
    assert_no_secret_said(["yesterday's password", basic(USER, "yesterday's password")], done)


def test_a_private_image_without_an_account(vault: Vault, stranger: dict[str, str]) -> None:
    """One line says what was tried and what to do."""
    line = error_of(vault.private, stranger)
    assert vault.address in line
    assert PRIVATE in line
    assert "credentials" in line
    assert "login" in line or "HATCH_OCI_USER" in line
    assert {user for user, _ in vault.tokens.scopes} == {ANONYMOUS}


def test_an_account_without_the_right(vault: Vault, member: dict[str, str]) -> None:
    """The line names the file and the key that did not suffice."""
    vault.tokens.readable = {}
    line = error_of(vault.private, member)
    assert vault.address in line
    assert PRIVATE in line
    assert member["REGISTRY_AUTH_FILE"] in line


def test_a_token_that_ends_halfway(vault: Vault, member: dict[str, str], project: Path) -> None:
    """The layer's connection ends, and with it the token, which was said to be good for much longer."""
    vault.tokens.lifetime = 3
    layer = sample().layers[0]
    vault.store.cuts[layer] = [50_000]

    def outlive() -> None:
        # A whole second more: tokens count in seconds.
        time.sleep(max(0, vault.tokens.newest_end + 1.1 - time.time()))
        vault.tokens.lifetime = 300

    vault.store.on_cut = outlive
    set_table(project, TABLE)
    hatchling_build(project, member | {"BASE_IMAGE": vault.private})
    assert_pulled(layout_of(project))
    assert [request.header("Range") for request in vault.store.requests(layer)] == [None, "bytes=50000-"]
    assert len(vault.tokens.scopes) > 1


@pytest.mark.parametrize("trusted", [False, True])
def test_a_token_service_of_another_domain_gets_a_password_only_if_it_is_listed(
    trusted: bool, user: dict[str, str], sample_storage: Path, tmp_path: Path
) -> None:
    """Whoever writes the challenge could have it sent anywhere."""
    auth = "auth.example.org"
    with serve_world(sample_storage, tmp_path / "world", users(), auth) as (vault, proxy):
        user |= proxy.variables | {"SSL_CERT_FILE": str(vault.authority.ca)} | own_variables(vault.address)
        if trusted:
            table = f'[tool.hatch.build.targets.oci]\ntrusted-realms = ["{auth}"]\n'
            Path(user["HOME"], "pyproject.toml").write_text(table)
            assert inspect_json(vault.private, user)["digest"] == sample().digest
        else:
            line = error_of(vault.private, user)
            assert auth in line
            assert "trusted-realms" in line
    sent = {request.header("Authorization") for request in vault.tokens.log}
    assert sent == {f"Basic {basic(USER, PASSWORD)}" if trusted else None}


@pytest.mark.parametrize("ending", ["pulled", "no such account", "no such right", "refused by the store"])
def test_no_secret_is_said_however_talkative(ending: str, vault: Vault, member: dict[str, str]) -> None:
    """Neither password, nor tokens, nor signatures; not from URLs, headers, nor answers that repeat them."""
    if ending == "no such account":
        vault.tokens.passwords = {}
    elif ending == "no such right":
        vault.tokens.readable = {}
    vault.store.refuses = ending == "refused by the store"
    done = inspect(vault.private, member, *VERBOSE, expect=0 if ending == "pulled" else 1)
    assert_no_secret_said(vault.secrets, done)
    assert done.stderr
