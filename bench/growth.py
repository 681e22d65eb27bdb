"""How a build's time grows with how much there is to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from bench.cases import MIB, PEAK_BAR
from bench.files import write_code
from bench.place import Place
from bench.projects import PYTHON_LINES, Project
from bench.stack import say
from bench.timing import Run, Side
from bench.wheels import forget_layers, write_wheels

GROWTH_BAR = 1.25
"""The most that one more may take, in parts of what each takes where there are few."""

_SET = 1000
_MEAN = 2048


@dataclass(frozen=True, slots=True)
class Growth:
    """Something of which a build is given more and more."""

    name: str
    what: str
    counts: Sequence[int]
    """From the fewest to the most."""

    make: Callable[[Place, Path, int], Side]
    """Get a build with so many ready, or with none at all, in a folder of its own."""

    tools: Sequence[str] = ()
    room: int = 0


@dataclass(frozen=True, slots=True)
class Grown:
    """What the builds took, by how much there was to do; those of a round have the same place in each."""

    growth: Growth
    runs: Mapping[int, Sequence[Run]]

    def seconds_each(self, count: int) -> float:
        """Return the seconds that each one takes; a build of none, in the same round, is taken off before."""
        pairs = zip(self.runs[count], self.runs[0], strict=True)
        return median((run.seconds - nothing.seconds) / count for run, nothing in pairs)

    def ratio(self, count: int) -> float:
        """Return what each one takes, in parts of what it takes where there are the fewest."""
        return self.seconds_each(count) / self.seconds_each(self.growth.counts[0])

    def peak(self, count: int) -> float:
        """Return the MiB of memory of the largest process, in the worst of the runs."""
        return max(run.peak for run in self.runs[count]) / MIB

    def missed(self, count: int) -> list[str]:
        """Return what is above its bar."""
        # No division: where there are few, noise may be all there is.
        most = self.seconds_each(self.growth.counts[0]) * GROWTH_BAR
        return [
            *(["time"] if self.seconds_each(count) > most else []),
            *(["memory"] if self.peak(count) > PEAK_BAR else []),
        ]


def run_growth(growth: Growth, place: Place, folder: Path, rounds: int) -> Grown:
    """Build each once to warm up, then all in turn, so many times."""
    sides = {}
    for count in (0, *growth.counts):
        (own := folder / str(count)).mkdir()
        sides[count] = growth.make(place, own, count)
    runs: dict[int, list[Run]] = {count: [] for count in sides}
    for number in range(rounds + 1):
        # The build of none after that of the fewest: what the most leave behind slows down whatever comes next.
        for count in sorted(sides, reverse=True):
            run = sides[count].run()
            if number:
                runs[count].append(run)
    return Grown(growth, runs)


def _files(_place: Place, folder: Path, count: int) -> Side:
    project = Project(folder, 'base-image = "scratch"', "wheel = false", 'copy = [{ from = "files", to = "/srv" }]')
    files = project.folder / "files"
    files.mkdir()
    say(f"Writing {count:,} modules")
    # The same set again and again, so that there is more of it, and nothing else.
    for number in range(count // _SET):
        write_code(files / str(number), _SET, _MEAN)
    return Side([project.build()], project.forget)


def _layers(place: Place, folder: Path, count: int) -> Side:
    base = place.base(f"layers-{count}", count, 16 * MIB)
    project = Project(folder, f'base-image = "{base.tagged}"', "wheel = false", "sbom = false")
    return Side([project.build()], project.forget)


def _wheels(place: Place, folder: Path, count: int) -> Side:
    base = place.python_base
    names = [f"made{number}" for number in range(count)]
    table = (f'base-image = "{base.pinned}"', "wheel = false", 'lock = "pylock.toml"', *PYTHON_LINES)
    project = Project(folder, *table, dependencies=names)
    write_wheels(project.folder, count)
    return Side([project.build()], partial(forget_layers, project, base.layers))


_TOOLS = ("docker-registry", "skopeo")
GROWTHS = (
    Growth("growth-files", "files of 2 kB in a `copy` layer", (1_000, 10_000, 100_000), _files, room=1024),
    Growth(
        "growth-layers", "layers of a 16 MiB file in a base, cold cache", (1, 16, 100), _layers, tools=_TOOLS, room=6144
    ),
    Growth(
        "growth-wheels", "wheels of ten modules in a lock, in the cache", (32, 320), _wheels, tools=_TOOLS, room=256
    ),
)
