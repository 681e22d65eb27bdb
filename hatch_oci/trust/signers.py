"""Who signs: Sigstore, for the identity of the pipeline that this runs in, or a program that knows a key."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence

from hatch_oci.errors import DocumentError, OCIError, ProgramError
from hatch_oci.image.artifact import Artifact, make_artifact
from hatch_oci.image.document import encode_json, parse_json
from hatch_oci.program import run_program
from hatch_oci.trust.claims import Claim

Signer = Callable[[Sequence[Claim]], Iterator[Artifact]]
"""Returns a signature of each claim, as an artifact that refers to what it is about."""

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_TITLE = "signature.json"
_SECONDS = 300.0
"""A program may ask its user to touch a key."""

_MAX_SIGNATURE = 4 * 1024 * 1024


def program_signer(command: str) -> Signer:
    """Return a signer that hands a descriptor, as JSON, to a program, and takes what it prints for a signature.

    A signature is JSON that says what it is as its `mediaType`, as Sigstore's bundles do. It refers to the very manifest
    that was handed over, the image's or a document's. A `ProgramError` where there is no such answer.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        message = f"--signer {command!r} is no command: {error}"
        raise ProgramError(message) from None
    if not words:
        message = "--signer must name a program"
        raise ProgramError(message)

    def sign(claims: Sequence[Claim]) -> Iterator[Artifact]:
        for claim in claims:
            given = encode_json(claim.what.to_json())
            status, signature = run_program(words, given, _SECONDS, _MAX_SIGNATURE, shows_errors=True)
            if status:
                message = f"{words[0]} failed with exit code {status} on {claim.what.digest}"
                raise ProgramError(message)
            yield make_artifact(claim.what, _media_type(signature, words[0]), signature, _TITLE, {})

    return sign


def _media_type(signature: bytes, program: str) -> str:
    try:
        return parse_json(signature, program).get("mediaType").text()
    except DocumentError as error:
        message = f"{program} printed no signature, which is JSON with a `mediaType`: {error}"
        raise ProgramError(message) from None


def sigstore_signer() -> Signer:
    """Return a signer for the identity that this pipeline has, at Sigstore's public instance.

    An `OCIError` where sigstore is not installed, or where there is no such identity. What it makes are the bundles that
    cosign 3 finds: each refers to the image.
    """
    try:
        from sigstore.errors import Error
        from sigstore.oidc import IdentityToken, detect_credential
    except ImportError:
        message = "--sign needs sigstore: install hatch-oci-image[sign]"
        raise OCIError(message) from None
    try:
        credential = detect_credential()
        identity = IdentityToken(credential) if credential else None
    except Error as error:
        message = f"the identity of this pipeline cannot be told: {_line(error)}"
        raise OCIError(message) from None
    if identity is None:
        message = (
            "--sign needs the identity that a pipeline has, and there is none here\n"
            "On GitHub, give the job `permissions: id-token: write`; with a key of your own, use --signer"
        )
        raise OCIError(message)

    def sign(claims: Sequence[Claim]) -> Iterator[Artifact]:
        from sigstore.dsse import Statement
        from sigstore.models import ClientTrustConfig
        from sigstore.sign import SigningContext

        try:
            context = SigningContext.from_trust_config(ClientTrustConfig.production())
            with context.signer(identity) as signer:
                for claim in claims:
                    bundle = signer.sign_dsse(Statement(claim.statement)).to_json()
                    annotations = {
                        "dev.sigstore.bundle.content": "dsse-envelope",
                        "dev.sigstore.bundle.predicateType": claim.predicate_type,
                    }
                    media_type = json.loads(bundle).get("mediaType", BUNDLE)
                    yield make_artifact(claim.image, media_type, bundle.encode(), _TITLE, annotations)
        # Of sigstore, of the HTTP client that it uses, and of answers that it does not understand.
        except (Error, OSError, ValueError) as error:
            message = f"Sigstore does not sign: {_line(error)}"
            raise OCIError(message) from None

    return sign


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
