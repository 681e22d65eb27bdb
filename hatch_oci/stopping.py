"""Calling off what another thread does, be it asleep or waiting for a server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from hatch_oci.errors import OCIError

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
    sleep(0)


def sleep(seconds: float) -> None:
    """Wait; an `OCIError` ends it where this thread's work is called off."""
    stop = _stop.get()
    if stop is None:
        time.sleep(seconds)
    elif stop.wait(seconds):
        message = "called off, since something else failed"
        raise OCIError(message)
