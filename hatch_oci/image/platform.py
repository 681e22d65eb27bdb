"""Platforms: operating system, architecture and variant (image-spec, image-index.md, "platform")."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from hatch_oci.errors import PlatformError
from hatch_oci.image.document import Node, printable

# No system has a name so long that it would not fit a message.
_PART = re.compile(r"[a-z0-9_.-]{1,64}")
_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "i686": "386"}
# What an absent variant means, and what "v8" and "v1" add: nothing.
_IMPLIED_VARIANT = {"arm64": "v8", "amd64": "v1"}

T = TypeVar("T")


@dataclass(frozen=True, order=True, slots=True)
class Platform:
    """What an image runs on; a variant that its architecture implies is left out."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(printable(part) for part in (self.os, self.architecture, self.variant) if part)

    @classmethod
    def of(cls, os: str, architecture: str, variant: str = "") -> Platform:
        """Return the platform in its normal form: no alias, no variant that goes without saying."""
        architecture = _ALIASES.get(architecture, architecture)
        return cls(os, architecture, "" if variant == _IMPLIED_VARIANT.get(architecture) else variant)

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read `os/architecture[/variant]`; anything else is a `PlatformError`."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(_PART.fullmatch(part) for part in parts):
            message = f"not a platform: {text!r}; write it like linux/amd64 or linux/arm/v7"
            raise PlatformError(message)
        return cls.of(*parts)

    @classmethod
    def read(cls, node: Node) -> Platform:
        """Read an index entry's `platform`, or an image config's own fields."""
        variant = node.find("variant")
        return cls.of(node.get("os").text(), node.get("architecture").text(), variant.text() if variant else "")

    def to_json(self) -> dict[str, str]:
        """Return the fields of an index entry's `platform`."""
        fields = {"os": self.os, "architecture": self.architecture}
        return fields | {"variant": self.variant} if self.variant else fields


def choose(wanted: Platform, offers: Sequence[tuple[Platform, T]]) -> T | None:
    """Return what stands beside the best platform for `wanted`, None if nothing would run there.

    A 32-bit ARM takes its own variant, else the next lower one, else one without a variant; every other
    architecture takes just its own. Of equals the first wins.
    """
    for platform in _acceptable(wanted):
        for offer, payload in offers:
            if offer == platform:
                return payload
    return None


def _acceptable(wanted: Platform) -> list[Platform]:
    if wanted.architecture != "arm":
        return [wanted]
    level = re.fullmatch(r"v([5-8])", wanted.variant or "v7")
    variants = [f"v{n}" for n in range(int(level[1]), 4, -1)] if level else [wanted.variant]
    return [Platform(wanted.os, "arm", variant) for variant in (*variants, "")]
