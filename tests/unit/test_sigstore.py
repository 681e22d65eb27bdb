"""`push --sign`, against a Sigstore of the test's own: its verifier judges what is beside the image afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sigstore.errors import VerificationError
from sigstore.models import Bundle

from demo.base import digest
from demo.registry import Handler
from tests.unit.attached import documents
from tests.unit.bases import small_image
from tests.unit.locked import BOTH, ONE, made, record
from tests.unit.signed import (
    BUNDLE,
    CYCLONEDX,
    DOCUMENTS,
    IMAGE,
    PROVENANCE,
    SIGNATURE,
    SPDX,
    bundles,
    layout,
    pipeline,
    push,
    verified,
)
from tests.unit.sigstore_services import IDENTITY, Sigstore, serve_sigstore
from tests.unit.test_sbom import BOTH_FORMATS
from tests.unit.uploads import Uploads, read_body, serve_uploads


@pytest.fixture(params=[False, True], ids=["fallback tag", "referrers API"])
def registry(request: pytest.FixtureRequest) -> Iterator[Uploads]:
    with serve_uploads() as uploads:
        uploads.lists_referrers = request.param
        yield uploads


@pytest.fixture
def sigstore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sigstore]:
    with pipeline(tmp_path, monkeypatch) as services:
        yield services


@pytest.mark.parametrize("table", [ONE, BOTH], ids=["image", "index"])
def test_image_and_documents_are_signed(
    table: str, registry: Uploads, sigstore: Sigstore, locked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = made(locked, f"{table}\n{BOTH_FORMATS}")
    assert push(registry, built=result) == 0
    pushed, said = json.loads(capsys.readouterr().out), record(result)
    expected: dict[tuple[str, str], Any] = {(said["digest"], SIGNATURE): {}}
    for platform, image in said["platforms"].items():
        lists = documents(result, platform)
        expected[image["digest"], CYCLONEDX] = lists["application/vnd.cyclonedx+json"]
        expected[image["digest"], SPDX] = lists["application/spdx+json"]
        expected[image["digest"], PROVENANCE] = lists["application/vnd.in-toto+json"]["predicate"]
    assert len(pushed["signatures"]) == len(expected) == (7 if table == BOTH else 4)
    found = {}
    for subject in {subject for subject, _ in expected}:
        for bundle in bundles(registry, subject):
            statement = verified(bundle, subject, sigstore)
            found[subject, statement["predicateType"]] = statement["predicate"]
    assert found == expected
    # One certificate for all of them, of a token that was asked for after the image was pushed.
    assert sigstore.fulcio.presented == sigstore.given[1:]
    assert len(sigstore.given) == 2


def test_the_form_is_that_of_cosign(registry: Uploads, sigstore: Sigstore) -> None:  # noqa: ARG001
    """As its BUNDLE_SPEC.md has it."""
    assert push(registry) == 0
    signed = [one for one in registry.referrers("acme/app", digest(IMAGE.manifest)) if one["artifactType"] == BUNDLE]
    assert {one["annotations"]["dev.sigstore.bundle.predicateType"] for one in signed} == {SIGNATURE, *DOCUMENTS}
    for manifest in signed:
        assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
        assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
        assert manifest["annotations"]["dev.sigstore.bundle.content"] == "dsse-envelope"
        (layer,) = manifest["layers"]
        assert layer["mediaType"] == BUNDLE
        title = layer["digest"].replace(":", "-") + ".sigstore.json"
        assert layer["annotations"] == {"org.opencontainers.image.title": title}
        bundle = json.loads(registry.repositories["acme/app"].blobs[layer["digest"]])
        assert bundle["mediaType"] == BUNDLE
        statement = json.loads(Bundle.from_json(json.dumps(bundle))._dsse_envelope._inner.payload)  # type: ignore[union-attr]
        assert statement["predicateType"] == manifest["annotations"]["dev.sigstore.bundle.predicateType"]
    if not registry.lists_referrers:
        listed = json.loads(
            registry.repositories["acme/app"].manifests[digest(IMAGE.manifest).replace(":", "-")].content
        )
        assert [one["annotations"] for one in listed["manifests"] if one["artifactType"] == BUNDLE] == [
            one["annotations"] for one in signed
        ]


def test_what_is_not_so_is_refused(registry: Uploads, sigstore: Sigstore) -> None:
    """The judge of the other tests can say no."""
    assert push(registry) == 0
    subject, other = digest(IMAGE.manifest), digest(small_image("etc/other").manifest)
    for bundle in bundles(registry, subject):
        with pytest.raises(VerificationError, match="another image"):
            verified(bundle, other, sigstore)
        with pytest.raises(VerificationError, match="SANs do not match"):
            verified(bundle, subject, sigstore, identity=IDENTITY.replace("main", "dev"))
        with pytest.raises(VerificationError, match="OIDCIssuer does not match"):
            verified(bundle, subject, sigstore, issuer="https://gitlab.com")
        changed = json.loads(bundle)
        changed["dsseEnvelope"]["payload"] = changed["dsseEnvelope"]["payload"].replace("e", "f", 1)
        with pytest.raises(VerificationError, match="invalid signature"):
            verified(json.dumps(changed), subject, sigstore)
        with serve_sigstore() as stranger, pytest.raises(VerificationError):
            verified(bundle, subject, stranger)


def test_a_timestamp_authority_that_fails_does_no_harm_where_the_log_tells_the_time(
    sigstore: Sigstore, registry: Uploads
) -> None:
    def refuse(request: Handler) -> None:
        read_body(request)
        request.send_response(405, "\x1b[31mno")
        request.send_header("Content-Length", "0")
        request.end_headers()

    sigstore.server.registry.answers["POST", "/timestamp"] = refuse
    config = sigstore.trust_config
    config["signingConfig"]["tsaUrls"] = [{**config["signingConfig"]["caUrls"][0], "url": f"{sigstore.url}/timestamp"}]
    Path("trust.json").write_text(json.dumps(config))
    # As a process of its own, which prints what nobody else takes.
    command = [
        sys.executable,
        "-m",
        "hatch_oci",
        "push",
        str(layout()),
        "--to",
        f"{registry.address}/acme/app",
        "--sign",
    ]
    done = subprocess.run([*command, "--trust-config", "trust.json", "-q"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert ("POST", "/timestamp") in sigstore.server.registry.log
    subject = digest(IMAGE.manifest)
    found = {verified(one, subject, sigstore)["predicateType"] for one in bundles(registry, subject)}
    assert found == {SIGNATURE, *DOCUMENTS}
