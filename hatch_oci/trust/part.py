"""What a list of an image's content is made of, whatever the format that it is written in."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Part:
    """Something that is in an image; what is not known of it is empty."""

    kind: str
    """`application`, `library`, `operating-system` or `container`, as CycloneDX has it."""

    name: str
    version: str = ""
    purl: str = ""
    """Its package URL (ECMA-427)."""

    sha256: str = ""
    licence: str = ""
    """An SPDX expression, or what else its authors wrote."""

    layer: str = ""
    """The digest of the layer that it lies in."""

    parts: tuple[Part, ...] = ()
    """What is within it, by its own word."""

    @classmethod
    def from_json(cls, value: Any) -> Part:
        """Return what `asdict` made; a `TypeError` or `ValueError` for anything else."""
        part = cls(**{**value, "parts": tuple(map(cls.from_json, value["parts"]))})
        if not all(isinstance(getattr(part, one.name), str) for one in fields(part) if one.name != "parts"):
            message = "not a part of an image"
            raise TypeError(message)
        return part

    @property
    def ref(self) -> str:
        """What it is called within a document: the same for two that are the same."""
        return self.purl or f"{self.kind}:{self.name}@{self.version}"


class Inventory(NamedTuple):
    """An image and all that is known to be in it."""

    image: Part
    created: str
    """RFC 3339."""

    wheels: tuple[Part, ...]
    base: Part | None
    """With what is in it; None for scratch."""

    unread: str = ""
    """A database of packages in the base that is of a form that was not read."""

    @property
    def tops(self) -> tuple[Part, ...]:
        """What is right in the image."""
        return (*self.wheels, self.base) if self.base else self.wheels

    @property
    def parts(self) -> dict[str, Part]:
        """All that is in the image, by what it is called; what is installed goes before what is but within that."""
        found: dict[str, Part] = {}
        pending = list(self.tops)
        for part in pending:
            found.setdefault(part.ref, part)
            pending += part.parts
        return found


def serial_of(digest_hex: str) -> str:
    """Return a UUID that is the same for the same digest (RFC 9562, version 8)."""
    one, two, three, four, five = (
        digest_hex[start:end] for start, end in ((0, 8), (8, 12), (13, 16), (17, 20), (20, 32))
    )
    return f"{one}-{two}-8{three}-8{four}-{five}"


def package_url(kind: str, name: str, version: str, namespace: str = "", **qualifiers: str) -> str:
    """Return a package URL; qualifiers that are empty are left out."""
    path = "/".join(quote(part, safe=":") for part in (*namespace.split("/"), name) if part)
    listed = "&".join(f"{key}={quote(value, safe=':/')}" for key, value in sorted(qualifiers.items()) if value)
    at = f"@{quote(version, safe=':/')}" if version else ""
    return f"pkg:{kind}/{path}{at}{f'?{listed}' if listed else ''}"
