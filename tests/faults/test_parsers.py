"""Every parser, with whatever bytes: a value, or a refusal in plain words, and what was taken is taken again.

What the fuzzer (`hatch run fuzz`) has found is kept in tests/corpus, and damaged here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.parsers import CORPUS, PARSERS, examine

# Numbers that are too long, and what moves a terminal's cursor or is no text.
_INSERTED = st.sampled_from([b"9" * 5000, b"\x1b[2J", b"\n", b"\xff", b"\0", b"[" * 2000, b"../", b"\xed\xa0\x80"])
_CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 4), _INSERTED | st.binary(max_size=3)), max_size=3
)


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def kept(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


def damaged(specimen: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    for place, gone, inserted in changes:
        at = int(place * (len(specimen) + 1))
        specimen = specimen[:at] + inserted + specimen[at + gone :]
    return specimen


@pytest.mark.parametrize("name", PARSERS)
def test_parser_given_damaged_or_arbitrary_bytes(
    name: str, amount: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    examples = amount(25, 1000)

    # By chance only where somebody looks.
    @settings(
        max_examples=examples,
        derandomize=bool(amount(1, 0)),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(max_size=200) | st.builds(damaged, st.sampled_from(kept(name)), _CHANGES))
    def check(data: bytes) -> None:
        examine(name, data)

    check()
    record_property("cases", examples)


@pytest.mark.parametrize("name", PARSERS)
def test_parser_given_what_the_fuzzer_found(name: str, record_property: Callable[[str, object], None]) -> None:
    outcomes = {examine(name, data) for data in kept(name)}
    assert True in outcomes, "nothing of it is taken"
    record_property("cases", len(kept(name)))


def test_kept_inputs_are_named_by_their_hashes() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == set(PARSERS)
    for path in CORPUS.glob("*/*"):
        assert path.name == hashlib.sha1(path.read_bytes()).hexdigest(), path
