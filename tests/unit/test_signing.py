"""Signatures: what a signer is given, and what is beside the image afterwards."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from demo.base import digest
from hatch_oci.cli import main
from hatch_oci.image.artifact import make_artifact
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.output.layout import layout_files
from hatch_oci.output.layout import write_layout as write_own
from hatch_oci.output.reading import read_layout
from hatch_oci.trust.claims import claims_of
from tests.unit.bases import small_image
from tests.unit.layouts import write_layout
from tests.unit.uploads import Uploads, serve_uploads

IMAGE = small_image()
DIGEST = digest(IMAGE.manifest)
STATEMENT = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [],
    "predicateType": "https://slsa.dev/provenance/v1",
}
DOCUMENTS = {
    "application/vnd.cyclonedx+json": b'{"bomFormat": "CycloneDX"}',
    "application/spdx+json": b'{"spdxVersion": "SPDX-2.3"}',
    "application/vnd.in-toto+json": json.dumps(STATEMENT).encode(),
}
SIGNER = """
import base64, json, pathlib, sys
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

given = sys.stdin.buffer.read()
key = serialization.load_pem_private_key(pathlib.Path(sys.argv[1]).read_bytes(), None)
signature = key.sign(given, ec.ECDSA(hashes.SHA256()))
print("touch the key", file=sys.stderr)
print(json.dumps({"mediaType": "application/vnd.example.signature+json", "of": given.decode(),
                  "signature": base64.b64encode(signature).decode()}))
"""


@pytest.fixture(params=[False, True], ids=["fallback tag", "referrers API"])
def registry(request: pytest.FixtureRequest) -> Iterator[Uploads]:
    with serve_uploads() as uploads:
        uploads.lists_referrers = request.param
        yield uploads


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with an empty cache, in no pipeline."""
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HATCH_OCI_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "BUILDKITE", "GOOGLE_SERVICE_ACCOUNT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture(autouse=True)
def layout(folder: Path) -> Path:
    """Write the image where a build does, with documents."""
    plain = read_layout(write_layout(folder / "plain", [IMAGE], tags=["1.0"]))
    artifacts = [make_artifact(plain.manifests[0].descriptor, kind, raw, "x", {}) for kind, raw in DOCUMENTS.items()]
    target = folder / "dist" / "app-1.0.oci"
    target.parent.mkdir()
    write_own(target, layout_files(replace(plain.to_write(), artifacts=artifacts)))
    return target


@pytest.fixture
def key(tmp_path: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return key


def program(scratch: Path, text: str) -> str:
    path = scratch / "a signer.py"
    path.write_text(text)
    return f"'{sys.executable}' '{path}' '{scratch / 'key.pem'}'"


def test_a_program_signs_image_and_documents(
    registry: Uploads, key: ec.EllipticCurvePrivateKey, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    to = f"{registry.address}/acme/app"
    assert main(["push", "--to", to, "--signer", program(tmp_path, SIGNER), "--json"]) == 0
    output, errors = capfd.readouterr()
    assert errors.count("touch the key") == 4
    assert "Signing the image and 3 documents" in errors
    pushed = json.loads(output)
    blobs = registry.repositories["acme/app"].blobs
    signed = []
    for subject in (DIGEST, *pushed["referrers"]):
        (manifest,) = [one for one in registry.referrers("acme/app", subject) if "signature" in one["artifactType"]]
        (layer,) = manifest["layers"]
        assert layer["mediaType"] == manifest["artifactType"] == "application/vnd.example.signature+json"
        signature = json.loads(blobs[layer["digest"]])
        assert json.loads(signature["of"]) == manifest["subject"]
        assert manifest["subject"]["digest"] == subject
        key.public_key().verify(
            base64.b64decode(signature["signature"]), signature["of"].encode(), ec.ECDSA(hashes.SHA256())
        )
        signed.append(subject)
    assert len(signed) == len(pushed["signatures"]) == 4


def test_what_is_signed_is_what_cosign_looks_for(layout: Path) -> None:
    image = read_layout(layout)
    top = Descriptor(image.top.media_type, image.top.digest, len(image.top.raw))
    claims = list(claims_of(top, image.artifacts, "r.example/app"))
    assert [claim.predicate_type for claim in claims] == [
        *("https://sigstore.dev/cosign/sign/v1", "https://cyclonedx.org/bom", "https://spdx.dev/Document"),
        "https://slsa.dev/provenance/v1",
    ]
    assert {claim.image.digest for claim in claims} == {Digest.parse(DIGEST)}
    for claim, predicate in zip(claims[:3], [{}, *map(json.loads, list(DOCUMENTS.values())[:2])], strict=True):
        statement = json.loads(claim.statement)
        assert statement["_type"] == "https://in-toto.io/Statement/v1"
        assert statement["subject"] == [{"name": "r.example/app", "digest": {"sha256": DIGEST.removeprefix("sha256:")}}]
        assert (statement["predicateType"], statement["predicate"]) == (claim.predicate_type, predicate)
    # As it lies there: what else its signature would be of is not what was built.
    assert claims[3].statement == DOCUMENTS["application/vnd.in-toto+json"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import sys; sys.exit(3)", "failed with exit code 3 on sha256:"),
        ("print('{}')", "printed no signature, which is JSON with a `mediaType`"),
        ("print('signed')", "printed no signature, which is JSON with a `mediaType`"),
        ('print(\'{"mediaType": "x/y"}\' * 400_000)', "answered with more than 4194304 bytes"),
    ],
    ids=["fails", "of another form", "no JSON", "too much"],
)
def test_a_signer_that_does_not_sign_leaves_the_image_without_signatures(
    script: str, message: str, registry: Uploads, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = f"{registry.address}/acme/app"
    assert main(["push", "--to", to, "--signer", program(tmp_path, script), "-q"]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith(f"Error: {to} has the image, but not signed: ")
    assert message in errors
    assert len(errors.splitlines()) == 1
    assert all("example.signature" not in one["artifactType"] for one in registry.referrers("acme/app", DIGEST))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "--signer must name a program"),
        ("'", '--signer "\'" is no command: No closing quotation'),
    ],
)
def test_a_signer_that_is_no_command_is_told_of_before_anything_is_pushed(
    command: str, message: str, registry: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", "--to", f"{registry.address}/acme/app", "--signer", command]) == 1
    assert capsys.readouterr().err == f"Error: {message}\n"
    assert registry.repositories == {}


def test_without_the_identity_of_a_pipeline_nothing_is_pushed(
    registry: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", "--to", f"{registry.address}/acme/app", "--sign"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Error: --sign needs the identity that a pipeline has, and there is none here"
    assert len(lines) == 2
    assert registry.repositories == {}


def test_without_sigstore_nothing_is_pushed(
    registry: Uploads, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # How Python notes that there is no such module.
    monkeypatch.setitem(sys.modules, "sigstore", None)
    assert main(["push", "--to", f"{registry.address}/acme/app", "--sign"]) == 1
    assert capsys.readouterr().err == "Error: --sign needs sigstore: install hatch-oci-image[sign]\n"
    assert registry.repositories == {}


def test_an_identity_that_a_pipeline_does_not_give_is_told_of(
    registry: Uploads, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on GitHub, where the job lacks a permission, or the service fails."""
    # One that knows of no tokens.
    with serve_uploads() as service:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "hidden")
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"http://{service.address}/token?x=1")
        assert main(["push", "--to", f"{registry.address}/acme/app", "--sign"]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("Error: the identity of this pipeline cannot be told: ")
    assert "hidden" not in errors
    assert len(errors.splitlines()) == 1
    assert registry.repositories == {}
