"""Which dependencies share a layer, and in which order the layers lie."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from hatch_oci.errors import OCIError

STRATEGIES = ("auto", "one", "per-package")

_LARGE = 1_000_000
"""Bytes of a wheel from which on it gets a layer of its own."""

_NAMED = 4
"""How many wheels a layer's line in the history names."""

_OLDEST = datetime(1970, 1, 1, tzinfo=UTC)


class Installable(NamedTuple):
    """A wheel, as far as it matters for its layer."""

    key: str
    """The normalised name."""

    version: str
    size: int
    pure: bool
    upload_time: datetime | None


class Group(NamedTuple):
    """The wheels of one layer, by their keys, in order."""

    summary: str
    keys: tuple[str, ...]


def group_wheels(wheels: Sequence[Installable], strategy: str, most: int) -> list[Group]:
    """Return at most `most` groups of wheels, the one that is to lie lowest first.

    `auto` gives each large wheel a layer of its own, and two to the small ones: those that are the same for every
    platform, and the others; so the former are shared by the images of an index. What was published longest ago
    lies lowest, since a change makes registries and engines handle anew what lies above it.
    """
    ordered = sorted(wheels, key=lambda wheel: wheel.key)
    if strategy == "one":
        parts = [ordered]
    elif strategy == "per-package":
        parts = [[wheel] for wheel in ordered]
    else:
        parts = _by_size(ordered, most)
    parts = [part for part in parts if part]
    if len(parts) > most:
        message = (
            f"layers = {strategy!r} makes {len(parts)} layers of dependencies, and {most} have room: choose 'auto'"
        )
        raise OCIError(message)
    return [Group(_summary(part), tuple(wheel.key for wheel in part)) for part in sorted(parts, key=_age)]


def _by_size(wheels: Sequence[Installable], most: int) -> list[list[Installable]]:
    room = max(most - 2, 0)
    large = sorted((wheel for wheel in wheels if wheel.size >= _LARGE), key=lambda wheel: (-wheel.size, wheel.key))[
        :room
    ]
    rest = [wheel for wheel in wheels if wheel not in large]
    return [
        *([wheel] for wheel in large),
        [wheel for wheel in rest if wheel.pure],
        [wheel for wheel in rest if not wheel.pure],
    ]


def _age(part: Sequence[Installable]) -> tuple[datetime, int, str]:
    """Order by when the newest of a layer's wheels was published; where that is not known, large ones lie low."""
    newest = max(_moment(wheel) for wheel in part)
    return newest, -sum(wheel.size for wheel in part), part[0].key


def _moment(wheel: Installable) -> datetime:
    moment = wheel.upload_time or _OLDEST
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _summary(part: Sequence[Installable]) -> str:
    if len(part) == 1:
        return f"wheel {part[0].key} {part[0].version}"
    names = ", ".join(wheel.key for wheel in part[:_NAMED])
    more = f" and {len(part) - _NAMED} more" if len(part) > _NAMED else ""
    return f"wheels {names}{more}"
