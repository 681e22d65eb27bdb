"""Registries that speak TLS, with certificates of an authority that a test makes."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

from demo.registry import Registry, Server


@contextmanager
def serve_tls(authority: trustme.CA, clients: trustme.CA | None = None, host: str = "127.0.0.1") -> Iterator[Registry]:
    """Serve an empty registry by https, to whom `clients` gave a certificate if it is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        clients.configure_trust(context)
    with Server({}, {}) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.registry
        finally:
            server.shutdown()
            thread.join()


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
