"""An authority that nobody trusts by himself, and the certificates that it gives to servers and clients."""

import ssl
from pathlib import Path
from typing import NamedTuple

import trustme

LOOPBACK = ("127.0.0.1", "localhost")


class Pair(NamedTuple):
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority, its certificate in the file `ca`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.ca))

    def issue(self, *names: str) -> Pair:
        """Certify a server of these names, or a client: the certificates are good for both."""
        issued = self._authority.issue_cert(*(names or LOOPBACK))
        stem = (names or LOOPBACK)[0].replace("@", "-")
        pair = Pair(self._folder / f"{stem}.cert", self._folder / f"{stem}.key")
        pair.certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(pair.key))
        return pair

    def context(self, *names: str) -> ssl.SSLContext:
        """Answer what a server in a thread needs to be one of these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(*names))
        return context

    def section(self, *names: str) -> dict[str, object]:
        """Answer the `http.tls` of a docker-registry that is one of these names."""
        pair = self.issue(*names)
        return {"certificate": str(pair.certificate), "key": str(pair.key)}


def trust(home: Path, folder: str, authority: Authority, client: Pair | None = None) -> None:
    """Put the authority, and a client's certificate, where Podman and skopeo look for them below a home."""
    certs = home / ".config" / "containers" / "certs.d" / folder
    certs.mkdir(parents=True)
    (certs / "ca.crt").write_bytes(authority.ca.read_bytes())
    if client is not None:
        (certs / "client.cert").write_bytes(client.certificate.read_bytes())
        (certs / "client.key").write_bytes(client.key.read_bytes())
