"""What a user sees while a build goes on; the ways to show it are Hatch's, handed in as functions."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Reporter:
    """Ways to tell the user something; each takes one line."""

    info: Callable[[str], None]
    warn: Callable[[str], None]
    debug: Callable[[str], None] = lambda _text: None
    live: bool = False
    """Whether a line on the terminal may be drawn over while something is under way."""

    @contextmanager
    def transfer(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Tell of work on `total` bytes; the function to call with each number of bytes done is yielded.

        It is told before the work; where a line is drawn over meanwhile, what stays of it is told at the end.
        """
        announcement = f"{what}: {format_size(total)}"
        if not self.live:
            self.info(announcement)
            yield lambda _count: None
            return
        line = _LiveLine(what, total)
        try:
            yield line.advance
        finally:
            line.clear()
        self.info(announcement)


QUIET = Reporter(info=lambda _text: None, warn=lambda _text: None)
"""Says nothing."""


@dataclass
class _LiveLine:
    what: str
    total: int
    done: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def advance(self, count: int) -> None:
        with self.lock:
            before, self.done = self.done, self.done + count
            if before // _MIB != self.done // _MIB:
                line = f"{self.what}: {format_size(self.done)} of {format_size(self.total)}"
                print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)

    @staticmethod
    def clear() -> None:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def format_size(count: int) -> str:
    """Return a number of bytes as people read it."""
    if count < 1000:
        return f"{count} B"
    value = count / 1000
    for unit in ("kB", "MB"):
        if round(value, 1) < 1000:
            return f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def format_number(count: int, what: str) -> str:
    """Return how many of something there are, as in `1 layer` and `2 layers`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
