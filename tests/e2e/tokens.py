"""A token service as registries have them: it checks who asks, and signs what he may do, as JWT with RS256."""

import base64
import json
import secrets
import ssl
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from .servers import Handler, Request, listen

ANONYMOUS = ""
SERVICE, ISSUER = "the test's registry", "the test's token service"
# docker-registry 2.8 takes tokens for so many seconds beyond their end.
LEEWAY = 60


class _Signer(NamedTuple):
    key: rsa.RSAPrivateKey
    certificate: x509.Certificate


@dataclass
class TokenService:
    """Who may pull what, and push what, and what was asked and given.

    `lifetime` is for how many seconds the registry really takes a token, `claimed` what `expires_in` says of it.
    """

    passwords: Mapping[str, str]
    readable: Mapping[str, Collection[str]]
    identity_tokens: Mapping[str, str] = field(default_factory=dict)
    writable: Mapping[str, Collection[str]] = field(default_factory=dict)
    lifetime: float = 300
    claimed: int | None = 300
    realm: str = ""
    address: str = ""
    issued: list[str] = field(default_factory=list)
    log: list[Request] = field(default_factory=list)
    scopes: list[tuple[str, str]] = field(default_factory=list)
    newest_end: float = 0

    def section(self, folder: Path) -> dict[str, object]:
        """Answer the `auth` of a docker-registry that trusts this service; the certificate goes to `folder`."""
        bundle = folder / "token-service.pem"
        bundle.write_bytes(_signer().certificate.public_bytes(Encoding.PEM))
        return {"token": {"realm": self.realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(bundle)}}

    def answer(self, request: Handler) -> None:
        """Give a token with what the asker may do of what he asks for, maybe nothing; 401 for a false password."""
        fields = parse_qsl(urlsplit(request.path).query) + parse_qsl(request.body().decode())
        user = self._who(request, dict(fields))
        if user is None:
            body = json.dumps({"errors": [{"code": "UNAUTHORIZED", "message": "incorrect username or password"}]})
            request.reply(401, body.encode(), {"Content-Type": "application/json"})
            return
        # Harbor and others give one scope per parameter, some clients put several into one.
        scopes = [scope for name, value in fields if name == "scope" for scope in value.split()]
        self.scopes += [(user, scope) for scope in scopes]
        token = self._sign(user, [allowed for scope in scopes if (allowed := self._allow(user, scope))])
        self.issued.append(token)
        document: dict[str, object] = {"token": token, "access_token": token}
        if self.claimed is not None:
            document["expires_in"] = self.claimed
        request.reply(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _who(self, request: Handler, fields: Mapping[str, str]) -> str | None:
        if request.command == "POST":
            assert fields["grant_type"] == "refresh_token"
            return self.identity_tokens.get(fields["refresh_token"])
        if (sent := request.headers["Authorization"]) is None:
            return ANONYMOUS
        scheme, _, encoded = sent.partition(" ")
        user, _, password = base64.b64decode(encoded).decode().partition(":")
        return user if scheme == "Basic" and password and self.passwords.get(user) == password else None

    def _allow(self, user: str, scope: str) -> dict[str, object] | None:
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        writable = self.writable.get(user, ())
        readable = {*writable, *self.readable.get(user, ()), *self.readable.get(ANONYMOUS, ())}
        places = {"pull": readable, "push": writable}
        allowed = [action for action in actions.split(",") if name in places.get(action, ())]
        return {"type": kind, "name": name, "actions": allowed} if kind == "repository" and allowed else None

    def _sign(self, user: str, access: list[dict[str, object]]) -> str:
        now = time.time()
        self.newest_end = now + self.lifetime
        certificate = base64.b64encode(_signer().certificate.public_bytes(Encoding.DER)).decode()
        claims = {
            "iss": ISSUER,
            "sub": user,
            "aud": SERVICE,
            "iat": int(now) - 3600,
            "nbf": int(now) - 3600,
            "exp": int(self.newest_end) - LEEWAY,
            "jti": secrets.token_hex(8),
            "access": access,
        }
        signed = f"{_encode({'typ': 'JWT', 'alg': 'RS256', 'x5c': [certificate]})}.{_encode(claims)}"
        signature = _signer().key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64url(signature)}"


@contextmanager
def serve_tokens(service: TokenService, tls: ssl.SSLContext | None, realm: str | None = None) -> Iterator[TokenService]:
    """Run the service in a thread, at `realm` if that is a name which leads to it, and fill in what it must know."""
    with listen(service.answer, tls) as server:
        service.log = server.log
        service.realm = realm or f"{'https' if tls else 'http'}://{server.address}/token"
        service.address = server.address
        yield service


def basic(user: str, password: str) -> str:
    """Answer user and password as `Authorization: Basic` and Docker's files hold them."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


@cache
def _signer() -> _Signer:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _Signer(key, certificate)


def _encode(document: Mapping[str, object]) -> str:
    return _base64url(json.dumps(document).encode())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
