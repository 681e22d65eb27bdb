"""A pytest plugin that prints a table of what was tried: a row for each test function, whatever its parameters."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest


@dataclass
class Row:
    """What was seen of one test function."""

    cases: int = 0
    passed: int = 0
    skipped: int = 0
    failed: int = 0
    seconds: float = 0.0
    peak: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, report: pytest.TestReport) -> None:
        """Count a phase of one test."""
        self.seconds += report.duration
        if report.when == "call" or report.outcome != "passed":
            properties = report.user_properties
            counted = sum(int(str(value)) for name, value in properties if name == "cases")
            self.cases += counted or 1
            self.peak = max([self.peak, *(int(str(value)) for name, value in properties if name == "peak")])
            setattr(self, report.outcome, getattr(self, report.outcome) + (counted or 1))
        if report.failed:
            self.problems.append(f"{report.nodeid} ({report.when})\n{report.longreprtext}")

    @property
    def outcome(self) -> str:
        """`passed`, or how many did what else."""
        others = [f"{self.failed} failed"] * bool(self.failed) + [f"{self.skipped} skipped"] * bool(self.skipped)
        return ", ".join(others) or "passed"


class Table:
    """Collects reports; prints rows as they end, and the totals at the end."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self._current = ""

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        """Add the option that `amount` asks for."""
        parser.addoption("--full", action="store_true", help="try everything as often as it is promised")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Show what could not even be imported."""
        if report.failed:
            self.rows.setdefault(report.nodeid, Row(failed=1, problems=[report.longreprtext]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test."""
        name = re.sub(r"\[.*", "", report.nodeid.rpartition("::")[2]).removeprefix("test_").replace("_", " ")
        if name != self._current:
            self._flush()
            self._current = name
        self.rows.setdefault(name, Row()).add(report)

    def _flush(self) -> None:
        if self._current:
            print(_line(self._current, self.rows[self._current]), flush=True)

    def pytest_sessionstart(self) -> None:
        """Print the head."""
        print("| Tried | Cases | Outcome | Seconds | Peak memory, MiB |\n|---|---|---|---|---|", flush=True)

    def pytest_sessionfinish(self) -> None:
        """Print the last row, what went wrong, and the totals."""
        self._flush()
        for problem in self._problems():
            print(f"\n{problem}", file=sys.stderr)
        skipped = sum(row.skipped for row in self.rows.values())
        passed, failed = (sum(getattr(row, what) for row in self.rows.values()) for what in ("passed", "failed"))
        print(f"\n{f'{skipped} skipped, ' if skipped else ''}{passed} passed, {failed} failed", flush=True)

    def _problems(self) -> Iterator[str]:
        for row in self.rows.values():
            yield from row.problems


def _line(name: str, row: Row) -> str:
    peak = f"{row.peak / 2**20:.0f}" if row.peak else ""
    return f"| {name} | {row.cases} | {row.outcome} | {row.seconds:.1f} | {peak} |"
