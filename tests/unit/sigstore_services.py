"""A Sigstore of its own in a thread: what gives out identities, Fulcio with its log of certificates, and Rekor.

They do what the real ones do, with keys that are made for each: sigstore's clients talk to them, and its verifier takes
what they say. A Rekor of version 1, as the public instance has, needs no timestamp authority.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from demo.registry import Handler, Server, running
from tests.unit.sigstore_log import Key, Rekor
from tests.unit.uploads import read_body

ISSUER = "https://token.actions.githubusercontent.com"
WORKFLOW = "acme/app/.github/workflows/release.yml@refs/heads/main"
IDENTITY = f"https://github.com/{WORKFLOW}"
"""What Fulcio writes into the certificates of such a workflow."""

REQUEST_TOKEN = "eyJ0.request.token"
"""What a job asks for its identity with."""

_ISSUER_EXTENSIONS = "1.3.6.1.4.1.57264.1.1", "1.3.6.1.4.1.57264.1.8"
_SCT_LIST = "1.3.6.1.4.1.11129.2.4.2"
_LIFE = timedelta(minutes=10)


@dataclass
class Fulcio:
    """An authority that certifies the identity of a token for some minutes, and its log of certificates."""

    tokens: Key
    """The key that the tokens are signed with."""

    key: Key = field(default_factory=Key)
    log: Key = field(default_factory=Key)
    presented: list[str] = field(default_factory=list)
    """The tokens that it was shown."""

    issuer: str | None = None
    """What it takes for the issuer of a token, whatever that says."""

    @cached_property
    def root(self) -> x509.Certificate:
        now, name = datetime.now(UTC), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sigstore of a test")])
        public = self.key.private.public_key()
        return (
            x509.CertificateBuilder(name, name, public, x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(is_authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self.key.private, hashes.SHA256())
        )

    def answer(self, request: Handler) -> None:
        raw, token = read_body(request), request.headers["Authorization"].removeprefix("Bearer ")
        self.presented.append(token)
        try:
            claims = jwt.decode(token, self.tokens.private.public_key(), ["ES256"], audience="sigstore")
        except jwt.InvalidTokenError:
            request.reply(401, b'{"code": 16, "message": "There was an error processing the identity token"}')
            return
        wanted = x509.load_pem_x509_csr(base64.b64decode(json.loads(raw)["certificateSigningRequest"]))
        assert wanted.is_signature_valid
        chain = [one.public_bytes(Encoding.PEM).decode() for one in (self.certify(wanted, claims), self.root)]
        body = json.dumps({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}).encode()
        request.reply(201, body, {"Content-Type": "application/json"})

    def certify(self, wanted: x509.CertificateSigningRequest, claims: dict[str, Any]) -> x509.Certificate:
        """Return the certificate, with the word of the log that it is in there (RFC 6962, 3.3)."""
        now = datetime.now(UTC).replace(microsecond=0)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self.key.private.public_key())
        identity = x509.UniformResourceIdentifier(f"https://github.com/{claims['job_workflow_ref']}")
        issuer = (self.issuer or claims["iss"]).encode()
        builder = (
            x509.CertificateBuilder(self.root.subject, x509.Name([]), wanted.public_key(), x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + _LIFE)
            .add_extension(_usage(is_authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
            .add_extension(x509.SubjectAlternativeName([identity]), critical=True)
        )
        for oid, value in zip(_ISSUER_EXTENSIONS, (issuer, _der(0x0C, issuer)), strict=True):
            builder = builder.add_extension(_extension(oid, value), critical=False)
        logged = builder.sign(self.key.private, hashes.SHA256()).tbs_certificate_bytes
        stamp = int(now.timestamp() * 1000)
        entry = self.key.id + len(logged).to_bytes(3, "big") + logged
        signature = self.log.sign(struct.pack("!BBQH", 0, 0, stamp, 1) + entry + bytes(2))
        # Version, log, time, no extensions, SHA-256 and ECDSA.
        sct = struct.pack("!B32sQHBBH", 0, self.log.id, stamp, 0, 4, 3, len(signature)) + signature
        scts = struct.pack("!HH", len(sct) + 2, len(sct)) + sct
        return builder.add_extension(_extension(_SCT_LIST, _der(0x04, scts)), critical=False).sign(
            self.key.private, hashes.SHA256()
        )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _extension(oid: str, value: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(ObjectIdentifier(oid), value)


def _der(tag: int, content: bytes) -> bytes:
    """Return a value as DER writes it, of less than 256 bytes."""
    size = len(content)
    return bytes([tag, size] if size < 0x80 else [tag, 0x81, size]) + content


@dataclass
class Sigstore:
    """The services, where they are, and what a pipeline is given to find them."""

    server: Server
    tokens: Key = field(default_factory=Key)
    rekor: Rekor = field(default_factory=Rekor)
    given: list[str] = field(default_factory=list)
    """The identity tokens."""

    lifetime: timedelta = timedelta(minutes=5)
    """Of a token."""

    @cached_property
    def fulcio(self) -> Fulcio:
        return Fulcio(self.tokens)

    @property
    def url(self) -> str:
        return f"http://{self.server.registry.address}"

    @property
    def environment(self) -> dict[str, str]:
        """Return what GitHub sets for a job that has `id-token: write`."""
        return {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN,
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/token?api-version=2.0",
        }

    def give_token(self, request: Handler) -> None:
        if request.headers["Authorization"] != f"bearer {REQUEST_TOKEN}" or "audience=sigstore" not in request.path:
            request.reply(403, b'{"message": "forbidden"}')
            return
        now = datetime.now(UTC)
        claims = {"iss": ISSUER, "sub": "repo:acme/app:ref:refs/heads/main", "job_workflow_ref": WORKFLOW}
        times = {"iat": now - timedelta(hours=1), "exp": now + self.lifetime, "jti": str(len(self.given))}
        self.given.append(jwt.encode({**claims, **times, "aud": "sigstore"}, self.tokens.private, "ES256"))
        request.reply(200, json.dumps({"value": self.given[-1]}).encode(), {"Content-Type": "application/json"})

    @property
    def trust_config(self) -> dict[str, Any]:
        """Return what the operator of an instance gives to those who use it."""
        since = {"start": "2020-01-01T00:00:00Z"}
        certificate = base64.b64encode(self.fulcio.root.public_bytes(Encoding.DER)).decode()
        authority = {
            "subject": {"organization": "test", "commonName": "fulcio"},
            "uri": self.url,
            "certChain": {"certificates": [{"rawBytes": certificate}]},
            "validFor": since,
        }
        service = {"url": self.url, "majorApiVersion": 1, "validFor": since, "operator": "test"}
        return {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [self._log(self.rekor.key)],
                "ctlogs": [self._log(self.fulcio.log)],
                "certificateAuthorities": [authority],
                "timestampAuthorities": [],
            },
            "signingConfig": {
                "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                "caUrls": [service],
                "rekorTlogUrls": [service],
                "rekorTlogConfig": {"selector": "ANY"},
            },
        }

    def _log(self, key: Key) -> dict[str, Any]:
        public = {
            "rawBytes": base64.b64encode(key.public).decode(),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": {"start": "2020-01-01T00:00:00Z"},
        }
        identifier = {"keyId": base64.b64encode(key.id).decode()}
        return {"baseUrl": self.url, "hashAlgorithm": "SHA2_256", "publicKey": public, "logId": identifier}


TOKEN = "GET", "/token"
FULCIO = "POST", "/api/v2/signingCert"
REKOR = "POST", "/api/v1/log/entries"


@contextmanager
def serve_sigstore() -> Iterator[Sigstore]:
    """Serve all of it for as long as the block runs; a test may put other answers into `server.registry.answers`."""
    server = Server({}, {})
    sigstore = Sigstore(server)
    server.registry.answers.update(
        {TOKEN: sigstore.give_token, FULCIO: sigstore.fulcio.answer, REKOR: sigstore.rekor.answer}
    )
    with running(server):
        yield sigstore
