"""Registries that speak TLS, with certificates of an authority that a test makes."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

from demo.registry import Registry, Server, running


@contextmanager
def serve_tls(authority: trustme.CA, clients: trustme.CA | None = None) -> Iterator[Registry]:
    """Serve an empty registry by https, to whom `clients` gave a certificate if it is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        clients.configure_trust(context)
    server = Server({}, {})
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with running(server):
        yield server.registry


def certs_d(home: Path, host: str) -> Path:
    """Return the folder for a host's certificates in a home."""
    folder = home / ".config/containers/certs.d" / host
    folder.mkdir(parents=True)
    return folder


def write_client(authority: trustme.CA, certificate: Path, key: Path) -> None:
    """Write a certificate for a client, and its key."""
    issued = authority.issue_cert("client@r.example")
    issued.private_key_pem.write_to_path(key)
    for blob in issued.cert_chain_pems:
        blob.write_to_path(certificate, append=True)
