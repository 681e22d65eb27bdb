"""Trying again: which failures are worth it, how often, and after how long."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from hatch_oci import stopping
from hatch_oci.errors import UnreachableError
from hatch_oci.registry.options import Patience
from hatch_oci.report import Reporter

PASSING = frozenset({408, 429, 499, 500, 502, 503, 504, 522})
"""HTTP statuses that may be others the next time."""


class Attempts:
    """Counts the failures of one piece of work, and waits between its tries."""

    def __init__(self, patience: Patience, reporter: Reporter) -> None:
        """Begin with all tries left."""
        self._patience = patience
        self._reporter = reporter
        self._failed = 0
        self._left = patience.tries * patience.longest_retry_after

    @property
    def are_over(self) -> bool:
        """Whether the try that is under way is the last."""
        return self._failed + 1 >= self._patience.tries

    def again(self, problem: UnreachableError) -> None:
        """Wait before another try, as long as the server asked for; raise `problem` after the last."""
        if self.are_over or (problem.tries and self._failed + 1 >= problem.tries):
            raise problem
        self._failed += 1
        if problem.retry_after is None:
            longest = min(self._patience.first_wait * 2 ** (self._failed - 1), self._patience.longest_wait)
            # So that many clients of a registry that failed do not come back at one moment.
            wait = longest * random.uniform(0.5, 1)  # noqa: S311 - no secret
        else:
            wait = min(problem.retry_after, self._patience.longest_retry_after)
        # Progress gives the tries back, but no time: a byte now and then must not keep this going for ever.
        self._left -= wait
        if self._left < 0:
            raise problem
        self._reporter.info(f"{problem}; trying again in {wait:.1f} s")
        stopping.sleep(wait)

    def progressed(self) -> None:
        """Forget the failures: there was something new since."""
        self._failed = 0


def read_retry_after(value: str) -> float | None:
    """Return the seconds that a `Retry-After` asks to wait, None for one that cannot be read (RFC 9110, 10.2.3)."""
    if value.isascii() and value.isdecimal():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max((moment - datetime.now(UTC)).total_seconds(), 0)
    # The latter of years and zones that no calendar has.
    except (ValueError, OverflowError):
        return None
