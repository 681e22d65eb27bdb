"""Work on the blocks of a layer on all cores, whose results come in the blocks' order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from hatch_oci.layers.compress import Block, Job

_MOST_THREADS = 8
_AHEAD = 2
"""How many blocks wait for a thread, beyond one for each."""


@contextmanager
def aside(see: Callable[[Block], None]) -> Iterator[Callable[[Block], None]]:
    """Yield a function that does what `see` does, in its order, but in another thread, at most two calls behind."""
    seen: deque[Future[None]] = deque()

    def see_aside(data: Block) -> None:
        seen.append(thread.submit(see, data))
        if len(seen) > _AHEAD:
            seen.popleft().result()

    with ThreadPoolExecutor(1) as thread:
        yield see_aside


def in_order(jobs: Iterable[Job]) -> Iterator[Block]:
    """Do jobs in several threads, and yield what they make in their order."""
    threads = min(_cores(), _MOST_THREADS)
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[Block]] = deque()
        for job in jobs:
            pending.append(pool.submit(job))
            if len(pending) > threads + _AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
