from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_oci.report import Reporter, format_number, format_size

MIB = 1024 * 1024


class Lines(list[str]):
    """What a user was told, and a reporter that tells it."""

    def reporter(self, *, live: bool) -> Reporter:
        return Reporter(
            info=lambda line: self.append(f"info: {line}"), warn=lambda line: self.append(f"warn: {line}"), live=live
        )


def test_a_transfer_is_told_before_it_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    with lines.reporter(live=False).transfer("Layer 1", 3_200_000) as advance:
        assert lines == ["info: Layer 1: 3.2 MB"]
        advance(3_200_000)
    assert lines == ["info: Layer 1: 3.2 MB"]
    assert capsys.readouterr() == ("", "")


def test_a_live_transfer_is_drawn_and_cleared(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    with lines.reporter(live=True).transfer("Layer 1", 3 * MIB) as advance:
        advance(MIB - 1)
        assert capsys.readouterr() == ("", "")
        advance(1)
        assert capsys.readouterr().err == "\rLayer 1: 1.0 MB of 3.1 MB\x1b[K"
        advance(100)
        assert capsys.readouterr().err == ""
        advance(2 * MIB - 100)
        assert capsys.readouterr().err == "\rLayer 1: 3.1 MB of 3.1 MB\x1b[K"
    assert capsys.readouterr() == ("", "\r\x1b[K")
    assert lines == ["info: Layer 1: 3.1 MB"]


def fail_in(reporter: Reporter) -> None:
    with reporter.transfer("Layer 1", 5) as advance:
        advance(1)
        raise LookupError


def test_a_live_transfer_that_fails_is_cleared_and_not_called_done(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    with pytest.raises(LookupError):
        fail_in(lines.reporter(live=True))
    assert lines == []
    assert capsys.readouterr() == ("", "\r\x1b[K")


def test_threads_may_advance_one_transfer(capsys: pytest.CaptureFixture[str]) -> None:
    with (
        Lines().reporter(live=True).transfer("Layers", 16 * MIB) as advance,
        ThreadPoolExecutor(8) as pool,
    ):
        list(pool.map(advance, [1024] * (16 * 1024)))
    drawn = capsys.readouterr().err.split("\x1b[K")
    assert drawn[:16] == [f"\rLayers: {format_size(done * MIB)} of 16.8 MB" for done in range(1, 17)]
    assert drawn[16:] == ["\r", ""]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1049, "1.0 kB"),
        (1060, "1.1 kB"),
        (999_900, "999.9 kB"),
        (1_000_000, "1.0 MB"),
        (31_415_926, "31.4 MB"),
        (1_000_000_000, "1.0 GB"),
        (5_000_000_000_000, "5000.0 GB"),
    ],
)
def test_a_size_is_written_for_people(count: int, text: str) -> None:
    assert format_size(count) == text


@given(st.integers(0, 2**50))
def test_a_written_size_is_close(count: int) -> None:
    number, unit = format_size(count).split(" ")
    factor = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}[unit]
    assert abs(float(number) * factor - count) <= 0.0501 * factor


@pytest.mark.parametrize(("count", "said"), [(0, "0 layers"), (1, "1 layer"), (2, "2 layers"), (1234, "1,234 layers")])
def test_how_many_there_are_is_told_as_people_say_it(count: int, said: str) -> None:
    assert format_number(count, "layer") == said
