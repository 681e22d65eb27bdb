"""Digests: the names of content (image-spec, descriptor.md, "Digests")."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Protocol

from hatch_oci.errors import DigestError

_HEX_LENGTH = {"sha256": 64, "sha512": 128}
_SHAPE = re.compile(r"(sha256|sha512):([0-9a-f]+)")


class Hasher(Protocol):
    """What `hashlib`'s objects can do, as far as it is needed here."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take in more bytes."""

    def hexdigest(self) -> str:
        """Return the hash so far."""


@dataclass(frozen=True, order=True, slots=True)
class Digest:
    """An algorithm and a hash, both checked: safe to put into a path or a URL."""

    algorithm: str
    hex: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `sha256:…` or `sha512:…`; anything else, upper case included, is a `DigestError`."""
        match = _SHAPE.fullmatch(text)
        if match is None or len(match[2]) != _HEX_LENGTH[match[1]]:
            message = f"not a sha256 or sha512 digest: {text[:80]!r}"
            raise DigestError(message)
        return cls(match[1], match[2])

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """Return the sha256 digest of `data`."""
        return cls("sha256", hashlib.sha256(data).hexdigest())

    def hasher(self) -> Hasher:
        """Return a fresh hash object of this digest's algorithm."""
        return hashlib.new(self.algorithm)

    def matches(self, data: bytes) -> bool:
        """Tell whether `data` has this digest."""
        hasher = self.hasher()
        hasher.update(data)
        return hasher.hexdigest() == self.hex
