from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_oci.errors import DocumentError, PlatformError
from hatch_oci.image.document import Node
from hatch_oci.image.platform import Platform, choose
from tests.unit.documents import damaged, value_or_message

PARTS = st.from_regex(r"[a-z0-9_.-]{1,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/x86-64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/x86_64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/v9", "linux/arm64/v9"),
        ("linux/arm/v8", "linux/arm/v8"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/arm", "linux/arm"),
        ("linux/i386", "linux/386"),
        ("linux/i686", "linux/386"),
        ("windows/amd64", "windows/amd64"),
    ],
)
def test_a_platform_is_read_in_its_normal_form(text: str, normal: str) -> None:
    assert str(Platform.parse(text)) == normal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "linux",
        "linux/",
        "/amd64",
        "linux//v7",
        "linux/arm/",
        "a/b/c/d",
        "Linux/amd64",
        "linux/amd64\n",
        "linux amd64",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(PlatformError) as caught:
        Platform.parse(text)
    assert str(caught.value) == f"not a platform: {text!r}; write it like linux/amd64 or linux/arm/v7"


@given(st.text() | st.lists(PARTS, max_size=4).map("/".join))
def test_any_text_is_a_platform_or_an_error(text: str) -> None:
    try:
        platform = Platform.parse(text)
    except PlatformError:
        return
    assert Platform.parse(str(platform)) == platform


@pytest.mark.parametrize(
    ("fields", "normal"),
    [
        ({"os": "linux", "architecture": "arm64", "variant": "v8"}, "linux/arm64"),
        ({"os": "linux", "architecture": "arm", "variant": "v6"}, "linux/arm/v6"),
        ({"os": "linux", "architecture": "amd64", "variant": None}, "linux/amd64"),
        ({"os": "linux", "architecture": "amd64", "variant": ""}, "linux/amd64"),
        ({"os": "windows", "architecture": "amd64", "os.version": "10", "os.features": ["x"]}, "windows/amd64"),
        ({"os": "unknown", "architecture": "unknown"}, "unknown/unknown"),
    ],
)
def test_the_fields_of_an_entry_are_read(fields: dict[str, Any], normal: str) -> None:
    assert str(Platform.read(Node(fields, "entry"))) == normal


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "entry → os: is missing"),
        ({"os": "linux"}, "entry → architecture: is missing"),
        ({"os": "linux", "architecture": None}, "entry → architecture: is missing"),
        ({"os": 1, "architecture": "amd64"}, "entry → os: must be a string"),
        ({"os": "linux", "architecture": ["amd64"]}, "entry → architecture: must be a string"),
        ({"os": "linux", "architecture": "arm", "variant": 7}, "entry → variant: must be a string"),
        ("linux/amd64", "entry: must be an object"),
    ],
)
def test_a_broken_entry_is_refused(fields: Any, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        Platform.read(Node(fields, "entry"))
    assert str(caught.value) == message


@given(damaged({"os": "linux", "architecture": "arm", "variant": "v7"}))
def test_any_entry_is_a_platform_or_an_error(fields: Any) -> None:
    platform = value_or_message(lambda: Platform.read(Node(fields, "entry")))
    if isinstance(platform, str):
        assert platform.startswith("entry")
    else:
        assert Platform.read(Node(platform.to_json(), "entry")) == platform


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("linux/arm/v7", {"os": "linux", "architecture": "arm", "variant": "v7"}),
        ("linux/arm64/v8", {"os": "linux", "architecture": "arm64"}),
    ],
)
def test_the_fields_of_an_entry_are_written(text: str, fields: dict[str, str]) -> None:
    assert Platform.parse(text).to_json() == fields


@pytest.mark.parametrize(
    ("wanted", "offered", "chosen"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"),
        ("linux/amd64", ["linux/amd64/v2", "linux/amd64/v1"], "linux/amd64/v1"),
        ("linux/amd64", ["windows/amd64"], None),
        ("linux/amd64", ["linux/amd64/v2"], None),
        ("linux/amd64/v3", ["linux/amd64"], None),
        ("linux/amd64", [], None),
        ("linux/arm64", ["linux/arm/v8", "linux/arm64/v8"], "linux/arm64/v8"),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm/v8"], "linux/arm/v6"),
        ("linux/arm/v7", ["linux/arm", "linux/arm/v5"], "linux/arm/v5"),
        ("linux/arm/v7", ["linux/arm"], "linux/arm"),
        ("linux/arm/v6", ["linux/arm/v7"], None),
        ("linux/arm/v8", ["linux/arm/v7", "linux/arm/v8"], "linux/arm/v8"),
        ("linux/arm", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"),
        ("linux/arm", ["linux/arm/v8"], None),
        ("linux/arm/other", ["linux/arm/v7", "linux/arm"], "linux/arm"),
        ("linux/arm/v7", ["linux/arm64", "windows/arm/v7"], None),
    ],
)
def test_the_best_platform_is_chosen(wanted: str, offered: list[str], chosen: str | None) -> None:
    offers = [(Platform.parse(text), text) for text in offered]
    assert choose(Platform.parse(wanted), offers) == chosen


def test_of_equal_offers_the_first_is_chosen() -> None:
    amd64 = Platform.parse("linux/amd64")
    assert choose(amd64, [(amd64, "first"), (amd64, "second")]) == "first"


@given(st.builds(Platform, PARTS, st.just("arm") | PARTS, PARTS), st.lists(st.builds(Platform, PARTS, PARTS, PARTS)))
def test_a_platform_that_is_offered_is_always_found(wanted: Platform, others: list[Platform]) -> None:
    assert choose(wanted, [(platform, platform) for platform in [*others, wanted]]) == wanted
