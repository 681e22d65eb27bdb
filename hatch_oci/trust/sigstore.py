"""Sigstore signs: for the identity of the pipeline that this runs in, without a key that anybody keeps."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hatch_oci.errors import OCIError
from hatch_oci.image.artifact import Artifact, make_artifact
from hatch_oci.image.digest import Digest
from hatch_oci.registry.proxies import find_proxy
from hatch_oci.trust.claims import Claim
from hatch_oci.trust.signers import Signer

if TYPE_CHECKING:
    from sigstore.models import Bundle
    from sigstore.oidc import IdentityToken
    from sigstore.sign import SigningContext
    from sigstore.verify import Verifier

_T = TypeVar("_T")

_SECONDS = 300.0
"""For all signatures, and for what is asked before; a certificate is valid for twice as long."""

_LONGEST = 300
_SECRET = re.compile(r"(?i:\bbearer\s+\S+)|\beyJ[\w.-]+|(?<=//)[^\s/@]*(?=@)")


def sigstore_signer(trust_config: Path | None = None) -> Signer:
    """Return a signer for this pipeline's identity, at Sigstore's public instance, or one that a file tells of.

    An `OCIError` where sigstore is not installed, where there is no such identity, or no such instance. What it makes
    are the bundles that cosign 3 finds (cosign's specs/BUNDLE_SPEC.md): each refers to the image.
    """
    try:
        import sigstore  # noqa: F401 - whether it is there
    except ImportError:
        message = "--sign needs sigstore: install hatch-oci-image[sign]"
        raise OCIError(message) from None
    for library in ("sigstore", "tuf"):
        # Else Python prints what they log, such as the words of a server.
        logging.getLogger(library).addHandler(logging.NullHandler())
    for scheme in ("http", "https"):
        # Theirs would repeat a password in what is no URL.
        find_proxy(scheme, "sigstore", 0, os.environ)
    _identity()
    context, verifier = _instance(trust_config)

    def sign(claims: Sequence[Claim]) -> Iterator[Artifact]:
        # Asked for once more: it is valid for minutes, and the push may have taken longer.
        identity = _identity()
        with _told("Sigstore does not sign"):
            bundles = _in_time(lambda: _bundles(claims, identity, context, verifier))
        return (_artifact(claim, bundle.to_json()) for claim, bundle in zip(claims, bundles, strict=True))

    return sign


def _identity() -> IdentityToken:
    from sigstore.oidc import IdentityToken, detect_credential

    with _told("the identity of this pipeline cannot be told"):
        credential = _in_time(detect_credential)
        if credential:
            return IdentityToken(credential)
    message = (
        "--sign needs the identity that a pipeline has, and there is none here\n"
        "On GitHub, give the job `permissions: id-token: write`; with a key of your own, use --signer"
    )
    raise OCIError(message)


def _instance(trust_config: Path | None) -> tuple[SigningContext, Verifier]:
    """Return the services that sign, and what they are trusted by."""
    from sigstore.models import ClientTrustConfig
    from sigstore.sign import SigningContext
    from sigstore.verify import Verifier

    text = trust_config.read_text("utf-8", "replace") if trust_config else None
    with _told(f"{trust_config} tells of no Sigstore" if trust_config else "Sigstore's public instance is not found"):
        config = _in_time(ClientTrustConfig.production) if text is None else ClientTrustConfig.from_json(text)
        return SigningContext.from_trust_config(config), Verifier(trusted_root=config.trusted_root)


def _bundles(
    claims: Sequence[Claim], identity: IdentityToken, context: SigningContext, verifier: Verifier
) -> list[Bundle]:
    """Return each claim's signature, which others will take for one: not all that services answer is checked before."""
    from sigstore.dsse import Statement
    from sigstore.verify.policy import OIDCIssuer

    with context.signer(identity) as signer:
        bundles = [signer.sign_dsse(Statement(claim.statement)) for claim in claims]
    for bundle in bundles:
        verifier.verify_dsse(bundle, OIDCIssuer(identity.federated_issuer))
    return bundles


def _in_time(work: Callable[[], _T]) -> _T:
    """Return what `work` returns, or raise a `TimeoutError`: sigstore's clients would wait forever."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - raised below
            future.set_exception(error)

    # A daemon: nobody waits for it in the end.
    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(_SECONDS)
    except TimeoutError:
        if future.done():
            raise
        message = f"no answer in {_SECONDS:g} s"
        raise TimeoutError(message) from None


def _artifact(claim: Claim, bundle: str) -> Artifact:
    content = bundle.encode()
    digest = Digest.of(content)
    annotations = {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": claim.predicate_type,
    }
    title = f"{digest.algorithm}-{digest.hex}.sigstore.json"
    return make_artifact(claim.image, json.loads(bundle)["mediaType"], content, title, annotations)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Make an `OCIError` of what goes wrong, in a line without the tokens that a service may have repeated.

    The errors of sigstore's clients have no base in common, and of an answer in another form they raise anything.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see above
        said = [" ".join(str(one).split()) for one in (error, error.__cause__) if one]
        text = ": ".join(dict.fromkeys([what, type(error).__name__, *filter(None, said)]))
        message = _SECRET.sub("***", text)[:_LONGEST]
        raise OCIError(message) from None
