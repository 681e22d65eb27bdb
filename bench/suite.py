"""All cases, and how they are run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench import base_cases, copy_cases, stack_cases
from bench.cases import MIB, Case, run_pairs
from bench.growth import GROWTHS, Growth, run_growth
from bench.place import Place
from bench.stack import say
from bench.summary import GROWTH_HEAD, PAIRS_HEAD, growth_json, growth_rows, pair_json, pair_row
from bench.table import markdown
from bench.tools import check_room, check_tools

CASES: Sequence[Case] = (*base_cases.CASES, *copy_cases.CASES, *stack_cases.CASES)
NAMES = (*(case.name for case in CASES), *(growth.name for growth in GROWTHS))


def describe() -> Iterator[str]:
    """Yield a line for each case."""
    width = max(map(len, NAMES)) + 2
    for case in CASES:
        yield f"{case.name:{width}}{case.what}; against {case.peer}"
    for growth in GROWTHS:
        yield f"{growth.name:{width}}{', '.join(map(str, growth.counts))} {growth.what}"


def measure(names: Sequence[str], count: int, folder: Path, kept: list[dict[str, Any]]) -> Iterator[str]:
    """Run the named cases in an empty folder; yield the lines of the tables, and append what was measured to `kept`."""
    cases = [case for case in CASES if case.name in names]
    growths = [growth for growth in GROWTHS if growth.name in names]
    chosen: list[Case | Growth] = [*cases, *growths]
    check_tools(tool for one in chosen for tool in one.tools)
    check_room(max(one.room for one in chosen) * MIB)
    with Place(folder / "place") as place:
        if cases:
            yield from markdown(_pairs(cases, place, folder / "case", count, kept))
        if cases and growths:
            yield ""
        if growths:
            yield from markdown(_growths(growths, place, folder / "case", count, kept))


def _pairs(
    cases: Sequence[Case], place: Place, folder: Path, count: int, kept: list[dict[str, Any]]
) -> Iterator[Sequence[str]]:
    yield PAIRS_HEAD
    for case in cases:
        say(f"{case.name}: {case.what}")
        folder.mkdir()
        result = run_pairs(case, place, folder, count)
        shutil.rmtree(folder)
        kept.append(pair_json(result))
        yield pair_row(result)


def _growths(
    growths: Sequence[Growth], place: Place, folder: Path, count: int, kept: list[dict[str, Any]]
) -> Iterator[Sequence[str]]:
    yield GROWTH_HEAD
    for growth in growths:
        say(f"{growth.name}: {growth.what}")
        folder.mkdir()
        grown = run_growth(growth, place, folder, count)
        shutil.rmtree(folder)
        kept.append(growth_json(grown))
        yield from growth_rows(grown)
