"""Pushes to registries that ask who pushes: by htpasswd, and by tokens over TLS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .inspections import VERBOSE
from .logins import PASSWORD, USER, assert_no_secret_kept, assert_no_secret_said, htpasswd, login, own_variables
from .projects import hatchling_build
from .pushes import APP, COPY, build_small, methods, own_storage, pull, push, push_error, push_json, top_digest
from .registries import requests_of, serve
from .samples import PRIVATE, PUBLIC, TAG, sample
from .tokens import basic
from .vaults import Vault, serve_vault, users

pytestmark = pytest.mark.e2e


@pytest.fixture
def layout(project: Path, user: dict[str, str], vault: Vault) -> Path:
    """Build on the public sample of the vault."""
    return build_small(project, user | {"SSL_CERT_FILE": str(vault.authority.ca), "BASE_IMAGE": vault.public})


@pytest.fixture
def vault(sample_storage: Path, tmp_path: Path) -> Iterator[Vault]:
    """Serve the sample by https to those with tokens; the user may write to two repositories."""
    tokens = users()
    tokens.writable = {USER: {APP, COPY}}
    storage = own_storage(sample_storage, tmp_path / "storage")
    with serve_vault(storage, tmp_path / "vault", tokens, redirect=False) as vault:
        yield vault


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    """Serve an empty registry to those who are in the htpasswd file."""
    scratch = tmp_path / "guarded"
    with serve(tmp_path / "guarded-storage", scratch, auth=htpasswd(scratch)) as address:
        yield address


def test_a_password_is_enough_for_htpasswd(layout: Path, guarded: str, user: dict[str, str], tmp_path: Path) -> None:
    env = user | own_variables(guarded)
    assert push_json(env, layout, "--to", f"{guarded}/{APP}")["digest"] == top_digest(layout)
    login(guarded, tmp_path / "auth.json", user)
    pulled = pull(f"{guarded}/{APP}:1.0.0", tmp_path / "pulled", user | {"REGISTRY_AUTH_FILE": f"{tmp_path}/auth.json"})
    assert pulled == top_digest(layout)


def test_without_credentials_one_line_says_how_to_log_in(layout: Path, guarded: str, user: dict[str, str]) -> None:
    line = push_error(user, layout, "--to", f"{guarded}/{APP}")
    assert guarded in line
    assert APP in line
    assert f"docker login {guarded}" in line
    assert "HATCH_OCI_USER" in line


def test_a_wrong_password_is_named_and_not_shown(layout: Path, guarded: str, user: dict[str, str]) -> None:
    env = user | own_variables(guarded) | {"HATCH_OCI_AUTH": "yesterday's password"}
    line = push_error(env, layout, "--to", f"{guarded}/{APP}")
    assert "HATCH_OCI_" in line
    assert "401" in line
    assert "yesterday" not in line


def test_a_push_by_tokens_is_as_short_as_any(
    project: Path, layout: Path, member: dict[str, str], vault: Vault, tmp_path: Path
) -> None:
    to = f"{vault.address}/{APP}"
    push(member, layout, "--to", to)
    assert pull(f"{to}:1.0.0", tmp_path / "pulled", member, tls=True) == top_digest(layout)
    assert len(vault.tokens.scopes) <= 4
    (project / "static" / "new.txt").write_text("new")
    hatchling_build(project, member | {"BASE_IMAGE": vault.public})
    before = len(vault.requests)
    push(member, layout, "--to", to)
    asked = vault.requests[before:]
    assert methods(asked).count("PUT upload") == 2
    assert len(asked) <= 12, asked
    assert pull(f"{to}:1.0.0", tmp_path / "pulled", member, tls=True) == top_digest(layout)


def test_the_base_is_mounted_by_a_token_for_both(layout: Path, member: dict[str, str], vault: Vault) -> None:
    before = len(vault.requests)
    push(member, layout, "--to", f"{vault.address}/{APP}")
    asked = [request for request in vault.requests[before:] if request.startswith("PUT") and "/uploads/" in request]
    assert not [request for digest in sample().layers for request in asked if digest[7:] in request]
    assert (USER, f"repository:{PUBLIC}:pull") in vault.tokens.scopes


def test_to_another_repository_by_tokens_nothing_is_sent(
    layout: Path, member: dict[str, str], vault: Vault, tmp_path: Path
) -> None:
    push(member, layout, "--to", f"{vault.address}/{APP}")
    assert push_json(member, layout, "--to", f"{vault.address}/{COPY}")["uploaded-bytes"] == 0
    assert pull(f"{vault.address}/{COPY}:1.0.0", tmp_path / "pulled", member, tls=True) == top_digest(layout)


def test_a_base_that_may_not_be_read_any_more_is_uploaded(
    project: Path, member: dict[str, str], vault: Vault, tmp_path: Path
) -> None:
    layout = build_small(project, member | {"BASE_IMAGE": f"{vault.address}/{PRIVATE}:{TAG}"})
    vault.tokens.readable = {}
    push(member, layout, "--to", f"{vault.address}/{APP}")
    assert pull(f"{vault.address}/{APP}:1.0.0", tmp_path / "pulled", member, tls=True) == top_digest(layout)


def test_who_may_not_write_is_told_so_in_one_line(layout: Path, member: dict[str, str], vault: Vault) -> None:
    line = push_error(member, layout, "--to", f"{vault.address}/{PRIVATE}")
    assert f"{vault.address} refuses {PRIVATE}" in line
    assert "401" in line
    assert member["REGISTRY_AUTH_FILE"] in line
    assert not [request for request in vault.requests if request.startswith("PUT")]


def test_a_stranger_is_told_how_to_log_in(layout: Path, stranger: dict[str, str], vault: Vault) -> None:
    line = push_error(stranger, layout, "--to", f"{vault.address}/{APP}")
    assert f"docker login {vault.address}" in line
    assert "no credentials" in line


def test_a_registry_that_redirects_to_a_store_is_pushed_to(
    sample_storage: Path, project: Path, user: dict[str, str], tmp_path: Path
) -> None:
    """Also what is there already, which it says by a redirect to plain http."""
    tokens = users()
    tokens.writable = {USER: {APP}}
    storage = own_storage(sample_storage, tmp_path / "storage")
    with serve_vault(storage, tmp_path / "vault", tokens) as vault:
        login(vault.address, tmp_path / "auth.json", user | {"SSL_CERT_FILE": str(vault.authority.ca)})
        env = user | {"SSL_CERT_FILE": str(vault.authority.ca), "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
        layout = build_small(project, env | {"BASE_IMAGE": vault.public})
        to = f"{vault.address}/{APP}"
        push(env, layout, "--to", to)
        push(env | {"HATCH_OCI_CACHE_DIR": str(tmp_path / "fresh")}, layout, "--to", to)
        assert pull(f"{to}:1.0.0", tmp_path / "pulled", env, tls=True) == top_digest(layout)


def test_no_secret_is_said_or_kept_however_talkative(layout: Path, member: dict[str, str], vault: Vault) -> None:
    done = push(member, layout, "--to", f"{vault.address}/{APP}", *VERBOSE)
    assert "PUT https://" in done.stderr
    states = [request.partition("_state=")[2].partition("&")[0] for request in vault.requests if "_state=" in request]
    assert states
    assert_no_secret_said([*vault.credentials, *states], done)
    assert_no_secret_kept(vault.credentials, Path(member["HATCH_OCI_CACHE_DIR"]))
    refused = push(member, layout, "--to", f"{vault.address}/{PRIVATE}", *VERBOSE, expect=1)
    assert_no_secret_said([*vault.credentials, basic(USER, PASSWORD)], refused)


def test_the_registry_sees_every_blob_once(layout: Path, member: dict[str, str], vault: Vault) -> None:
    before = len(requests_of(vault.scratch))
    push(member, layout, "--to", f"{vault.address}/{APP}")
    puts = [request for request in requests_of(vault.scratch)[before:] if request.startswith("PUT")]
    digests = [request.partition("digest=")[2].replace("%3A", ":") for request in puts if "digest=" in request]
    assert len(digests) == len(set(digests)) == 2
