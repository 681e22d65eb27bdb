"""`push --sign` where something is amiss: one line tells of it, and what is there is signed wholly or not at all."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from demo.base import digest
from demo.registry import Handler
from hatch_oci.cli import main
from tests.unit.signed import BUNDLE, DOCUMENTS, IMAGE, pipeline, push
from tests.unit.sigstore_log import Key
from tests.unit.sigstore_services import FULCIO, REKOR, REQUEST_TOKEN, TOKEN, Sigstore
from tests.unit.uploads import Uploads, read_body


@pytest.fixture
def sigstore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sigstore]:
    with pipeline(tmp_path, monkeypatch) as services:
        yield services


def answer(status: int, body: bytes) -> Callable[[Handler], None]:
    def reply(request: Handler) -> None:
        read_body(request)
        request.reply(status, body, {"Content-Type": "application/json"})

    return reply


def hang(request: Handler) -> None:
    """Say nothing until the client, or the test, is over; or for as long as a test that fails may take."""
    read_body(request)
    request.connection.settimeout(10)
    request.rfile.read(1)
    request.close_connection = True


FAULTS: dict[str, tuple[tuple[str, str], Callable[[Handler], None], str]] = {
    "Fulcio fails": (
        FULCIO,
        answer(500, b"{}"),
        "FulcioClientError: 500 Server Error: Internal Server Error for url: ",
    ),
    "Fulcio knows no such token": (FULCIO, answer(401, b"no"), "FulcioClientError: 401 Client Error: Unauthorized"),
    "Fulcio says nothing of use": (
        FULCIO,
        answer(201, b"{}"),
        "FulcioClientError: Fulcio response missing certificate",
    ),
    "Fulcio is a web page": (FULCIO, answer(200, b"<html>"), "JSONDecodeError: Expecting value"),
    "Fulcio answers with a list": (FULCIO, answer(200, b"[]"), "TypeError: list indices must be integers"),
    "Rekor fails": (REKOR, answer(500, b"oh"), "RekorClientError: Rekor returned an unknown error with HTTP 500"),
    "Rekor refuses": (REKOR, answer(400, b'{"code": 400, "message": "no"}'), "RekorClientError: 400: no"),
    "Rekor is a web page": (REKOR, answer(200, b"<html>"), "JSONDecodeError: Expecting value"),
    "Rekor says nothing of use": (REKOR, answer(201, b'{"1": {}}'), "KeyError: 'body'"),
    "Rekor hangs": (REKOR, hang, "Sigstore does not sign: TimeoutError: no answer in 0.5 s"),
    "Fulcio hangs": (FULCIO, hang, "Sigstore does not sign: TimeoutError: no answer in 0.5 s"),
}


def assert_unsigned(registry: Uploads, capsys: pytest.CaptureFixture[str], sigstore: Sigstore) -> str:
    """Check that the image is there without signatures, and return the only line that is told of it."""
    output, errors = capsys.readouterr()
    assert output == ""
    (line,) = [one for one in errors.splitlines() if not one.startswith(("Pushing ", "Signing "))]
    start = f"Error: {registry.address}/acme/app has the image, but not signed: "
    assert line.startswith(start)
    assert not any(token in errors for token in (*sigstore.given, REQUEST_TOKEN))
    assert "1.0" in registry.repositories["acme/app"].manifests
    assert {one["artifactType"] for one in registry.referrers("acme/app", digest(IMAGE.manifest))}.isdisjoint({BUNDLE})
    assert not any(b"sigstore" in blob for blob in registry.repositories["acme/app"].blobs.values())
    return line.removeprefix(start)


@pytest.mark.parametrize(("which", "fault", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_service_that_fails_leaves_the_image_unsigned(
    which: tuple[str, str],
    fault: Callable[[Handler], None],
    message: str,
    sigstore: Sigstore,
    registry: Uploads,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if fault is hang:
        monkeypatch.setattr("hatch_oci.trust.sigstore._SECONDS", 0.5)
    sigstore.server.registry.answers[which] = fault
    assert push(registry) == 1
    assert message in assert_unsigned(registry, capsys, sigstore)


def test_a_service_that_fails_at_the_last_leaves_nothing_half_signed(
    sigstore: Sigstore, registry: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail_at_the_last(request: Handler) -> None:
        is_last = sigstore.server.registry.log.count(REKOR) == 1 + len(DOCUMENTS)
        (answer(500, b"") if is_last else sigstore.rekor.answer)(request)

    sigstore.server.registry.answers[REKOR] = fail_at_the_last
    assert push(registry) == 1
    assert "HTTP 500" in assert_unsigned(registry, capsys, sigstore)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda sigstore: setattr(sigstore.fulcio, "log", Key()), "VerificationError: SCT verify failed"),
        (lambda sigstore: setattr(sigstore.rekor, "key", Key()), "VerificationError: invalid log entry"),
        (lambda sigstore: setattr(sigstore.fulcio, "issuer", "https://x.example"), "OIDCIssuer does not match"),
    ],
    ids=["log of certificates", "log of signatures", "issuer"],
)
def test_what_others_would_refuse_is_not_pushed(
    change: Callable[[Sigstore], None],
    message: str,
    sigstore: Sigstore,
    registry: Uploads,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """sigstore takes most of what it is told when it signs; whoever verifies it does not."""
    change(sigstore)
    assert push(registry) == 1
    assert message in assert_unsigned(registry, capsys, sigstore)


def test_a_token_that_a_service_repeats_is_not_told(
    sigstore: Sigstore, registry: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    def repeat(request: Handler) -> None:
        answer(400, json.dumps({"code": 400, "message": f"no: {sigstore.given[-1]}!"}).encode())(request)

    sigstore.server.registry.answers[REKOR] = repeat
    assert push(registry, "--sign", "--trust-config", "trust.json", "-v") == 1
    errors = capsys.readouterr().err
    assert "Traceback" in errors
    assert errors.endswith("RekorClientError: 400: no: ***!\n")
    assert not any(token in errors for token in (*sigstore.given, REQUEST_TOKEN))


def test_an_answer_without_end_is_cut_short(
    sigstore: Sigstore, registry: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {"code": 400, "message": "no" * 10_000}
    sigstore.server.registry.answers[REKOR] = answer(400, json.dumps(said).encode())
    assert push(registry) == 1
    assert len(assert_unsigned(registry, capsys, sigstore)) == 300


def test_a_password_in_the_url_of_a_service_is_not_told(
    sigstore: Sigstore, registry: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    config = sigstore.trust_config
    for service in config["signingConfig"]["caUrls"]:
        service["url"] = service["url"].replace("//", "//user:s3cr3t@")
    Path("trust.json").write_text(json.dumps(config))
    sigstore.server.registry.answers[FULCIO] = answer(403, b"no")
    assert push(registry) == 1
    assert " for url: http://***@127.0.0.1:" in assert_unsigned(registry, capsys, sigstore)


def assert_nothing_is_pushed(registry: Uploads, capsys: pytest.CaptureFixture[str], sigstore: Sigstore) -> str:
    """Return the only line that is told."""
    output, errors = capsys.readouterr()
    assert output == ""
    assert registry.repositories == {}
    assert not any(token in errors for token in (*sigstore.given, REQUEST_TOKEN))
    (line,) = errors.splitlines()
    return line


def repeat_the_request(request: Handler) -> None:
    request.reply(403, f"not with {request.headers['Authorization']}".encode())


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (repeat_the_request, "GitHub: OIDC token request failed (code=403, body='not with ***"),
        (answer(500, b"\xff"), "UnicodeDecodeError: "),
        (answer(200, b"[]"), "GitHub: malformed or incomplete JSON"),
        (answer(200, b'{"value": "x"}'), "Malformed token"),
    ],
    ids=["refused", "no text", "of another form", "no token"],
)
def test_an_identity_that_is_not_given_is_told_of_before_anything_is_pushed(
    fault: Callable[[Handler], None],
    message: str,
    sigstore: Sigstore,
    registry: Uploads,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sigstore.server.registry.answers[TOKEN] = fault
    assert push(registry) == 1
    line = assert_nothing_is_pushed(registry, capsys, sigstore)
    assert line.startswith("Error: the identity of this pipeline cannot be told: ")
    assert message in line


def test_a_token_that_is_not_valid_any_more_is_told_of(
    sigstore: Sigstore, registry: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    sigstore.lifetime = timedelta(minutes=-1)
    assert push(registry) == 1
    line = assert_nothing_is_pushed(registry, capsys, sigstore)
    assert line.startswith("Error: the identity of this pipeline cannot be told: ")
    assert line.endswith("Signature has expired")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Error: cannot use trust.json: No such file or directory"),
        ("{}", "Error: trust.json tells of no Sigstore: ValidationError: "),
        ("\xff", "Error: trust.json tells of no Sigstore: ValidationError: "),
    ],
    ids=["missing", "of another form", "no text"],
)
def test_a_trust_config_that_cannot_be_read_is_told_of_before_anything_is_pushed(
    content: str | None, message: str, sigstore: Sigstore, registry: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path("trust.json")
    path.unlink() if content is None else path.write_text(content, "latin-1")
    assert push(registry) == 1
    assert assert_nothing_is_pushed(registry, capsys, sigstore).startswith(message)


def test_a_trust_config_without_a_service_that_signs_is_told_of(
    sigstore: Sigstore, registry: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    config = sigstore.trust_config
    config["signingConfig"]["rekorTlogUrls"] = []
    Path("trust.json").write_text(json.dumps(config))
    assert push(registry) == 1
    line = assert_nothing_is_pushed(registry, capsys, sigstore)
    assert line.endswith("No valid Rekor transparency log found in signing config")


@pytest.mark.parametrize("proxy", ["user:s3cr3t/x@127.0.0.1:1", "user:s3cr3t@127.0.0.1:99999"])
def test_a_password_in_what_is_no_url_of_a_proxy_is_not_told(
    proxy: str,
    sigstore: Sigstore,
    registry: Uploads,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{proxy}")
    assert push(registry) == 1
    line = assert_nothing_is_pushed(registry, capsys, sigstore)
    assert line == "Error: HTTP_PROXY must be the URL of an HTTP proxy, like http://proxy.example:3128"


def test_an_identity_that_is_waited_for_too_long_is_told_of(
    sigstore: Sigstore, registry: Uploads, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hatch_oci.trust.sigstore._SECONDS", 0.5)
    sigstore.server.registry.answers[TOKEN] = hang
    assert push(registry) == 1
    line = assert_nothing_is_pushed(registry, capsys, sigstore)
    assert line == "Error: the identity of this pipeline cannot be told: TimeoutError: no answer in 0.5 s"


def test_what_lacks_to_sign_is_told_of_before_anything_is_built(
    sigstore: Sigstore, registry: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    to = f"{registry.address}/acme/app"
    assert main(["push", "--build", "--to", to, "--sign", "--trust-config", "missing.json"]) == 1
    line = assert_nothing_is_pushed(registry, capsys, sigstore)
    assert line == "Error: cannot use missing.json: No such file or directory"


def test_a_trust_config_goes_with_sign(
    sigstore: Sigstore, registry: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push(registry, "--trust-config", "trust.json") == 1
    assert assert_nothing_is_pushed(registry, capsys, sigstore) == "Error: --trust-config goes with --sign"


def test_a_public_instance_that_is_out_of_reach_is_told_of_before_anything_is_pushed(
    sigstore: Sigstore, registry: Uploads, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as closed:
        # Nobody listens there.
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed.getsockname()[1]}")
        assert push(registry, "--sign") == 1
    line = assert_nothing_is_pushed(registry, capsys, sigstore)
    assert line.startswith("Error: Sigstore's public instance is not found: TUFError: Failed to refresh TUF metadata: ")
