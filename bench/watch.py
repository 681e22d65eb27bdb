"""Which files of a folder are opened and written while something is done."""

from __future__ import annotations

import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass
class Seen:
    """What was seen."""

    seconds: float = 0.0
    opened: Counter[str] = field(default_factory=Counter)
    """How often each file was opened, by its path."""

    written: dict[str, int] = field(default_factory=dict)
    """The sizes of the files that are new or changed, by their paths."""

    def times(self, paths: Iterable[Path]) -> int:
        """Return how often files were opened."""
        return sum(self.opened[str(path)] for path in paths)


class Watch:
    """Watches a folder by Python's own audit events, which nothing that opens a file gets round."""

    def __init__(self, folder: Path) -> None:
        """Begin to listen; events cannot be unsubscribed, so one watch is enough."""
        self._folder = folder
        self._seen: Seen | None = None
        sys.addaudithook(self._hear)

    @contextmanager
    def seeing(self) -> Iterator[Seen]:
        """Yield what is seen while the block runs."""
        seen = Seen()
        before = self._files()
        start = time.perf_counter()
        self._seen = seen
        try:
            yield seen
        finally:
            self._seen = None
            seen.seconds = time.perf_counter() - start
            seen.written = {path: stat[0] for path, stat in self._files().items() if before.get(path) != stat}

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and self._seen is not None and isinstance(arguments[0], str | Path):
            self._seen.opened[str(arguments[0])] += 1

    def _files(self) -> dict[str, tuple[int, int, int]]:
        stats = {str(path): path.stat() for path in self._folder.rglob("*") if path.is_file()}
        return {path: (stat.st_size, stat.st_ino, stat.st_mtime_ns) for path, stat in stats.items()}
