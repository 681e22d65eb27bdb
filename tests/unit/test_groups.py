"""Which dependencies share a layer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_oci.errors import OCIError
from hatch_oci.lock.groups import Installable, group_wheels

START = datetime(2024, 1, 1, tzinfo=UTC)


def wheel(key: str, size: int = 1000, *, pure: bool = True, day: int | None = None) -> Installable:
    return Installable(key, "1.0", size, pure, None if day is None else START + timedelta(days=day))


def keys(wheels: list[Installable], strategy: str = "auto", most: int = 16) -> list[tuple[str, ...]]:
    return [group.keys for group in group_wheels(wheels, strategy, most)]


WHEELS = [
    wheel("a", day=5),
    wheel("big", 1_000_000, day=9),
    wheel("native", pure=False, day=1),
    wheel("huge", 50_000_000, pure=False, day=2),
    wheel("b", 999_999, day=3),
]


def test_large_wheels_lie_alone_and_small_ones_by_what_they_are_for() -> None:
    assert keys(WHEELS) == [("native",), ("huge",), ("a", "b"), ("big",)]


def test_one_layer_and_a_layer_for_each() -> None:
    assert keys(WHEELS, "one") == [("a", "b", "big", "huge", "native")]
    assert keys(WHEELS, "per-package") == [("native",), ("huge",), ("b",), ("a",), ("big",)]


def test_without_dates_large_layers_lie_low() -> None:
    wheels = [wheel("a"), wheel("big", 2_000_000), wheel("huge", 3_000_000), wheel("n", pure=False)]
    assert keys(wheels) == [("huge",), ("big",), ("a",), ("n",)]


def test_the_largest_keep_their_layers_where_there_is_no_room_for_all() -> None:
    wheels = [wheel(f"w{number}", 1_000_000 + number, day=number) for number in range(20)]
    groups = keys(wheels, most=5)
    assert groups == [tuple(sorted(f"w{number}" for number in range(17))), ("w17",), ("w18",), ("w19",)]


def test_more_layers_than_there_is_room_for_is_an_error() -> None:
    wheels = [wheel(f"w{number}") for number in range(6)]
    with pytest.raises(OCIError) as caught:
        group_wheels(wheels, "per-package", 5)
    assert str(caught.value) == (
        "layers = 'per-package' makes 6 layers of dependencies, and 5 have room: choose 'auto'"
    )


def test_layers_are_named_after_what_they_hold() -> None:
    groups = group_wheels([wheel(key) for key in "fedcba"] + [wheel("big", 2_000_000)], "auto", 16)
    assert [group.summary for group in groups] == ["wheel big 1.0", "wheels a, b, c, d and 2 more"]
    assert group_wheels([], "auto", 16) == []


def test_dates_without_a_zone_are_compared_too() -> None:
    naive = Installable("a", "1.0", 2_000_000, True, datetime(2024, 1, 1))  # noqa: DTZ001 - as TOML may have it
    assert keys([naive, wheel("b", 2_000_000, day=1)]) == [("a",), ("b",)]


@given(
    st.lists(
        st.builds(
            Installable,
            st.text("abc", min_size=1),
            st.just("1"),
            st.integers(0, 3_000_000),
            st.booleans(),
            st.none() | st.datetimes(timezones=st.just(UTC)),
        ),
        unique_by=lambda wheel: wheel.key,
    ),
    st.integers(2, 16),
    st.randoms(),
)
def test_every_wheel_lies_in_one_layer_whatever_the_order(wheels: list[Installable], most: int, random: object) -> None:
    groups = group_wheels(wheels, "auto", most)
    assert len(groups) <= most
    assert sorted(key for group in groups for key in group.keys) == sorted(wheel.key for wheel in wheels)
    shuffled = list(wheels)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert group_wheels(shuffled, "auto", most) == groups
