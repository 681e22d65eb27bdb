"""What a build did: bytes, by what was done with them, and seconds, by the step that took them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

Deed = Literal["downloaded", "hashed", "compressed", "linked"]
Step = Literal["base", "dependencies", "wheel", "layers", "documents", "output"]


class Counts:
    """Sums, which several threads may add to: a blob or an answer at a time, so that it costs nothing."""

    def __init__(self) -> None:
        """Begin with nothing done."""
        self.bytes: dict[Deed, int] = dict.fromkeys(get_args(Deed), 0)
        self.seconds: dict[Step, float] = dict.fromkeys(get_args(Step), 0.0)
        self._lock = threading.Lock()

    def add(self, deed: Deed, size: int) -> None:
        """Add bytes."""
        with self._lock:
            self.bytes[deed] += size

    @contextmanager
    def step(self, step: Step) -> Iterator[None]:
        """Add the time that the block takes; what fails is not measured."""
        begun = time.perf_counter()
        yield
        with self._lock:
            self.seconds[step] += time.perf_counter() - begun

    def to_json(self) -> dict[str, Any]:
        """Return the sums as the record has them."""
        return {"bytes": self.bytes, "seconds": {step: round(taken, 3) for step, taken in self.seconds.items()}}
