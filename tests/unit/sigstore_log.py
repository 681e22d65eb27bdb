"""A log of signatures as Rekor keeps one, version 1: entries, the tree above them (RFC 6962), and its signed heads."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from demo.registry import Handler
from tests.unit.uploads import read_body

_SHA256 = ec.ECDSA(hashes.SHA256())


class Key:
    """The key of one service."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.public = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.id = hashlib.sha256(self.public).digest()

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data, _SHA256)


@dataclass
class Rekor:
    """A log of signatures, in which others have been before."""

    key: Key = field(default_factory=Key)
    leaves: list[bytes] = field(default_factory=lambda: [b"first", b"second", b"third"])

    def answer(self, request: Handler) -> None:
        proposed = json.loads(read_body(request))
        try:
            body = _body(proposed)
        except InvalidSignature:
            request.reply(400, b'{"code": 400, "message": "verifying signature: failed"}')
            return
        self.leaves.append(body)
        answer = json.dumps({hashlib.sha256(body).hexdigest(): self.entry(body)}).encode()
        request.reply(201, answer, {"Content-Type": "application/json"})

    def entry(self, body: bytes) -> dict[str, Any]:
        """Return the newest entry, with the proof that it is in the log, and the promise that it stays there."""
        index, size = len(self.leaves) - 1, len(self.leaves)
        root = _root(self.leaves)
        promised = {
            "body": base64.b64encode(body).decode(),
            "integratedTime": int(time.time()),
            "logID": self.key.id.hex(),
            "logIndex": index,
        }
        note = f"rekor.test - 1\n{size}\n{base64.b64encode(root).decode()}\n"
        signature = base64.b64encode(self.key.id[:4] + self.key.sign(note.encode())).decode()
        proof = {
            "logIndex": index,
            "treeSize": size,
            "rootHash": root.hex(),
            "hashes": [one.hex() for one in _path(index, self.leaves)],
            "checkpoint": f"{note}\n\N{EM DASH} rekor.test {signature}\n",
        }
        promise = self.key.sign(json.dumps(promised, sort_keys=True, separators=(",", ":")).encode())
        verification = {"inclusionProof": proof, "signedEntryTimestamp": base64.b64encode(promise).decode()}
        return {**promised, "verification": verification}


def _body(proposed: dict[str, Any]) -> bytes:
    """Return what is kept of a DSSE envelope, whose signature is checked."""
    content = proposed["spec"]["proposedContent"]
    envelope, (verifier,) = json.loads(content["envelope"]), content["verifiers"]
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"]
    (signature,) = envelope["signatures"]
    public = x509.load_pem_x509_certificate(base64.b64decode(verifier)).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    public.verify(base64.b64decode(signature["sig"]), signed, _SHA256)
    spec = {
        "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(content["envelope"].encode()).hexdigest()},
        "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
        "signatures": [{"signature": signature["sig"], "verifier": verifier}],
    }
    document = {"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _split(size: int) -> int:
    """Return the largest power of two below a size (RFC 6962, 2.1)."""
    return 1 << (size - 1).bit_length() - 1


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    middle = _split(len(leaves))
    return hashlib.sha256(b"\1" + _root(leaves[:middle]) + _root(leaves[middle:])).digest()


def _path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Return the proof that a leaf is in the tree (RFC 6962, 2.1.1)."""
    if len(leaves) == 1:
        return []
    middle = _split(len(leaves))
    if index < middle:
        return [*_path(index, leaves[:middle]), _root(leaves[middle:])]
    return [*_path(index - middle, leaves[middle:]), _root(leaves[:middle])]
