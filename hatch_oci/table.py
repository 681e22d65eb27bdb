"""Typed readers over a table of `pyproject.toml` that collect every mistake, in Hatch's wording."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

FORMAT_ERRORS = (ValueError, KeyError, IndexError, AttributeError, TypeError)
"""What Hatch's context formatting raises for a field that is not known, or braces that do not match."""


@dataclass
class Table:
    """A table and its name; strings are formatted as they are read.

    A reader returns a value even for a mistake, so that reading goes on and all mistakes are found at once.
    """

    name: str
    values: Mapping[str, Any]
    format: Callable[[str], str]
    mistakes: list[str] = field(default_factory=list)
    wrong_keys: set[str] = field(default_factory=set)

    def wrong(self, key: str, problem: str) -> None:
        """Note a mistake in the field `key`, unless one is noted: what follows from a mistake is none itself."""
        if key not in self.wrong_keys:
            self.mistakes.append(f"Field `{self.name}.{key}` {problem}")
        self.wrong_keys.add(key)

    def wrong_element(self, key: str, number: int, problem: str) -> None:
        """Note a mistake in an element, counted from 1, of the array `key`."""
        self.mistakes.append(f"Element #{number} of field `{self.name}.{key}` {problem}")
        self.wrong_keys.add(key)

    def check_keys(self, known: Collection[str], hidden: Collection[str] = ()) -> None:
        """Note each key that is neither known nor `hidden`, with the nearest known one."""
        for key in self.values:
            if key not in known and key not in hidden:
                # Not above: it is slow to import, for a mistake that is rarely made.
                from difflib import get_close_matches

                near = get_close_matches(key, known, 1)
                self.wrong(key, f"is not known; did you mean `{near[0]}`?" if near else "is not known")

    def text(self, key: str, default: str = "") -> str:
        """Return a string that is not empty."""
        return default if key not in self.values else self._text(key, self.values[key], default)

    def optional_text(self, key: str) -> str | None:
        """Return a string that is not empty, None where there is none."""
        return self.text(key) or None

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return an array of strings."""
        if key not in self.values:
            return default
        return tuple(self.element(key, number, value) for number, value in enumerate(self.array(key), 1))

    def text_table(self, key: str) -> dict[str, str]:
        """Return a table of strings, which may be empty ones."""
        texts = {}
        for name, text in self.table(key).values.items():
            if "\0" in name:
                self.wrong(f"{key}.{name}", "has a NUL byte in its name")
            elif isinstance(text, str):
                texts[name] = self._field(f"{key}.{name}", text)
            else:
                self.wrong(f"{key}.{name}", "must be a string")
        return texts

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """Return one of `choices`, the first by default."""
        value = self.text(key, choices[0])
        if value not in choices:
            self.wrong(key, f"must be one of: {', '.join(choices)}")
            return choices[0]
        return value

    def flag(self, key: str) -> bool:
        """Return a boolean, false by default."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            self.wrong(key, "must be a boolean")
            return False
        return value

    def array(self, key: str) -> list[Any]:
        """Return an array as it is."""
        value = self.values.get(key, [])
        if not isinstance(value, list):
            self.wrong(key, "must be an array")
            return []
        return value

    def table(self, key: str) -> Table:
        """Return a table, empty by default, whose mistakes are noted with this table's."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            self.wrong(key, "must be a table")
            value = {}
        return Table(f"{self.name}.{key}", value, self.format, self.mistakes)

    def tables(self, key: str) -> list[Table]:
        """Return an array of tables, whose mistakes are noted with this table's."""
        tables = []
        for number, value in enumerate(self.array(key), 1):
            if isinstance(value, dict):
                tables.append(Table(f"{self.name}.{key}[{number}]", value, self.format, self.mistakes))
            else:
                self.wrong_element(key, number, "must be a table")
        return tables

    def element(self, key: str, number: int, value: object) -> str:
        """Return an element, counted from 1, of the array `key` as a string."""
        if not isinstance(value, str):
            self.wrong_element(key, number, "must be a string")
            return ""
        try:
            return self._formatted(value)
        except ValueError as error:
            self.wrong_element(key, number, str(error))
            return ""

    def _text(self, key: str, value: object, default: str) -> str:
        if not isinstance(value, str):
            self.wrong(key, "must be a string")
            return default
        text = self._field(key, value)
        if not text:
            self.wrong(key, "must not be empty")
            return default
        return text

    def _field(self, key: str, text: str) -> str:
        try:
            return self._formatted(text)
        except ValueError as error:
            self.wrong(key, str(error))
            return ""

    def _formatted(self, text: str) -> str:
        """Return `text` with its fields filled in; a `ValueError` says why it cannot be used."""
        try:
            formatted = self.format(text)
        except FORMAT_ERRORS as error:
            message = f"cannot be formatted: {error} (a literal brace is written twice: {{{{ or }}}})"
            raise ValueError(message) from None
        if "\0" in formatted:
            message = "has a NUL byte, which nothing in an image may have"
            raise ValueError(message)
        try:
            formatted.encode("utf-8")
        except UnicodeEncodeError:
            message = "has bytes that are not UTF-8"
            raise ValueError(message) from None
        return formatted
