from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import certifi
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from demo.registry import Registry, serve
from hatch_oci.errors import PlainHTTPError, RegistryError, UnreachableError
from hatch_oci.registry.options import Patience, RegistryOptions
from hatch_oci.registry.tls import tls_context
from hatch_oci.registry.transport import Request, Transport
from tests.unit.bases import QUICK
from tests.unit.secure import certs_d, serve_tls, write_client


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[Registry]:
    with serve_tls(authority) as registry:
        yield registry


def ask(server: Registry, host: str = "127.0.0.1", *, insecure: bool = False) -> int:
    """Return the status of an answer by https."""
    name = f"{host}:{server.address.rpartition(':')[2]}"
    options = RegistryOptions(insecure_registries=frozenset({name} if insecure else ()))
    with (
        closing(Transport(options, patience=QUICK)) as transport,
        transport.open(Request("GET", f"https://{name}/v2/")) as answer,
    ):
        return answer.status


def message(server: Registry, host: str = "127.0.0.1") -> str:
    with pytest.raises(RegistryError) as caught:
        ask(server, host)
    # Another try would not help.
    assert not isinstance(caught.value, UnreachableError | PlainHTTPError)
    return str(caught.value)


def test_a_certificate_that_is_not_trusted_is_told_with_what_to_do(server: Registry) -> None:
    assert message(server) == (
        f"the certificate of https://{server.address} is not trusted: unable to get local issuer certificate\n"
        "If the server is right, name its authority in SSL_CERT_FILE, or put it into "
        f"~/.config/containers/certs.d/{server.address}/ca.crt"
    )
    assert server.log == []


def test_what_the_message_says_helps(server: Registry, authority: trustme.CA, home: Path) -> None:
    path = message(server).rpartition(" ")[2].replace("~", str(home))
    Path(path).parent.mkdir(parents=True)
    authority.cert_pem.write_to_path(path)
    assert ask(server) == 200


def test_an_authority_in_a_variable_is_trusted(
    server: Registry, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert ask(server) == 200


@pytest.mark.parametrize("with_port", [True, False])
def test_an_authority_in_the_folder_of_the_host_is_trusted(
    with_port: bool, server: Registry, authority: trustme.CA, home: Path
) -> None:
    folder = certs_d(home, server.address if with_port else "127.0.0.1")
    (folder / "README").write_text("no certificate")
    (folder / "sub").mkdir()
    (folder / "ca.pem").write_text("of another name")
    authority.cert_pem.write_to_path(str(folder / "any-name.crt"))
    assert ask(server) == 200


def test_authorities_of_both_folders_count(server: Registry, authority: trustme.CA, home: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(certs_d(home, server.address) / "ca.crt"))
    authority.cert_pem.write_to_path(str(certs_d(home, "127.0.0.1") / "ca.crt"))
    assert ask(server) == 200


def test_an_authority_of_one_host_does_not_count_for_another(
    server: Registry, authority: trustme.CA, home: Path
) -> None:
    port = server.address.rpartition(":")[2]
    for name in ("localhost", f"localhost:{port}", "127.0.0.1:1", "127.0.0.2", f"127.0.0.2:{port}", "127.0.0"):
        authority.cert_pem.write_to_path(str(certs_d(home, name) / "ca.crt"))
    assert "is not trusted: unable to get local issuer certificate" in message(server)


def test_a_certificate_for_another_name_is_not_trusted(server: Registry, authority: trustme.CA, home: Path) -> None:
    authority.cert_pem.write_to_path(str(certs_d(home, "localhost") / "ca.crt"))
    port = server.address.rpartition(":")[2]
    assert message(server, "localhost").startswith(
        f"the certificate of https://localhost:{port} is not trusted: "
        "Hostname mismatch, certificate is not valid for 'localhost'"
    )


def test_an_insecure_registry_is_not_checked(server: Registry) -> None:
    assert ask(server, insecure=True) == 200
    assert ask(server, "localhost", insecure=True) == 200
    assert "is not trusted" in message(server)


def test_a_client_shows_the_certificate_that_the_folder_holds(authority: trustme.CA, home: Path) -> None:
    clients = trustme.CA()
    with serve_tls(authority, clients) as server:
        folder = certs_d(home, server.address)
        authority.cert_pem.write_to_path(str(folder / "ca.crt"))
        assert message(server) == (
            f"https://{server.address} does not accept this client's certificate, or wants one: "
            f"put it into ~/.config/containers/certs.d/{server.address}, as client.cert and client.key"
        )
        assert server.log == []
        write_client(clients, folder / "me.cert", folder / "me.key")
        assert ask(server) == 200


def test_an_insecure_registry_is_shown_the_clients_certificate_too(authority: trustme.CA, home: Path) -> None:
    clients = trustme.CA()
    with serve_tls(authority, clients) as server:
        folder = certs_d(home, server.address)
        write_client(clients, folder / "me.cert", folder / "me.key")
        assert ask(server, insecure=True) == 200


def test_a_certificate_without_its_key_is_told(server: Registry, authority: trustme.CA, home: Path) -> None:
    folder = certs_d(home, server.address)
    write_client(authority, folder / "me.cert", folder / "other.key")
    assert message(server) == f"{folder}/me.cert has no me.key beside it"


def test_a_key_of_another_certificate_is_told(server: Registry, authority: trustme.CA, home: Path) -> None:
    folder = certs_d(home, server.address)
    write_client(authority, folder / "me.cert", folder / "other.key")
    write_client(authority, folder / "other.cert", folder / "me.key")
    assert message(server).startswith(f"cannot use {folder}/me.cert for 127.0.0.1: [X509: KEY_VALUES_MISMATCH]")


def test_a_key_with_a_password_is_told_and_not_asked_for(server: Registry, authority: trustme.CA, home: Path) -> None:
    folder = certs_d(home, server.address)
    write_client(authority, folder / "me.cert", folder / "me.key")
    key = load_pem_private_key((folder / "me.key").read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    (folder / "me.key").write_bytes(locked)
    assert message(server) == f"cannot use {folder}/me.cert for 127.0.0.1: the key has a password"


@pytest.mark.parametrize("content", [b"", b"junk", b"-----BEGIN CERTIFICATE-----\njunk\n-----END CERTIFICATE-----\n"])
def test_an_authority_that_cannot_be_read_is_told(content: bytes, server: Registry, home: Path) -> None:
    file = certs_d(home, server.address) / "ca.crt"
    file.write_bytes(content)
    assert message(server).startswith(f"cannot use {file} for 127.0.0.1: [")
    file.unlink()
    file.symlink_to("ca.crt")
    assert message(server) == f"cannot use {file} for 127.0.0.1: Too many levels of symbolic links"


def test_a_folder_that_is_none_is_passed_over(server: Registry, home: Path) -> None:
    folder = certs_d(home, server.address)
    folder.rmdir()
    folder.write_text("a file")
    assert "is not trusted" in message(server)


def test_a_folder_that_cannot_be_read_is_told(server: Registry, home: Path) -> None:
    folder = certs_d(home, server.address)
    folder.rmdir()
    folder.symlink_to(folder.name)
    assert message(server) == f"cannot use {folder} for 127.0.0.1: Too many levels of symbolic links"


def test_a_host_that_is_too_long_for_a_folder_has_none(home: Path) -> None:
    certs_d(home, "r.example")
    assert tls_context("a" * 300 + ".example", 443).verify_mode is ssl.CERT_REQUIRED


def test_an_address_in_brackets_has_a_folder_as_its_url_writes_it(authority: trustme.CA, home: Path) -> None:
    # The message about a certificate that is not trusted names this folder.
    before = tls_context("::1", 5000).cert_store_stats()["x509"]
    authority.cert_pem.write_to_path(str(certs_d(home, "[::1]:5000") / "ca.crt"))
    assert tls_context("::1", 5000).cert_store_stats()["x509"] == before + 1


def test_a_machine_without_authorities_has_those_of_certifi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An empty variable hides what Python was built to look for.
    monkeypatch.setenv("SSL_CERT_FILE", "")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    count = Path(certifi.where()).read_text().count("BEGIN CERTIFICATE")
    assert tls_context("r.example", 443).cert_store_stats()["x509_ca"] == count
    assert tls_context("r.example", 443, verify=False).cert_store_stats()["x509_ca"] == 0
    (tmp_path / "12345678.0").write_text("an authority")
    assert tls_context("r.example", 443).cert_store_stats()["x509_ca"] == 0


@pytest.mark.parametrize("folders", ["{}/absent", "{}/absent:{}", "{}:{}/absent", "{}/file"])
def test_a_variable_may_name_several_folders_and_such_that_are_not_there(
    folders: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SSL_CERT_FILE", "")
    monkeypatch.setenv("SSL_CERT_DIR", folders.format(tmp_path, tmp_path))
    assert tls_context("r.example", 443).verify_mode is ssl.CERT_REQUIRED


def test_a_server_without_tls_is_told_apart() -> None:
    with serve({}) as server, pytest.raises(PlainHTTPError) as caught:
        ask(server)
    assert str(caught.value) == f"https://{server.address} speaks plain http, not https"


def test_a_server_that_says_nothing_is_ended_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        patience = Patience(connect=10, stall=10, answer=1.5)
        start = time.monotonic()
        with (
            closing(Transport(patience=patience)) as transport,
            pytest.raises(UnreachableError, match=f"^no answer from https://{address}: the connection takes too long$"),
            transport.open(Request("GET", f"https://{address}/v2/")),
        ):
            pass
        assert time.monotonic() - start < 5
