"""Uploads to a registry that speaks TLS: what goes there by https goes nowhere by http."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from demo.base import digest
from demo.registry import serve
from hatch_oci.errors import RegistryError
from hatch_oci.image.digest import Digest
from hatch_oci.registry.push import Blob, Destination
from tests.unit.uploads import Uploads, serve_uploads

DATA = b"data" * 1000
BLOB = Blob(Digest.of(DATA), len(DATA), lambda: iter([DATA]))


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Uploads]:
    """Serve by https, with a certificate that the user trusts."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with serve_uploads(context) as uploads:
        yield uploads


def test_a_blob_is_pushed_by_https(registry: Uploads, destination: Destination) -> None:
    registry.locate = lambda path: f"https://{registry.address}{path}"
    destination.put_blob(BLOB)
    assert registry.repositories["app"].blobs == {digest(DATA): DATA}


def test_a_place_that_is_plain_http_gets_nothing(registry: Uploads, destination: Destination) -> None:
    with serve({}) as elsewhere:
        registry.locate = lambda path: f"http://{elsewhere.address}{path}?_state=secret"
        with pytest.raises(RegistryError, match=f"http://{elsewhere.address}/v2/app/") as caught:
            destination.put_blob(BLOB)
        assert elsewhere.log == []
    assert "secret" not in str(caught.value)
    # It is no failure that passes.
    assert registry.begun == 1


def test_a_blob_that_lies_in_a_store_of_plain_http_is_there(registry: Uploads, destination: Destination) -> None:
    with serve({}) as store:
        registry.answers["HEAD", "*"] = lambda request: request.reply(
            307, b"", {"Location": f"http://{store.address}/blob?Signature=abc"}
        )
        assert destination.has(BLOB.digest)
        assert store.log == []
