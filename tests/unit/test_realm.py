from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_oci.errors import RegistryError
from hatch_oci.registry.token import Realm, check_realm, may_know
from tests.unit.documents import value_or_message


@pytest.mark.parametrize("url", ["https://auth.example/token?a=b", "HTTPS://auth.example", "https://[::1]:5000/t"])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_realm_by_https_is_sound(url: str, scheme: str) -> None:
    check_realm(Realm(url, "", ""), scheme)


def test_a_realm_may_be_as_unsafe_as_its_registry() -> None:
    check_realm(Realm("http://auth.example/token", "", ""), "http")
    with pytest.raises(RegistryError) as caught:
        check_realm(Realm("http://auth.example/token?x=hidden", "", ""), "https")
    assert str(caught.value) == "it asks to log in at 'http://auth.example/token', which is no https URL"


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("", "''"),
        ("auth.example/token", "'auth.example/token'"),
        ("/token", "'/token'"),
        ("//auth.example/token", "'//auth.example/token'"),
        ("https://", "'https://'"),
        ("https:///token", "'https:///token'"),
        ("https://:443/token", "'https://:443/token'"),
        ("https://[::1/token", "'https://[::1/token'"),
        ("ftp://auth.example/", "'ftp://auth.example/'"),
        ("file:///etc/passwd", "'file:///etc/passwd'"),
        ("https://r.example@auth.example/", "'https://r.example@auth.example/'"),
        ("https://:x@auth.example/", "'https://:x@auth.example/'"),
        ("\x1b[2Jx://\x07", "'?[2Jx://?'"),
        ("x" * 200, f"'{'x' * 80}'"),
    ],
)
def test_a_realm_that_is_no_https_url_is_refused(url: str, shown: str, scheme: str) -> None:
    with pytest.raises(RegistryError) as caught:
        check_realm(Realm(url, "", ""), scheme)
    assert str(caught.value) == f"it asks to log in at {shown}, which is no https URL"


def knows(realm: str, registry: str, *trusted: str) -> bool:
    return may_know(Realm(f"https://{realm}/token", "", ""), registry, frozenset(trusted))


@pytest.mark.parametrize(
    ("realm", "registry"),
    [
        ("r.example", "r.example"),
        ("r.example:8443", "r.example:5000"),
        ("R.Example", "r.example"),
        ("auth.r.example", "r.example"),
        ("auth.team.example", "registry.team.example:5000"),
        ("localhost:5001", "localhost:5000"),
        ("127.0.0.1:5001", "127.0.0.1:5000"),
        ("[::1]:5001", "[::1]:5000"),
        ("auth.docker.io", "docker.io"),
        ("dockerauth.cn-hangzhou.aliyuncs.com", "registry.cn-beijing.aliyuncs.com"),
        ("dockerauth.cn-hangzhou.aliyuncs.com", "crpi-x.cn-hangzhou.personal.cr.aliyuncs.com"),
        ("ccr.ccs.tencentyun.com", "hkccr.ccs.tencentyun.com"),
        ("ghcr.io", "ghcr.io"),
        ("public.ecr.aws", "public.ecr.aws"),
        ("quay.io", "quay.io"),
        ("gitlab.com", "registry.gitlab.com"),
        ("team.azurecr.io", "team.azurecr.io"),
    ],
)
def test_a_realm_of_the_registrys_host_or_domain_may_know(realm: str, registry: str) -> None:
    assert knows(realm, registry)


@pytest.mark.parametrize(
    ("realm", "registry"),
    [
        ("evil.example", "r.example"),
        ("r.example.evil", "r.example"),
        ("evilr.example", "r.example"),
        ("evil.co.uk", "r.co.uk"),
        ("evil.github.io", "r.github.io"),
        ("com", "r.com"),
        ("co.uk", "r.co.uk"),
        ("10.0.0.2", "10.0.0.1"),
        ("127.0.0.1", "localhost"),
        ("[::2]", "[::1]"),
        ("1.example", "10.0.0.1"),
        ("10.0.0.1", "r.example"),
        ("localhost", "r.example"),
    ],
)
def test_a_realm_elsewhere_may_know_only_if_it_is_trusted(realm: str, registry: str) -> None:
    assert not knows(realm, registry)
    assert not knows(realm, registry, "other.example", registry)
    assert knows(realm, registry, realm.strip("[]"))
    assert knows(f"{realm}:8443", registry, f"{realm}:8443")
    assert not knows(f"{realm}:8443", registry, f"{realm}:8444")


@given(st.text(), st.sampled_from(["r.example", "[::1]:5000"]), st.sampled_from(["http", "https"]))
def test_any_realm_is_judged(url: str, registry: str, scheme: str) -> None:
    for text in (url, f"https://{url}", f"http://{url}/token"):
        realm = Realm(text, "", "")
        if value_or_message(lambda realm=realm: check_realm(realm, scheme)) is None:  # type: ignore[misc]
            assert may_know(realm, registry, frozenset()) in {True, False}
