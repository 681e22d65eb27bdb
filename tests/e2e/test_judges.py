"""The servers of these tests themselves: other clients can pull from them, and they refuse what real ones refuse."""

import json
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from .certificates import Authority, trust
from .logins import PASSWORD, USER, htpasswd, login
from .proxies import serve_proxy
from .registries import serve
from .samples import PRIVATE, PUBLIC, TAG, sample
from .shell import run
from .tokens import basic
from .vaults import Vault

pytestmark = pytest.mark.e2e

SKOPEO = ("skopeo", "--insecure-policy", "copy")


def test_skopeo_pulls_with_a_token_from_the_plain_store(vault: Vault, user: dict[str, str], tmp_path: Path) -> None:
    login(vault.address, tmp_path / "auth.json", user)
    user |= {"SSL_CERT_FILE": str(vault.authority.ca)}
    refused = run(*SKOPEO, f"docker://{vault.private}", f"dir:{tmp_path / 'nothing'}", env=user, expect=None)
    assert "denied" in refused.stderr
    run(*SKOPEO, f"docker://{vault.public}", f"dir:{tmp_path / 'public'}", env=user)
    user |= {"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
    run(*SKOPEO, f"docker://{vault.private}", f"dir:{tmp_path / 'private'}", env=user)
    for copy in ("public", "private"):
        assert (tmp_path / copy / "manifest.json").read_bytes() == sample().manifest
    assert len(vault.store.log) == len(vault.store.hop_log) == 2 * len(sample().blobs)


def test_skopeo_reports_a_cut(vault: Vault, user: dict[str, str], tmp_path: Path) -> None:
    """It does not go on, which shows that there was something to go on from."""
    vault.store.cuts[sample().layers[0]] = [1000]
    user |= {"SSL_CERT_FILE": str(vault.authority.ca)}
    done = run(*SKOPEO, f"docker://{vault.public}", f"dir:{tmp_path / 'copy'}", env=user, expect=1)
    assert "unexpected EOF" in done.stderr


def test_skopeo_pulls_with_a_password(sample_storage: Path, user: dict[str, str], tmp_path: Path) -> None:
    with serve(sample_storage, tmp_path / "registry", auth=htpasswd(tmp_path)) as address:
        login(address, tmp_path / "auth.json", user)
        pull = (*SKOPEO, "--src-tls-verify=false", f"docker://{address}/{PRIVATE}:{TAG}")
        refused = run(*pull, f"dir:{tmp_path / 'nothing'}", env=user, expect=None)
        assert "unauthorized" in refused.stderr
        user |= {"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
        run(*pull, f"dir:{tmp_path / 'copy'}", env=user)


def test_skopeo_pulls_with_a_client_certificate(sample_storage: Path, user: dict[str, str], tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    tls = authority.section() | {"clientcas": [str(authority.ca)]}
    with serve(sample_storage, tmp_path / "registry", tls=tls) as address:
        pull = (*SKOPEO, f"docker://{address}/{PUBLIC}:{TAG}")
        trusting = user | {"SSL_CERT_FILE": str(authority.ca)}
        refused = run(*pull, f"dir:{tmp_path / 'nothing'}", env=trusting, expect=None)
        assert "certificate" in refused.stderr
        trust(Path(user["HOME"]), address, authority, authority.issue("builder@example.com"))
        certs = Path(user["HOME"], ".config", "containers", "certs.d", address)
        run(*SKOPEO, "--src-cert-dir", certs, *pull[3:], f"dir:{tmp_path / 'copy'}", env=user)


def test_skopeo_pulls_through_the_proxy(sample_storage: Path, user: dict[str, str], tmp_path: Path) -> None:
    name = "registry.example.com"
    authority = Authority(tmp_path / "authority")
    with (
        serve(sample_storage, tmp_path / "registry", tls=authority.section(name)) as address,
        serve_proxy({f"{name}:443": address}) as proxy,
    ):
        user |= proxy.variables | {"SSL_CERT_FILE": str(authority.ca)}
        run(*SKOPEO, f"docker://{name}/{PUBLIC}:{TAG}", f"dir:{tmp_path / 'copy'}", env=user)
    assert proxy.places == {f"{name}:443"}


def test_the_registry_refuses_a_token_that_has_ended(vault: Vault) -> None:
    vault.tokens.lifetime = 2
    token = _token(vault)
    assert _get(vault, _manifest(vault), f"Bearer {token}") == (200, sample().manifest)
    time.sleep(max(0, vault.tokens.newest_end + 1.1 - time.time()))
    assert _get(vault, _manifest(vault), f"Bearer {token}")[0] == 401


def test_the_token_service_refuses_a_wrong_password(vault: Vault) -> None:
    assert _get(vault, vault.tokens.realm, f"Basic {basic(USER, 'wrong')}")[0] == 401


def test_the_store_refuses_a_token_and_repeats_it(vault: Vault) -> None:
    """urllib keeps the header over redirects, as many clients did."""
    token = _token(vault)
    status, body = _get(vault, _blob(vault), f"Bearer {token}")
    assert status == 400
    assert token.encode() in body


@pytest.mark.parametrize("change", ["nothing", "signature", "path", "host", "expiry"])
def test_the_store_takes_its_own_signature_only(
    change: str, vault: Vault, user: dict[str, str], tmp_path: Path
) -> None:
    run(
        *SKOPEO,
        f"docker://{vault.public}",
        f"dir:{tmp_path}/copy",
        env=user | {"SSL_CERT_FILE": str(vault.authority.ca)},
    )
    request = next(each for each in vault.store.log if sample().layers[0][7:] in each.target)
    target, host = request.target, vault.store.host
    if change == "signature":
        target = target.split("&Signature=")[0] + "&Signature=AAAA"
    elif change == "path":
        target = target.replace("/sha256/", "/sha512/")
    elif change == "host":
        host = "store.example.net"
    elif change == "expiry":
        target = target.replace("Expires=", "Expires=9")
    status, body = _get(vault, f"http://{vault.store.address}{target}", None, host)
    if change == "nothing":
        assert (status, body) == (200, sample().blobs[sample().layers[0]])
    else:
        assert status == 403


def _manifest(vault: Vault) -> str:
    return f"https://{vault.address}/v2/{PRIVATE}/manifests/{TAG}"


def _blob(vault: Vault) -> str:
    return f"https://{vault.address}/v2/{PRIVATE}/blobs/{sample().layers[0]}"


def _token(vault: Vault) -> str:
    url = f"{vault.tokens.realm}?scope=repository:{PRIVATE}:pull"
    token: str = json.loads(_get(vault, url, f"Basic {basic(USER, PASSWORD)}")[1])["token"]
    return token


def _get(vault: Vault, url: str, authorization: str | None, host: str | None = None) -> tuple[int, bytes]:
    context = ssl.create_default_context(cafile=str(vault.authority.ca))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    headers = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    headers |= {"Authorization": authorization} if authorization else {}
    headers |= {"Host": host} if host else {}
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=30) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
