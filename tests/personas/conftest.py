"""The way into a world with one persona."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from tests.personas.persona import Persona
from tests.personas.place import Place, visited

Enter = Callable[[Persona], Place]


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def enter(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Enter]:
    """Return a function that starts a persona's world, which ends with the test."""
    with ExitStack() as stack:
        yield lambda persona: stack.enter_context(visited(persona, authority, tmp_path, monkeypatch))
