from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_oci.registry.said import said
from tests.unit.documents import JSON_VALUES


def error(message: Any, **fields: Any) -> bytes:
    return json.dumps({"errors": [{"code": "DENIED", "message": message, **fields}]}).encode()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"errors": [{"code": "DENIED", "message": "no access"}]}', ": no access"),
        (b'{"errors": [{"code": "DENIED", "message": "", "detail": "why"}]}', ": why"),
        (b'{"errors": [{"code": "DENIED", "message": null}]}', ": DENIED"),
        (b'{"errors": [{"code": "DENIED", "detail": {"Type": "repository"}}]}', ": DENIED"),
        (b'{"errors": [{"message": "one"}, 5, {"message": "two"}]}', ": one; two"),
        (b'{"details": "incorrect username or password"}', ": incorrect username or password"),
        (b'{"error": "invalid_grant", "error_description": "expired"}', ": expired"),
        (b'{"error": "invalid_grant"}', ": invalid_grant"),
        (b'{"message": "Bad credentials", "errors": null}', ": Bad credentials"),
        (b'{"message": "Bad credentials", "errors": {}}', ": Bad credentials"),
        (b"<?xml version='1.0'?><Error><Code>SignatureDoesNotMatch</Code><Message>hidden", ": SignatureDoesNotMatch"),
    ],
)
def test_what_a_registry_says_is_told(body: bytes, text: str) -> None:
    assert said(body) == text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><h1>hidden</h1></html>",
        b"hidden",
        b'"hidden"',
        b"[]",
        b"{}",
        b'{"errors": []}',
        b'{"errors": [], "message": "hidden"}',
        b'{"errors": ["hidden"]}',
        b'{"other": "hidden"}',
        b'{"message": ["hidden"]}',
        b'{"message": " \\n\\u0001 "}',
        b'{"message": "hidden", "message": "hidden"}',
        b"<Code>hidden token=5</Code>",
        b"<Code></Code>",
        pytest.param(b"<Code>" + b"x" * 61 + b"</Code>", id="long code"),
        pytest.param(b'{"a":' * 100_000, id="deep"),
        b'\xff{"message": "hidden"}',
    ],
)
def test_nothing_is_told_of_what_says_nothing(body: bytes) -> None:
    assert said(body) == ""


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("a\nb\r\nc\td", "a b c d"),
        ("\x1b[31mred\x1b[0m\x07", "[31mred [0m"),
        ("\u202ereversed\u2028zürich\x7f\x85", "reversed z rich"),
        ("  spaces   inside  ", "spaces inside"),
    ],
)
def test_a_message_is_one_line_of_printable_characters(message: str, text: str) -> None:
    assert said(error(message)) == f": {text}"


def test_a_message_is_cut_at_200_characters() -> None:
    assert said(error("x" * 200)) == f": {'x' * 200}"
    assert said(error("x" * 201)) == f": {'x' * 200}"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("token hidden is stale, hidden", "token *** is stale, ***"),
        ("see https://r.example/v2/?X-Signature=hidden for more", "see https://r.example/v2/?*** for more"),
        ("https://r.example/?a=hidden&b=hidden\nhttp://s.example/?c=x", "https://r.example/?*** http://s.example/?***"),
        ("Authorization: Bearer hidden is wrong", "Authorization: Bearer *** is wrong"),
        ("bearer  hidden; BASIC\thidden", "bearer *** BASIC ***"),
        ("the basics of a bearer", "the basics of a bearer"),
        # Below are secrets that this side does not know.
        ("log in at https://ann:unknown@r.example/v2/", "log in at https://***@r.example/v2/"),
        ("http://unknown@r.example", "http://***@r.example"),
        ("Bearer\x01unknown", "Bearer ***"),
        ("Basic\u200bunknown", "Basic ***"),
    ],
)
def test_secrets_are_blotted_out(message: str, text: str) -> None:
    assert said(error(message), ["hidden"]) == f": {text}"


def test_each_secret_is_blotted_out_wherever_it_stands() -> None:
    body = json.dumps({"errors": [{"message": "p$(x) 1"}, {"code": "t.k\\n"}]}).encode()
    assert said(body, {"p$(x)", "t.k\\n"}) == ": *** 1; ***"
    assert said(b"<Code>HiddenToken</Code>", ["Hidden"]) == ": ***Token"


def test_a_secret_that_holds_another_is_blotted_out_whole() -> None:
    for secrets in (["part", "part-of-it"], ["part-of-it", "part"]):
        assert said(error("part-of-it and part"), secrets) == ": *** and ***"


def test_a_secret_across_the_end_is_blotted_out_before_it_is_cut() -> None:
    assert "hidden"[:3] not in said(error("x" * 197 + "hidden"), ["hidden"])


def test_a_secret_with_spaces_is_blotted_out_however_they_are_written() -> None:
    assert said(error("it was pass\tphrase"), ["pass phrase"]) == ": it was ***"


@pytest.mark.parametrize("repeated", ["a/b+c d==", "a%2Fb%2Bc%20d%3D%3D", "a%2fb%2bc%20d%3d%3d", "a%2Fb%2Bc+d%3D%3D"])
def test_a_secret_is_blotted_out_as_a_form_writes_it(repeated: str) -> None:
    assert said(error(f"bad form token={repeated}&x"), ["a/b+c d=="]) == ": bad form token=***&x"


def test_base64_is_blotted_out_without_its_padding_too() -> None:
    assert said(error("user bWU6c2VjcmV0dw"), ["bWU6c2VjcmV0dw=="]) == ": user ***"


SECRETS = st.lists(st.from_regex(r"[A-Za-z0-9+/=_.-]{8,40}", fullmatch=True), max_size=3)


@given(st.data())
def test_whatever_is_said_is_short_printable_and_holds_no_secret(data: st.DataObject) -> None:
    secrets = data.draw(SECRETS)
    pieces = st.text() | st.sampled_from([*secrets, " ", "?", "Bearer ", "https://a:b@c/?d", "x" * 199])
    texts = st.lists(pieces).map("".join)
    errors = st.fixed_dictionaries({}, optional={"message": texts, "code": texts, "detail": texts})
    documents = st.fixed_dictionaries({}, optional={"errors": st.lists(errors | JSON_VALUES), "message": texts})
    body = data.draw(
        documents.map(json.dumps).map(str.encode)
        | JSON_VALUES.map(json.dumps).map(str.encode)
        | st.binary()
        | texts.map("<Code>{}</Code>".format).map(str.encode)
    )
    text = said(body, secrets)
    assert len(text) <= 202
    assert text.isascii()
    assert text.isprintable()
    assert not text or text.startswith(": ")
    assert [secret for secret in secrets if secret in text] == []
