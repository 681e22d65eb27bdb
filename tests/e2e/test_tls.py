"""docker-registry with TLS: whom a user trusts, whom he does not, and by which certificate he is known."""

from pathlib import Path

import pytest

from .certificates import Authority, trust
from .inspections import error_of, inspect, inspect_json
from .proxies import serve_proxy
from .registries import serve
from .samples import PUBLIC, TAG, sample

pytestmark = pytest.mark.e2e

NAME = "registry.example.com"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Answer an authority that this machine does not know."""
    return Authority(tmp_path / "authority")


def test_a_ca_in_ssl_cert_file_is_trusted(
    authority: Authority, user: dict[str, str], sample_storage: Path, tmp_path: Path
) -> None:
    with serve(sample_storage, tmp_path / "registry", tls=authority.section()) as address:
        seen = inspect_json(f"{address}/{PUBLIC}:{TAG}", user | {"SSL_CERT_FILE": str(authority.ca)})
    assert seen["digest"] == sample().digest
    assert seen["reached"]["scheme"] == "https"


@pytest.mark.parametrize("folder", ["host and port", "host"])
def test_a_ca_in_certs_d_is_trusted(
    folder: str, authority: Authority, user: dict[str, str], sample_storage: Path, tmp_path: Path
) -> None:
    with serve(sample_storage, tmp_path / "registry", tls=authority.section()) as address:
        trust(Path(user["HOME"]), address if folder == "host and port" else address.partition(":")[0], authority)
        seen = inspect_json(f"{address}/{PUBLIC}:{TAG}", user)
    assert seen["digest"] == sample().digest
    assert seen["reached"]["scheme"] == "https"


def test_a_ca_in_certs_d_is_for_its_registry_only(
    authority: Authority, user: dict[str, str], sample_storage: Path, tmp_path: Path
) -> None:
    with serve(sample_storage, tmp_path / "registry", tls=authority.section()) as address:
        trust(Path(user["HOME"]), f"127.0.0.1:{int(address.partition(':')[2]) ^ 1}", authority)
        assert address in error_of(f"{address}/{PUBLIC}:{TAG}", user)


def test_an_unknown_ca_is_one_clear_line(
    authority: Authority, user: dict[str, str], sample_storage: Path, tmp_path: Path
) -> None:
    with serve(sample_storage, tmp_path / "registry", tls=authority.section()) as address:
        line = error_of(f"{address}/{PUBLIC}:{TAG}", user)
    assert address in line
    assert "certificate" in line
    # What to do.
    assert "SSL_CERT_FILE" in line or "certs.d" in line


def test_a_certificate_for_another_name_is_one_clear_line(
    authority: Authority, user: dict[str, str], sample_storage: Path, tmp_path: Path
) -> None:
    with serve(sample_storage, tmp_path / "registry", tls=authority.section(NAME)) as address:
        line = error_of(f"{address}/{PUBLIC}:{TAG}", user | {"SSL_CERT_FILE": str(authority.ca)})
    assert address in line
    assert "certificate" in line


@pytest.mark.parametrize("trusted", [True, False])
def test_a_registry_of_the_world_is_never_asked_by_plain_http(
    trusted: bool, authority: Authority, user: dict[str, str], sample_storage: Path, tmp_path: Path
) -> None:
    """The image would be there by http too, without any certificate."""
    with (
        serve(sample_storage, tmp_path / "plain") as plain,
        serve(sample_storage, tmp_path / "secure", tls=authority.section(NAME)) as secure,
        serve_proxy({f"{NAME}:443": secure, f"{NAME}:80": plain}) as proxy,
    ):
        user |= proxy.variables
        if trusted:
            seen = inspect_json(f"{NAME}/{PUBLIC}:{TAG}", user | {"SSL_CERT_FILE": str(authority.ca)})
            assert seen["digest"] == sample().digest
            assert (seen["reached"]["registry"], seen["reached"]["scheme"]) == (NAME, "https")
        else:
            line = error_of(f"{NAME}/{PUBLIC}:{TAG}", user)
            assert NAME in line
            assert "certificate" in line
    assert proxy.places == {f"{NAME}:443"}


def test_a_registry_listed_as_insecure_is_taken_with_a_warning(
    authority: Authority, user: dict[str, str], sample_storage: Path, tmp_path: Path
) -> None:
    with serve(sample_storage, tmp_path / "registry", tls=authority.section()) as address:
        table = f'[tool.hatch.build.targets.oci]\ninsecure-registries = ["{address}"]\n'
        Path(user["HOME"], "pyproject.toml").write_text(table)
        done = inspect(f"{address}/{PUBLIC}:{TAG}", user)
    assert sample().digest in done.stdout
    assert any(address in line and "insecure" in line for line in done.stderr.splitlines())


def test_a_client_certificate_in_certs_d_is_shown(
    authority: Authority, user: dict[str, str], sample_storage: Path, tmp_path: Path
) -> None:
    tls = authority.section() | {"clientcas": [str(authority.ca)]}
    with serve(sample_storage, tmp_path / "registry", tls=tls) as address:
        trust(Path(user["HOME"]), address, authority, authority.issue("builder@example.com"))
        seen = inspect_json(f"{address}/{PUBLIC}:{TAG}", user)
    assert seen["digest"] == sample().digest


@pytest.mark.parametrize("certificate", ["none", "another authority's"])
def test_a_client_without_the_right_certificate_reads_one_clear_line(
    certificate: str, authority: Authority, user: dict[str, str], sample_storage: Path, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "stranger").issue("builder@example.com")
    tls = authority.section() | {"clientcas": [str(authority.ca)]}
    with serve(sample_storage, tmp_path / "registry", tls=tls) as address:
        trust(Path(user["HOME"]), address, authority, None if certificate == "none" else stranger)
        line = error_of(f"{address}/{PUBLIC}:{TAG}", user)
    assert address in line
    assert "certificate" in line
    # What to do, in words of ours.
    assert "certs.d" in line
    assert "[SSL" not in line
    # No try more than it takes to find out: a certificate is not a thing that passes.
    refusals = (tmp_path / "registry" / "registry.log").read_text().count("TLS handshake error")
    assert 1 <= refusals <= 2
