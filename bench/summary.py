"""The tables and the JSON of what was measured."""

from __future__ import annotations

from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.cases import PEAK_BAR, PEAK_STRETCH
from bench.growth import GROWTH_BAR

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.cases import Case, Result
    from bench.growth import Grown
    from bench.timing import Run

PAIRS_HEAD = (
    "Case",
    "Measured against",
    "Ours, s",
    "Peer, s",
    "Ratio",
    "Bar",
    "Met",
    f"Peak memory, MiB (bar {PEAK_BAR}, stretch {PEAK_STRETCH})",
    "Size ratio (bar)",
)


GROWTH_HEAD = (
    "Growth",
    "Number",
    "Build, s",
    "Each, ms",
    f"Each, relative to the fewest (bar {GROWTH_BAR})",
    "Met",
    f"Peak memory, MiB (bar {PEAK_BAR})",
)


def pair_row(result: Result) -> list[str]:
    """Return the row of a case."""
    case = result.case
    return [
        f"`{case.name}`: {case.what}",
        case.peer,
        _seconds(result.ours),
        _seconds(result.peer),
        f"{result.ratio:.2f}",
        _bar(case),
        _met(result),
        f"{result.peak:.0f}",
        f"{result.size:.3f} (≤ {case.size_bar})" if result.size is not None else "",
    ]


def pair_json(result: Result) -> dict[str, Any]:
    """Return all that was measured for a case."""
    case = result.case
    return {
        "case": case.name,
        "peer": case.peer,
        "bar": case.bar,
        "stretch": case.stretch,
        "ratio": result.ratio,
        "missed": result.missed,
        "size-ratio": result.size,
        "ours": [asdict(run) for run in result.ours],
        "theirs": [asdict(run) for run in result.peer],
    }


def growth_rows(grown: Grown) -> Iterator[list[str]]:
    """Yield the rows of a growth; the first is about a build of none."""
    growth = grown.growth
    for count in (0, *growth.counts):
        row = [f"`{growth.name}`: {growth.what}", f"{count:,}", _seconds(grown.runs[count])]
        if count:
            row += [f"{grown.seconds_each(count) * 1000:.2f}", f"{grown.ratio(count):.2f}"]
            row += [_yes_or(grown.missed(count))]
        else:
            row += ["", "", ""]
        yield [*row, f"{grown.peak(count):.0f}"]


def growth_json(grown: Grown) -> dict[str, Any]:
    """Return all that was measured of a growth."""
    return {
        "case": grown.growth.name,
        "each": {count: grown.seconds_each(count) for count in grown.growth.counts},
        "missed": {count: grown.missed(count) for count in grown.growth.counts},
        "ours": {count: [asdict(run) for run in runs] for count, runs in grown.runs.items()},
    }


def _bar(case: Case) -> str:
    return ", ".join(
        [
            *([f"≤ {case.bar}"] if case.bar is not None else []),
            *([f"stretch {case.stretch}"] if case.stretch is not None else []),
        ]
    )


def _met(result: Result) -> str:
    if result.missed or result.case.stretch is None:
        return _yes_or(result.missed)
    stretched = result.ratio <= result.case.stretch
    if result.case.bar is None:
        return "stretch" if stretched else "stretch not"
    return "yes, stretch" if stretched else "yes"


def _yes_or(missed: Sequence[str]) -> str:
    return f"no: {', '.join(missed)}" if missed else "yes"


def _seconds(runs: Sequence[Run]) -> str:
    return f"{median(run.seconds for run in runs):.2f}"
