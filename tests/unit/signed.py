"""Small images with documents, pushed and signed by the test's own Sigstore, and what its verifier says of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sigstore.errors import VerificationError
from sigstore.models import Bundle, ClientTrustConfig
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity

from hatch_oci.cli import main
from hatch_oci.image.artifact import make_artifact
from hatch_oci.output.layout import layout_files
from hatch_oci.output.layout import write_layout as write_own
from hatch_oci.output.reading import read_layout
from hatch_oci.trust.provenance import make_statement
from tests.unit.bases import small_image
from tests.unit.layouts import write_layout
from tests.unit.sigstore_services import IDENTITY, ISSUER, Sigstore, serve_sigstore
from tests.unit.uploads import Uploads

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGNATURE = "https://sigstore.dev/cosign/sign/v1"
CYCLONEDX = "https://cyclonedx.org/bom"
SPDX = "https://spdx.dev/Document"
PROVENANCE = "https://slsa.dev/provenance/v1"
IMAGE = small_image()
DOCUMENTS: dict[str, dict[str, Any]] = {
    CYCLONEDX: {"bomFormat": "CycloneDX"},
    SPDX: {"spdxVersion": "SPDX-2.3"},
    PROVENANCE: {"runDetails": {}},
}


@contextmanager
def pipeline(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sigstore]:
    """Work in an empty folder as a job of a pipeline, which has a Sigstore."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HATCH_OCI_CACHE_DIR", str(folder / "cache"))
    with serve_sigstore() as sigstore:
        for name, value in sigstore.environment.items():
            monkeypatch.setenv(name, value)
        (folder / "trust.json").write_text(json.dumps(sigstore.trust_config))
        yield sigstore


def layout() -> Path:
    """Write the image with what a build makes about it, and return where."""
    plain = read_layout(write_layout(Path("plain"), [IMAGE], tags=["1.0"]))
    subject = plain.manifests[0].descriptor
    contents = {
        "application/vnd.cyclonedx+json": json.dumps(DOCUMENTS[CYCLONEDX]).encode(),
        "application/spdx+json": json.dumps(DOCUMENTS[SPDX]).encode(),
        "application/vnd.in-toto+json": make_statement("app", subject.digest, PROVENANCE, DOCUMENTS[PROVENANCE]),
    }
    artifacts = [make_artifact(subject, kind, content, "x", {}) for kind, content in contents.items()]
    target = Path("app-1.0.oci")
    write_own(target, layout_files(replace(plain.to_write(), artifacts=artifacts)))
    return target


def push(registry: Uploads, *options: str, built: Path | None = None) -> int:
    """Push the image, or what was built, signed by the test's own Sigstore unless other `options` are given."""
    signed = options or ("--sign", "--trust-config", "trust.json")
    return main(["push", str(built or layout()), "--to", f"{registry.address}/acme/app", "--json", *signed])


def bundles(registry: Uploads, subject: str) -> list[str]:
    """Return the bundles that are found from a manifest, as Sigstore's tools find them."""
    blobs = registry.repositories["acme/app"].blobs
    found = [one for one in registry.referrers("acme/app", subject) if one["artifactType"] == BUNDLE]
    return [blobs[one["layers"][0]["digest"]].decode() for one in found]


def verified(
    bundle: str, subject: str, sigstore: Sigstore, identity: str = IDENTITY, issuer: str = ISSUER
) -> dict[str, Any]:
    """Return the statement of a bundle that is about a manifest, and was made for an identity."""
    root = ClientTrustConfig.from_json(json.dumps(sigstore.trust_config)).trusted_root
    policy = Identity(identity=identity, issuer=issuer)
    kind, payload = Verifier(trusted_root=root).verify_dsse(Bundle.from_json(bundle), policy)
    assert kind == "application/vnd.in-toto+json"
    statement: dict[str, Any] = json.loads(payload)
    if [one["digest"] for one in statement["subject"]] != [{"sha256": subject.removeprefix("sha256:")}]:
        message = "of another image"
        raise VerificationError(message)
    return statement
