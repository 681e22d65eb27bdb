"""Files laid into an image on scratch: read, hashed and compressed."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from bench import BenchError
from bench.cases import Case, Pair
from bench.files import write_code, write_half_random
from bench.images import layers_of, size_by_zlib
from bench.projects import Project
from bench.stack import say
from bench.timing import Command, Side

if TYPE_CHECKING:
    from pathlib import Path

    from bench.place import Place


def _many(_place: Place, folder: Path) -> Pair:
    project, source = _project(folder)
    say("Writing 10,000 modules")
    write_code(source, 10_000, 12_500)

    def size() -> float:
        (layer,) = layers_of(project.image)
        return layer.size / size_by_zlib(layer)

    return Pair(_copy(project), _umoci(folder / "umoci", source), size)


def _many_by_buildah(_place: Place, folder: Path) -> Pair:
    project, source = _project(folder)
    say("Writing 10,000 modules")
    write_code(source, 10_000, 12_500)
    return Pair(_copy(project), _buildah(folder / "buildah", source))


def _large(_place: Place, folder: Path) -> Pair:
    project, source = _project(folder)
    say("Writing a file of 1 GB")
    write_half_random(source / "large.bin", 10**9)
    layout = folder / "umoci"

    def size() -> float:
        (ours,), (theirs,) = layers_of(project.image), layers_of(layout)
        return ours.size / theirs.size

    return Pair(_copy(project), _umoci(layout, source), size)


def _project(folder: Path) -> tuple[Project, Path]:
    table = ('base-image = "scratch"', "wheel = false", 'copy = [{ from = "files", to = "/srv" }]')
    project = Project(folder, *table)
    return project, project.folder / "files"


def _copy(project: Project) -> Side:
    return Side([project.build()], project.forget)


def _umoci(layout: Path, source: Path) -> Side:
    image = f"{layout}:1"

    def fresh() -> None:
        shutil.rmtree(layout, ignore_errors=True)
        for command in (["init", "--layout", layout], ["new", "--image", image]):
            done = subprocess.run(["umoci", *command], capture_output=True, text=True, check=False)  # noqa: S603, S607
            if done.returncode:
                message = f"umoci {command[0]} fails: {done.stderr.strip()}"
                raise BenchError(message)

    return Side([Command(["umoci", "insert", "--rootless", "--image", image, source, "/srv"], layout.parent)], fresh)


def _buildah(folder: Path, source: Path) -> Side:
    # Without an overlay, which not every file system carries.
    buildah: list[str | Path] = [
        "buildah",
        "--root",
        folder / "root",
        "--runroot",
        folder / "run",
        "--storage-driver",
        "vfs",
    ]
    steps: list[list[str | Path]] = [
        ["from", "--name", "bench", "scratch"],
        ["copy", "--quiet", "bench", source, "/srv"],
        ["commit", "--quiet", "--disable-compression=false", "bench", f"oci:{folder / 'image'}:1"],
    ]

    def fresh() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()

    return Side([Command([*buildah, *step], source.parent) for step in steps], fresh)


CASES = (
    Case(
        "files",
        "10,000 Python files as a `copy` layer; size by `zlib -6`",
        "`umoci insert`",
        0.7,
        _many,
        stretch=0.5,
        size_bar=1.12,
        tools=["umoci"],
        room=512,
    ),
    Case(
        "files-buildah",
        "10,000 Python files as a `copy` layer",
        "`buildah copy` and `commit`",
        0.7,
        _many_by_buildah,
        stretch=0.5,
        tools=["buildah"],
        room=1024,
    ),
    Case(
        "large-file",
        "a file of 1 GB that compresses by half as a `copy` layer; size by `umoci`",
        "`umoci insert`",
        1.0,
        _large,
        stretch=0.6,
        size_bar=1.05,
        tools=["umoci"],
        room=3 * 1024,
    ),
)
