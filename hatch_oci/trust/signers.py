"""Who signs: a program that knows a key."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence

from hatch_oci.errors import DocumentError, ProgramError
from hatch_oci.image.artifact import Artifact, make_artifact
from hatch_oci.image.document import encode_json, parse_json
from hatch_oci.program import run_program
from hatch_oci.trust.claims import Claim

Signer = Callable[[Sequence[Claim]], Iterator[Artifact]]
"""Returns a signature of each claim, as an artifact that refers to what it is about."""

_TITLE = "signature.json"
_SECONDS = 300.0
"""A program may ask its user to touch a key."""

_MAX_SIGNATURE = 4 * 1024 * 1024


def program_signer(command: str) -> Signer:
    """Return a signer that hands a descriptor, as JSON, to a program, and takes what it prints for a signature.

    A signature is JSON that says what it is as its `mediaType`, as Sigstore's bundles do. It refers to the very
    manifest that was handed over, the image's or a document's. A `ProgramError` where there is no such answer.
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
