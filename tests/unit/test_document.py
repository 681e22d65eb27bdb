from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_oci.errors import DocumentError
from hatch_oci.image.document import Node, encode_json, parse_json
from tests.unit.documents import JSON_VALUES, value_or_message


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b' [1, -2.5, "x", null, true] \n', [1, -2.5, "x", None, True]),
        ('"ü€😀"'.encode(), "ü€😀"),
        (rb'"\u00fc\ud83d\ude00"', "ü😀"),
        (b'{"a": {"a": 1}, "b": {"a": 2}}', {"a": {"a": 1}, "b": {"a": 2}}),
        (b"12345678901234567890123", 12345678901234567890123),
    ],
)
def test_json_is_read(raw: bytes, value: Any) -> None:
    assert parse_json(raw, "it") == Node(value, "it")


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "not valid JSON: Expecting value"),
        (b"<html>please log in</html>", "not valid JSON: Expecting value"),
        (b"{} {}", "not valid JSON: Extra data"),
        (b"{}\0", "not valid JSON: Extra data"),
        (b"{'a': 1}", "not valid JSON: "),
        (b'{"a": 1,}', "not valid JSON: "),
        (b"// x\n{}", "not valid JSON: "),
        (b'"a\nb"', "not valid JSON: Invalid control character"),
        (b"\xef\xbb\xbf{}", "not valid JSON: Unexpected UTF-8 BOM"),
        ('{"a": "ü"}'.encode("latin-1"), "not valid JSON: 'utf-8' codec can't decode byte 0xfc"),
        ("{}".encode("utf-16"), "not valid JSON: 'utf-8' codec can't decode byte 0xff"),
        ("{}".encode("utf-16-le"), "not valid JSON: "),
        (b'"\xed\xa0\x80"', "not valid JSON: 'utf-8' codec can't decode byte 0xed"),
        (b'{"a": 1, "a": 1}', "not valid JSON: an object has the same key twice"),
        (b'[{"x": {"a": 1, "b": 2, "\\u0061": 3}}]', "not valid JSON: an object has the same key twice"),
        (b"NaN", "not valid JSON: NaN is not JSON"),
        (b'{"a": [Infinity]}', "not valid JSON: Infinity is not JSON"),
        (b"-Infinity", "not valid JSON: -Infinity is not JSON"),
        pytest.param(b"1" * 5000, "not valid JSON: Exceeds the limit", id="long number"),
        pytest.param(b"[" * 1_000_000, "the JSON is nested too deeply", id="deep arrays"),
        pytest.param(b'{"a":' * 500_000, "the JSON is nested too deeply", id="deep objects"),
    ],
)
def test_what_is_not_strict_json_is_refused(raw: bytes, problem: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_json(raw, "the manifest of a:1")
    assert str(caught.value).startswith(f"the manifest of a:1: {problem}")
    assert len(str(caught.value)) < 300


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_a_document_or_an_error(raw: bytes) -> None:
    node = value_or_message(lambda: parse_json(raw, "it"))
    if isinstance(node, str):
        assert node.startswith("it: ")
    else:
        assert node.value == json.loads(raw)


@given(JSON_VALUES)
def test_what_is_encoded_reads_the_same(value: Any) -> None:
    assert parse_json(encode_json(value), "it").value == value


@given(st.dictionaries(st.text(), JSON_VALUES))
def test_the_order_of_keys_does_not_reach_the_bytes(table: dict[str, Any]) -> None:
    assert encode_json(dict(reversed(table.items()))) == encode_json(table)


def test_json_is_encoded_without_spaces_or_escapes() -> None:
    assert encode_json({"b": [1, None], "a": "ü€"}) == '{"a":"ü€","b":[1,null]}'.encode()


@given(st.dictionaries(st.text(), st.integers(), min_size=1), st.data())
def test_a_repeated_key_is_found_wherever_it_stands(table: dict[str, int], data: st.DataObject) -> None:
    pairs = [f"{json.dumps(key)}: {value}" for key, value in table.items()]
    pairs.insert(data.draw(st.integers(0, len(pairs))), data.draw(st.sampled_from(pairs)))
    with pytest.raises(DocumentError, match="the same key twice"):
        parse_json(f"{{{', '.join(pairs)}}}".encode(), "it")


TREE = {
    "text": "x",
    "none": None,
    "number": 1.5,
    "list": [{"size": -1}, {"size": True}, {"size": 2.0}, {"size": "3"}, {"size": 0}, 7],
    "words": ["a", None],
    "table": {"key": 5},
}


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda top: top.get("absent"), "doc → absent: is missing"),
        (lambda top: top.get("none"), "doc → none: is missing"),
        (lambda top: top.get("table").get("absent"), "doc → table.absent: is missing"),
        (lambda top: top.get("number").text(), "doc → number: must be a string"),
        (lambda top: top.get("text").items(), "doc → text: must be an array"),
        (lambda top: top.get("text").table(), "doc → text: must be an object"),
        (lambda top: top.get("list").table(), "doc → list: must be an object"),
        (lambda top: top.get("list").items()[5].get("x"), "doc → list[5]: must be an object"),
        (lambda top: top.get("text").find("x"), "doc → text: must be an object"),
        (lambda top: top.get("words").texts(), "doc → words[1]: must be a string"),
        (lambda top: top.get("text").texts(), "doc → text: must be an array"),
        (lambda top: top.get("table").text_table(), "doc → table.key: must be a string"),
        (lambda top: top.get("words").text_table(), "doc → words: must be an object"),
        (lambda top: top.text(), "doc: must be a string"),
        (lambda top: top.items(), "doc: must be an array"),
    ],
)
def test_an_error_names_the_place(read: Callable[[Node], object], message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read(Node(TREE, "doc"))
    assert str(caught.value) == message


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_size_is_an_integer_that_is_not_negative(number: int) -> None:
    size = Node(TREE, "doc").get("list").items()[number].get("size")
    with pytest.raises(DocumentError) as caught:
        size.size()
    assert str(caught.value) == f"doc → list[{number}].size: must be an integer that is not negative"


@pytest.mark.parametrize("value", [0, 1, 2**63])
def test_a_size_is_read(value: int) -> None:
    assert Node(value, "size").size() == value


@pytest.mark.parametrize("key", ["absent", "none"])
def test_what_is_absent_or_null_is_not_found(key: str) -> None:
    assert Node(TREE, "doc").find(key) is None


@pytest.mark.parametrize("value", ["", 0, False, [], {}])
def test_an_empty_value_is_found(value: object) -> None:
    assert Node({"key": value}, "doc").find("key") == Node(value, "doc → key")


def test_readers_return_values() -> None:
    node = parse_json(b'{"words": ["a", ""], "table": {"k": ""}, "text": "x"}', "doc")
    assert node.get("words").texts() == ["a", ""]
    assert node.get("table").text_table() == {"k": ""}
    assert node.get("text").text() == "x"
    assert [item.where for item in node.get("words").items()] == ["doc → words[0]", "doc → words[1]"]
