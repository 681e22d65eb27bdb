"""The headers of an HTTP answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Headers:
    """Names, in lower case, and values, in the order in which they came."""

    fields: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, raw: Iterable[tuple[bytes, bytes]]) -> Headers:
        """Read what came over the wire."""
        return cls(tuple((_decode(name).lower(), _decode(value)) for name, value in raw))

    def get_list(self, name: str) -> list[str]:
        """Return the values of a header (its name in lower case), one for each time that it came."""
        return [value for key, value in self.fields if key == name]

    def get(self, name: str) -> str:
        """Return a header's value (its name in lower case), several joined by commas; empty where there is none."""
        return ", ".join(self.get_list(name))


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
