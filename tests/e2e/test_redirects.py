"""Blobs that come from a store by plain http, as Aliyun's and Tencent's do, behind docker-registry's own redirect."""

from pathlib import Path

import pytest

from .inspections import inspect_json
from .logins import USER, assert_no_secret_kept, assert_no_secret_said, assert_no_secret_sent, login
from .projects import hatchling_build, layout_of, set_table
from .samples import PRIVATE, TABLE, assert_pulled, sample
from .vaults import Vault, serve_world, users

pytestmark = pytest.mark.e2e


@pytest.fixture
def member(user: dict[str, str], vault: Vault, tmp_path: Path) -> dict[str, str]:
    """Answer the environment of one who trusts the registry and has logged in there."""
    login(vault.address, tmp_path / "auth.json", user)
    return user | {"SSL_CERT_FILE": str(vault.authority.ca), "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}


def test_a_cut_blob_goes_on_and_the_store_sees_no_credentials(
    vault: Vault, member: dict[str, str], project: Path, tmp_path: Path
) -> None:
    """Bearer, TLS, a plain store, and a connection that ends once within the blob."""
    layer = sample().layers[0]
    vault.store.cuts[layer] = [70_001]
    set_table(project, TABLE)
    done = hatchling_build(project, member | {"BASE_IMAGE": vault.private, "HATCH_VERBOSE": "2"})

    assert_pulled(layout_of(project))
    assert vault.store.cuts[layer] == []
    assert [request.header("Range") for request in vault.store.requests(layer)] == [None, "bytes=70001-"]
    # The registry was asked again, for a fresh signature.
    assert vault.requests.count(f"GET /v2/{PRIVATE}/blobs/{layer}") == 2
    assert len(vault.store.hop_log) == len(vault.store.log) == len(sample().blobs) + 1
    assert_no_secret_sent(vault.credentials, [*vault.store.hop_log, *vault.store.log])
    assert (USER, f"repository:{PRIVATE}:pull") in vault.tokens.scopes
    assert_no_secret_said(vault.secrets, done)
    assert_no_secret_kept(vault.secrets, project / "dist")
    assert_no_secret_kept(vault.secrets, tmp_path / "home" / "cache")


def test_names_of_the_world_see_no_more_than_they_must(
    user: dict[str, str], sample_storage: Path, project: Path, tmp_path: Path
) -> None:
    """The same behind a proxy, which sees every host that is asked, and all of what is plain."""
    layer = sample().layers[0]
    with serve_world(sample_storage, tmp_path / "world", users()) as (vault, proxy):
        vault.store.cuts[layer] = [70_001]
        user |= proxy.variables
        login(vault.address, tmp_path / "auth.json", user)
        proxy.log.clear()
        user |= {"SSL_CERT_FILE": str(vault.authority.ca), "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
        set_table(project, TABLE)
        hatchling_build(project, user | {"BASE_IMAGE": vault.private})
    assert_pulled(layout_of(project))
    assert [request.header("Range") for request in vault.store.requests(layer)] == [None, "bytes=70001-"]
    assert proxy.places == set(proxy.routes)
    assert {request.header("Host") for request in vault.store.log} == {vault.store.host}
    assert_no_secret_sent(vault.credentials, proxy.log)


def test_inspect_names_the_hosts_that_it_was_sent_to(vault: Vault, member: dict[str, str]) -> None:
    """As origins only: the rest is signed."""
    seen = inspect_json(vault.private, member)
    assert seen["digest"] == sample().digest
    assert sorted(seen["reached"]["redirects"]) == sorted(
        f"http://{host}" for host in (vault.store.hop, vault.store.host)
    )


@pytest.mark.parametrize("ranges", [True, False])
def test_a_blob_that_is_cut_more_than_once(ranges: bool, vault: Vault, member: dict[str, str], project: Path) -> None:
    """A store that knows no ranges sends all of it again."""
    layer = sample().layers[0]
    vault.store.cuts[layer] = [10_000, 20_000]
    vault.store.ranges = ranges
    set_table(project, TABLE)
    hatchling_build(project, member | {"BASE_IMAGE": vault.private})
    assert_pulled(layout_of(project))
    asked = [request.header("Range") for request in vault.store.requests(layer)]
    assert asked == [None, "bytes=10000-", "bytes=30000-" if ranges else "bytes=20000-"]


def test_a_store_that_refuses_is_one_clear_line(vault: Vault, member: dict[str, str], project: Path) -> None:
    """Nothing is built, and the answer's signature is not repeated."""
    vault.store.refuses = True
    set_table(project, TABLE)
    done = hatchling_build(project, member | {"BASE_IMAGE": vault.private}, expect=1)
    assert "403" in done.stderr
    assert "Traceback" not in done.stderr
    assert not layout_of(project).exists()
    assert_no_secret_said(vault.secrets, done)
