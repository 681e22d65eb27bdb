"""What the tests of faults and attacks share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from tests.faults.trial import Trial, run_trial
from tests.faults.workshop import Workshop


class Try(Protocol):
    """Runs a command, as `run_trial` does."""

    def __call__(self, *command: str | Path, folder: Path, env: Mapping[str, str], deadline: float = 60) -> Trial: ...


@pytest.fixture
def attempt(record_property: Callable[[str, object], None]) -> Try:
    """Return `run_trial`, whose memory goes into the table of `hatch run faults`."""

    def run(*command: str | Path, folder: Path, env: Mapping[str, str], deadline: float = 60) -> Trial:
        done = run_trial(*command, folder=folder, env=env, deadline=deadline)
        record_property("peak", done.peak)
        return done

    return run


@pytest.fixture
def amount(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """Return a function that chooses from how often something is tried in CI, and how often by `hatch run faults`."""
    full = request.config.getoption("--full", default=False)
    return lambda quick, promised: promised if full else quick


@pytest.fixture
def workshop(tmp_path: Path, attempt: Try) -> Workshop:
    """Return an empty project and a home."""
    return Workshop.at(tmp_path, attempt)
