"""What the tests of faults and attacks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from tests.e2e.projects import environment, without_proxies
from tests.faults.hostile import IMAGE, Victim, publish
from tests.faults.sample import environment_of
from tests.faults.trial import Trial, run_trial
from tests.faults.workshop import Workshop
from tests.faults.world import World, inhabited
from tests.unit.uploads import Uploads, serve_uploads


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
def env(tmp_path: Path) -> dict[str, str]:
    """Return an environment with a fresh home and an empty cache."""
    return environment_of(tmp_path / "home")


@pytest.fixture
def victim(attempt: Try, amount: Callable[[int, int], int], tmp_path: Path) -> Victim:
    """Return a user with a fresh home and an empty cache, who knows no proxy."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return Victim(attempt, folder, without_proxies(environment(tmp_path / "home")), amount(0, 1) == 1)


@pytest.fixture
def registry() -> Iterator[Uploads]:
    """Serve an image, as an honest registry does."""
    with serve_uploads() as registry:
        publish(registry, IMAGE.manifest)
        yield registry


@pytest.fixture
def world(victim: Victim, tmp_path: Path) -> Iterator[World]:
    """Serve an image under names of the world, which a proxy knows."""
    with inhabited(victim, tmp_path) as world:
        yield world


@pytest.fixture
def workshop(tmp_path: Path, attempt: Try) -> Workshop:
    """Return an empty project and a home."""
    return Workshop.at(tmp_path, attempt)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "few(count): how many of a test's cases CI tries; `hatch run faults` tries all")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full", default=False):
        return
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("few"):
            groups.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left_out: list[pytest.Item] = []
    for cases in groups.values():
        marker = cases[0].get_closest_marker("few")
        step = max(1, -(-len(cases) // marker.args[0])) if marker else 1
        left_out += [case for number, case in enumerate(cases) if number % step]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
