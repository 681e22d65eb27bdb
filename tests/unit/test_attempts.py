from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.registry import Handler, Registry
from hatch_oci.errors import UnreachableError
from hatch_oci.registry.attempts import Attempts, read_retry_after
from hatch_oci.registry.options import Patience
from hatch_oci.registry.transport import Reply, Request, Transport
from hatch_oci.report import Reporter

PASSING = [408, 429, 499, 500, 502, 503, 504, 522]
SHORT = Patience(first_wait=0.01, longest_wait=0.03, longest_retry_after=0.05, tries=5)


class Waits:
    """A piece of work that failed, what its user was told, and how long it waited."""

    def __init__(self, patience: Patience) -> None:
        self.lines: list[str] = []
        self.attempts = Attempts(patience, Reporter(info=self.lines.append, warn=self.lines.append))

    def fail(self, retry_after: float | None = None) -> float:
        start = time.monotonic()
        self.attempts.again(UnreachableError("HTTP 503 from r.example", retry_after))
        return time.monotonic() - start


def test_a_wait_doubles_up_to_the_longest_with_some_chance() -> None:
    for _ in range(5):
        waits = Waits(Patience(first_wait=0.02, longest_wait=0.05, tries=9))
        took = [waits.fail() for _ in range(5)]
        for seconds, longest in zip(took, (0.02, 0.04, 0.05, 0.05, 0.05), strict=True):
            assert longest / 2 <= seconds < longest + 0.5


def test_a_wait_is_told_of() -> None:
    waits = Waits(Patience(first_wait=0.1, tries=2))
    waits.fail()
    assert waits.lines == ["HTTP 503 from r.example; trying again in 0.1 s"]


def test_clients_do_not_all_come_back_at_one_moment() -> None:
    waits = Waits(Patience(first_wait=0.05, longest_wait=0.05, tries=20))
    assert min(waits.fail() for _ in range(10)) < 0.05


def test_the_last_failure_is_raised_at_once() -> None:
    waits = Waits(SHORT)
    for _ in range(4):
        assert not waits.attempts.are_over
        waits.fail()
    assert waits.attempts.are_over
    problem = UnreachableError("no answer", 100.0)
    with pytest.raises(UnreachableError) as caught:
        waits.attempts.again(problem)
    assert caught.value is problem
    assert len(waits.lines) == 4


def test_one_try_is_no_second() -> None:
    waits = Waits(Patience(tries=1))
    with pytest.raises(UnreachableError, match=r"^HTTP 503 from r\.example$"):
        waits.fail()
    assert waits.lines == []


def test_a_failure_may_allow_fewer_tries_but_not_more() -> None:
    for allowed, tries in ((2, 2), (1, 1), (9, 5)):
        waits = Waits(SHORT)
        problem = UnreachableError("no answer", tries=allowed)
        for _ in range(tries - 1):
            waits.attempts.again(problem)
        with pytest.raises(UnreachableError, match=r"^no answer$"):
            waits.attempts.again(problem)


def test_progress_gives_all_tries_back() -> None:
    waits = Waits(Patience(first_wait=0.05, longest_wait=10, tries=3))
    for _ in range(3):
        waits.fail()
        assert waits.fail() < 1
        assert waits.attempts.are_over
        waits.attempts.progressed()
        assert not waits.attempts.are_over


def test_progress_gives_no_time_back() -> None:
    waits = Waits(Patience(first_wait=0.01, longest_wait=0.01, longest_retry_after=0.05, tries=2))
    waits.fail(0.05)
    waits.attempts.progressed()
    waits.fail(0.03)
    waits.attempts.progressed()
    with pytest.raises(UnreachableError):
        waits.fail(0.05)


def test_a_server_says_how_long_to_wait_within_bounds() -> None:
    waits = Waits(Patience(first_wait=5, longest_wait=5, longest_retry_after=0.2, tries=9))
    assert 0.1 <= waits.fail(0.1) < 0.2 + 0.5
    assert waits.fail(0) < 0.5
    assert 0.2 <= waits.fail(20) < 0.2 + 1
    assert waits.lines == [f"HTTP 503 from r.example; trying again in {wait} s" for wait in ("0.1", "0.0", "0.2")]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        ("120", 120),
        ("007", 7),
        ("999999999", 999_999_999),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0),
        ("Wednesday, 21-Oct-15 07:28:00 GMT", 0),
        ("Wed Oct 21 07:28:00 2015", 0),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1e3", None),
        ("soon", None),
        ("²", None),
        ("\u0661", None),
        ("Wed, 41 Oct 2015 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 77:28:00 GMT", None),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999999", None),
    ],
)
def test_seconds_and_past_dates_are_read_and_nonsense_is_not(value: str, seconds: float | None) -> None:
    assert read_retry_after(value) == seconds


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5)), timezone(timedelta(hours=-8))])
def test_a_date_to_come_is_read_in_each_zone(zone: timezone) -> None:
    moment = datetime.now(zone) + timedelta(seconds=100)
    wait = read_retry_after(format_datetime(moment))
    assert wait is not None
    assert 90 < wait <= 100


def test_a_date_without_a_zone_is_of_greenwich() -> None:
    moment = datetime.now(UTC) + timedelta(seconds=100)
    wait = read_retry_after(moment.strftime("%a, %d %b %Y %H:%M:%S -0000"))
    assert wait is not None
    assert 90 < wait <= 100


def test_a_huge_number_is_long_but_a_number() -> None:
    for value in ("9" * 10, "9" * 5000):
        wait = read_retry_after(value)
        assert wait is not None
        assert 1e8 < wait < 1e10


DAYS = st.sampled_from(["Mon, ", "Wed, ", ""])
NUMBERS = st.integers(-5, 10**30).map(str) | st.sampled_from(["00", "01", "21", "99", "2015", "9999"])
DATES = st.builds("{}{} Oct {} {}:{}:{} {}".format, DAYS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)


@given(st.text() | DATES | st.from_regex(r"[A-Z][a-z]{2}, \d+ Oct \d+ \d\d:\d\d:\d\d (GMT|[+-]\d+)"))
def test_any_value_is_a_wait_or_none(value: str) -> None:
    wait = read_retry_after(value)
    assert wait is None or 0 <= wait < 1e12


def fetch(server: Registry, patience: Patience = SHORT) -> Reply:
    with closing(Transport(patience=patience)) as transport:
        return transport.fetch(Request("GET", f"http://{server.address}/x"), 1000)


@pytest.mark.parametrize("status", PASSING)
def test_a_status_that_may_pass_is_asked_again(status: int, server: Registry) -> None:
    server.answers["GET", "/x"] = lambda request: request.reply(status if len(server.log) < 3 else 200, b"there")
    reply = fetch(server)
    assert (reply.status, reply.body) == (200, b"there")
    assert len(server.log) == 3


def test_after_the_last_try_the_answer_is_that_of_the_server(server: Registry) -> None:
    server.answers["GET", "/x"] = lambda request: request.reply(503, b"busy")
    reply = fetch(server)
    assert (reply.status, reply.body) == (503, b"busy")
    assert len(server.log) == 5


@pytest.mark.parametrize("status", [200, 304, 400, 401, 403, 404, 416, 501])
def test_any_other_status_is_not_asked_again(status: int, server: Registry) -> None:
    server.answers["GET", "/x"] = lambda request: request.reply(status, b"")
    assert fetch(server).status == status
    assert len(server.log) == 1


def test_the_wait_is_what_the_server_asks_for(server: Registry) -> None:
    def answer(request: Handler) -> None:
        first = len(server.log) == 1
        request.reply(503 if first else 200, b"", {"Retry-After": "0"} if first else {})

    server.answers["GET", "/x"] = answer
    start = time.monotonic()
    assert fetch(server, Patience(first_wait=30)).status == 200
    assert time.monotonic() - start < 5


def test_a_connection_that_breaks_is_tried_again(server: Registry) -> None:
    def answer(request: Handler) -> None:
        if len(server.log) < 3:
            request.close_connection = True
        else:
            request.reply(200, b"there")

    server.answers["GET", "/x"] = answer
    assert fetch(server).body == b"there"
    server.answers["GET", "/x"] = lambda request: setattr(request, "close_connection", True)
    with pytest.raises(UnreachableError, match=f"^no answer from http://{server.address}: Server disconnected"):
        fetch(server)
