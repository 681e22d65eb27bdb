"""What a case is, and what came of running it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.place import Place
from bench.timing import Run, Side

MIB = 1024**2
PEAK_BAR, PEAK_STRETCH = 96, 64
"""MiB of memory that a build may take, whatever it is about."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The two that are compared, and how large our result is: in parts of what it is compared to, after a run."""

    ours: Side
    peer: Side
    size: Callable[[], float] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Something to measure against a peer."""

    name: str
    what: str
    peer: str
    bar: float | None
    """The most that ours may take, in parts of the peer's seconds; None where `stretch` alone is aimed at."""

    make: Callable[[Place, Path], Pair]
    """Get all ready, in an empty folder that is removed afterwards."""

    stretch: float | None = None
    size_bar: float | None = None
    tools: Sequence[str] = ()
    room: int = 0
    """How much it takes of the disk, in MiB."""


@dataclass(frozen=True, slots=True)
class Result:
    """What the runs of a case took, those of a pair side by side."""

    case: Case
    ours: Sequence[Run]
    peer: Sequence[Run]
    size: float | None = None

    @property
    def ratio(self) -> float:
        """The median of the ratios: what slows the machine down for a while slows both of a pair."""
        return median(ours.seconds / peer.seconds for ours, peer in zip(self.ours, self.peer, strict=True))

    @property
    def peak(self) -> float:
        """MiB of memory of our largest process, in the worst of the runs."""
        return max(run.peak for run in self.ours) / MIB

    @property
    def missed(self) -> list[str]:
        """What is above its bar."""
        case = self.case
        return [
            *(["time"] if case.bar is not None and self.ratio > case.bar else []),
            *(["size"] if self.size is not None and case.size_bar and self.size > case.size_bar else []),
            *(["memory"] if self.peak > PEAK_BAR else []),
        ]


def run_pairs(case: Case, place: Place, folder: Path, count: int) -> Result:
    """Run both of a case once to warm up, then in turn, so many times."""
    pair = case.make(place, folder)
    runs = [(pair.ours.run(), pair.peer.run()) for _ in range(count + 1)][1:]
    size = pair.size() if pair.size else None
    return Result(case, [ours for ours, _ in runs], [peer for _, peer in runs], size)
