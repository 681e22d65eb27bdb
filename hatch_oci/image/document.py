"""Strict JSON, and typed readers over it whose errors carry the path in the document."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, NoReturn

from hatch_oci.errors import DocumentError

_DEEPEST = 100
"""Levels; what is read here is also copied and written again, by functions that call themselves."""


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON value and where it stands, e.g. `manifest of python:3.13 → layers[2].size`."""

    value: Any
    where: str

    def fail(self, problem: str) -> NoReturn:
        """Raise a `DocumentError` about this value."""
        message = f"{self.where}: {problem}"
        raise DocumentError(message)

    def find(self, key: str) -> Node | None:
        """Return the value under `key`, or None where it is absent or null."""
        value = self.table().get(key)
        return None if value is None else Node(value, self._below(key))

    def get(self, key: str) -> Node:
        """Return the value under `key`; absent or null is a `DocumentError`."""
        node = self.find(key)
        if node is None:
            Node(None, self._below(key)).fail("is missing")
        return node

    def table(self) -> dict[str, Any]:
        """Return this value as an object."""
        if not isinstance(self.value, dict):
            self.fail("must be an object")
        return self.value

    def items(self) -> list[Node]:
        """Return the elements of this array."""
        if not isinstance(self.value, list):
            self.fail("must be an array")
        return [Node(value, f"{self.where}[{index}]") for index, value in enumerate(self.value)]

    def text(self) -> str:
        """Return this value as a string."""
        if not isinstance(self.value, str):
            self.fail("must be a string")
        return self.value

    def size(self) -> int:
        """Return this value as a count of bytes: an integer from 0 on, no float, no bool."""
        if type(self.value) is not int or self.value < 0:
            self.fail("must be an integer that is not negative")
        return self.value

    def texts(self) -> list[str]:
        """Return this array's elements as strings."""
        return [node.text() for node in self.items()]

    def text_table(self) -> dict[str, str]:
        """Return this object with its values as strings."""
        return {key: Node(value, self._below(key)).text() for key, value in self.table().items()}

    def _below(self, key: str) -> str:
        key = printable(key)
        return f"{self.where}.{key}" if " → " in self.where else f"{self.where} → {key}"


def parse_json(raw: bytes, where: str) -> Node:
    """Read one JSON document from UTF-8 `raw`; `where` names it in errors.

    Refused with a `DocumentError`: another encoding, a byte order mark, duplicate keys, trailing data, half of a
    surrogate pair, numbers that are not finite or beyond the parser's length, and deep nesting.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
        )
        _check(value)
    except RecursionError:
        message = f"{where}: the JSON is nested too deeply"
        raise DocumentError(message) from None
    except (ValueError, DocumentError) as error:
        message = f"{where}: not valid JSON: {str(error)[:200]}"
        raise DocumentError(message) from None
    return Node(value, where)


def encode_json(value: Any) -> bytes:
    """Return the one canonical form in which this package writes JSON into an image."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def printable(text: str, most: int = 80) -> str:
    """Return somebody else's text as it may stand in a message: short, and without control characters."""
    return "".join(character if character.isprintable() else "?" for character in text[:most])


def _check(value: Any) -> None:
    """Refuse what JSON can say, but nothing can write again."""
    level = [value]
    for _ in range(_DEEPEST):
        for item in level:
            if isinstance(item, str):
                item.encode("utf-8")
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in ([*item, *item.values()] if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise RecursionError


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        message = f"{text[:20]} is too large a number"
        raise DocumentError(message)
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        message = "an object has the same key twice"
        raise DocumentError(message)
    return table


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise DocumentError(message)
