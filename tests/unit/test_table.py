from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hatchling.utils.context import Context

from hatch_oci.table import Table

BRACES = "(a literal brace is written twice: {{ or }})"


def table(**values: Any) -> Table:
    """Return a table in which strings are formatted as Hatch does, and `version` is known."""
    context = Context(str(Path.cwd()))
    fields = {key.replace("_", "-"): value for key, value in values.items()}
    return Table("tool.x", fields, lambda text: str(context.format(text, version="1.0")))


@pytest.mark.parametrize(
    ("read", "values", "expected"),
    [
        (lambda it: it.text("key"), {"key": "value"}, "value"),
        (lambda it: it.text("key"), {"key": "v{version}"}, "v1.0"),
        (lambda it: it.text("key"), {"key": "{{}}"}, "{}"),
        (lambda it: it.text("key"), {}, ""),
        (lambda it: it.text("key", "default {version}"), {}, "default {version}"),
        (lambda it: it.optional_text("key"), {"key": "value"}, "value"),
        (lambda it: it.optional_text("key"), {}, None),
        (lambda it: it.texts("key"), {"key": ["a", "{version}", ""]}, ("a", "1.0", "")),
        (lambda it: it.texts("key"), {"key": []}, ()),
        (lambda it: it.texts("key", ("default",)), {}, ("default",)),
        (lambda it: it.texts("key", ("default",)), {"key": []}, ()),
        (lambda it: it.text_table("key"), {"key": {"A": "{version}", "B": ""}}, {"A": "1.0", "B": ""}),
        (lambda it: it.text_table("key"), {}, {}),
        (lambda it: it.choice("key", ("a", "b")), {}, "a"),
        (lambda it: it.choice("key", ("a", "b")), {"key": "b"}, "b"),
        (lambda it: it.choice("key", ("a", "1.0")), {"key": "{version}"}, "1.0"),
        (lambda it: it.array("key"), {"key": [1, "{x", None]}, [1, "{x", None]),
        (lambda it: it.array("key"), {}, []),
    ],
)
def test_a_value_is_read(read: Callable[[Table], object], values: dict[str, Any], expected: object) -> None:
    it = table(**values)
    assert read(it) == expected
    assert it.mistakes == []


@pytest.mark.parametrize(
    ("read", "value", "instead", "mistake"),
    [
        (lambda it: it.text("key"), 5, "", "Field `tool.x.key` must be a string"),
        (lambda it: it.text("key", "default"), True, "default", "Field `tool.x.key` must be a string"),
        (lambda it: it.text("key", "default"), "", "default", "Field `tool.x.key` must not be empty"),
        (lambda it: it.optional_text("key"), "", None, "Field `tool.x.key` must not be empty"),
        (lambda it: it.optional_text("key"), ["a"], None, "Field `tool.x.key` must be a string"),
        (lambda it: it.texts("key", ("default",)), "a", (), "Field `tool.x.key` must be an array"),
        (lambda it: it.texts("key"), ["a", 5], ("a", ""), "Element #2 of field `tool.x.key` must be a string"),
        (lambda it: it.text_table("key"), ["A=1"], {}, "Field `tool.x.key` must be a table"),
        (lambda it: it.text_table("key"), {"A": 1, "B": "x"}, {"B": "x"}, "Field `tool.x.key.A` must be a string"),
        (lambda it: it.choice("key", ("a", "b")), "c", "a", "Field `tool.x.key` must be one of: a, b"),
        (lambda it: it.choice("key", ("a", "b")), 5, "a", "Field `tool.x.key` must be a string"),
        (lambda it: it.array("key"), {"a": 1}, [], "Field `tool.x.key` must be an array"),
        (lambda it: it.tables("key"), {"a": 1}, [], "Field `tool.x.key` must be an array"),
        (lambda it: it.tables("key"), ["a"], [], "Element #1 of field `tool.x.key` must be a table"),
    ],
)
def test_a_mistake_is_noted_and_reading_goes_on(
    read: Callable[[Table], object], value: object, instead: object, mistake: str
) -> None:
    it = table(key=value)
    assert read(it) == instead
    assert it.mistakes == [mistake]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{nope}", "Unknown context field `nope`"),
        ("{env:HATCH_OCI_NO_SUCH}", "Nonexistent environment variable must set a default: HATCH_OCI_NO_SUCH"),
        ("{env}", "The `env` context formatting field requires a modifier"),
        ("{", "Single '{' encountered in format string"),
        ("}", "Single '}' encountered in format string"),
        ("{root:nope}", "Unknown path modifier: nope"),
    ],
)
def test_a_text_that_cannot_be_formatted_is_a_mistake(text: str, problem: str) -> None:
    it = table(key=text, list=["fine", text], table={"A": text})
    it.text("key")
    it.texts("list")
    it.text_table("table")
    assert it.mistakes[0] == f"Field `tool.x.key` cannot be formatted: {problem} {BRACES}"
    assert f"Element #2 of field `tool.x.list` cannot be formatted: {problem} {BRACES}" in it.mistakes
    assert f"Field `tool.x.table.A` cannot be formatted: {problem} {BRACES}" in it.mistakes


@pytest.mark.parametrize("text", ["{}", "{0}", "{version.nope}", "{version[x]}", "{version:x}", "{version!x}", "{a{b"])
def test_whatever_is_wrong_with_a_field_is_a_mistake(text: str) -> None:
    it = table(key=text)
    assert it.text("key", "default") == "default"
    assert it.mistakes[0].startswith("Field `tool.x.key` cannot be formatted: ")


def test_the_environment_may_set_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    it = table(key="{env:HATCH_OCI_TEST:default}")
    monkeypatch.delenv("HATCH_OCI_TEST", raising=False)
    assert it.text("key") == "default"
    monkeypatch.setenv("HATCH_OCI_TEST", "{version}")
    assert it.text("key") == "{version}"


def test_a_text_that_is_formatted_to_nothing_is_empty() -> None:
    it = table(key="{env:HATCH_OCI_NO_SUCH:}")
    it.text("key")
    assert it.mistakes == ["Field `tool.x.key` must not be empty"]


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("prots", "is not known; did you mean `ports`?"),
        ("base_image", "is not known; did you mean `base-image`?"),
        ("Ports", "is not known; did you mean `ports`?"),
        ("something-else", "is not known"),
        ("hiden", "is not known"),
    ],
)
def test_an_unknown_key_is_a_mistake_with_the_nearest_known_one(key: str, problem: str) -> None:
    it = Table("tool.x", {key: 1, "ports": [], "hidden": 2}, str)
    it.check_keys(["base-image", "ports"], hidden=["hidden"])
    assert it.mistakes == [f"Field `tool.x.{key}` {problem}"]


def test_tables_in_an_array_share_their_mistakes() -> None:
    it = table(copy=[{"from": "a{version}"}, {"from": 5}, {"form": "x"}])
    first, second, third = it.tables("copy")
    assert first.text("from") == "a1.0"
    second.text("from")
    third.check_keys(["from"])
    assert it.mistakes == [
        "Field `tool.x.copy[2].from` must be a string",
        "Field `tool.x.copy[3].form` is not known; did you mean `from`?",
    ]


def test_what_follows_from_a_mistake_is_not_told() -> None:
    it = table(key=5, list=["a", 5, 6])
    it.text("key")
    it.wrong("key", "must be a number")
    it.texts("list")
    it.wrong("list", "must hold one")
    assert it.mistakes == [
        "Field `tool.x.key` must be a string",
        "Element #2 of field `tool.x.list` must be a string",
        "Element #3 of field `tool.x.list` must be a string",
    ]
    assert it.wrong_keys == {"key", "list"}


def test_mistakes_are_kept_in_the_order_of_reading() -> None:
    it = table(b=1, a=2)
    for key in ("b", "a"):
        it.text(key)
    it.wrong("c", "is missing")
    assert it.mistakes == [
        "Field `tool.x.b` must be a string",
        "Field `tool.x.a` must be a string",
        "Field `tool.x.c` is missing",
    ]
