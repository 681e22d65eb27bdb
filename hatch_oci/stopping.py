"""Work on several things at once, which ends where one of them fails, be the others asleep or waiting for a server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from hatch_oci.errors import OCIError

_T = TypeVar("_T")
_R = TypeVar("_R")

_stop: ContextVar[threading.Event | None] = ContextVar("stop", default=None)


@contextmanager
def stoppable(stop: threading.Event) -> Iterator[None]:
    """Let what this thread does end when another one sets `stop`."""
    token = _stop.set(stop)
    try:
        yield
    finally:
        _stop.reset(token)


def check() -> None:
    """Raise an `OCIError` where this thread's work has been called off."""
    stop = _stop.get()
    # Asked for each piece of a blob: waiting for no time at all would take a lock.
    if stop is not None and stop.is_set():
        sleep(0)


def sleep(seconds: float) -> None:
    """Wait; an `OCIError` ends it where this thread's work is called off."""
    stop = _stop.get()
    if stop is None:
        time.sleep(seconds)
    elif stop.wait(seconds):
        message = "called off, since something else failed"
        raise OCIError(message)


def work_on(items: Sequence[_T], work: Callable[[_T], _R], threads: int) -> list[_R]:
    """Do `work` on each of `items`, `threads` at a time, and return the results in their order.

    The first failure, or the user's Ctrl-C, ends what else is under way, and is raised.
    """
    if len(items) < 2:
        return [work(item) for item in items]
    # Not above: it takes longer to import than most builds take for what they have one item of at most.
    from concurrent.futures import ThreadPoolExecutor, as_completed

    stop = threading.Event()
    failures: list[Exception] = []

    def run(item: _T) -> _R:
        with stoppable(stop):
            check()
            try:
                return work(item)
            except Exception as error:
                failures.append(error)
                stop.set()
                raise

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(run, item) for item in items]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException as error:
            stop.set()
            pool.shutdown(cancel_futures=True)
            if isinstance(error, Exception) and failures:
                # Another one may have been called off before the first failure was told.
                raise failures[0] from None
            raise
        return [future.result() for future in futures]
