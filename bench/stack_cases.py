"""A web service with 32 wheels: their layers made, built again, and pushed again."""

from __future__ import annotations

import shlex
import shutil
import sys
from functools import partial
from typing import TYPE_CHECKING

from bench.cases import Case, Pair
from bench.projects import PYTHON_LINES, Project
from bench.stack import PACKAGES, say
from bench.timing import Command, Side
from bench.wheels import forget_layers
from hatch_oci.lock.build import add_file
from hatch_oci.lock.uv import run_uv
from hatch_oci.store.blobs import BlobStore

if TYPE_CHECKING:
    from pathlib import Path

    from bench.place import Place


def _dependencies(compression: str, place: Place, folder: Path) -> Pair:
    lines = ("wheel = false", 'lock = "uv.lock"', f'compression = "{compression}"')
    project = _project(place, folder, *lines)
    ours = Side([project.build()], partial(forget_layers, project, place.python_base.layers))
    return Pair(ours, _uv_and_pigz(project, folder / "uv"))


def _unchanged(place: Place, folder: Path) -> Pair:
    project = _project(place, folder)
    return Pair(Side([project.build()]), Side([project.build("wheel")]))


def _changed(place: Place, folder: Path) -> Pair:
    project = _project(place, folder)
    return Pair(Side([project.build()], project.change), Side([project.build("wheel")], project.change))


def _pushed(place: Place, folder: Path) -> Pair:
    project = _project(place, folder, f'repository = "{place.registry}/app"')
    return Pair(Side([project.push()], project.change), Side([project.build()], project.change))


def _project(place: Place, folder: Path, *table: str) -> Project:
    """Return a project with the stack in its lock, and the wheels in its cache."""
    base = f'base-image = "{place.python_base.pinned}"'
    project = Project(folder, base, *PYTHON_LINES, *table, dependencies=PACKAGES)
    wheels = place.wheels
    say("Locking for a project")
    run_uv(["lock"], project.folder, offline=False)
    store = BlobStore(project.cache)
    for wheel in wheels:
        add_file(wheel, store)
    return project


def _uv_and_pigz(project: Project, folder: Path) -> Side:
    """The wheels installed out of uv's own cache (linked, where it and the folder share a disk), and packed."""
    from uv import find_uv_bin

    folder.mkdir()
    requirements = folder / "requirements.txt"
    exported = run_uv(["export", "--frozen", "--no-emit-project"], project.folder, offline=False)
    requirements.write_text(exported, "utf-8")
    target, layer = folder / "site-packages", folder / "layer.tar.gz"
    install = [
        *("pip", "install", "--no-deps", "--requirements", str(requirements), "--target", str(target)),
        *("--python", sys.executable, "--python-version", "3.11"),
        *("--python-platform", "x86_64-manylinux_2_28"),
    ]
    run_uv(install, folder, offline=False)
    pack = f"tar -cf - {shlex.quote(target.name)} | pigz -6 -p 2 > {layer.name}"
    commands = [
        Command([find_uv_bin(), *install, "--offline", "--no-config", "--quiet"], folder),
        Command(["sh", "-c", pack], folder),
    ]
    return Side(commands, partial(shutil.rmtree, target, ignore_errors=True))


_WHEEL = "`hatchling build -t wheel`"
_TOOLS = ("docker-registry", "skopeo")
CASES = (
    *(
        Case(
            name,
            f"32 wheels ({', '.join(PACKAGES)}), in the cache, their layers not; `{compression}`",
            "`uv pip install --target`, offline, and `tar | pigz -6 -p 2`",
            0.4,
            partial(_dependencies, compression),
            stretch=0.25,
            tools=(*_TOOLS, "pigz"),
            room=1024,
        )
        for name, compression in (("wheels", "gzip"), ("wheels-reuse", "gzip-reuse"), ("wheels-zstd", "zstd"))
    ),
    Case(
        "rebuild", "the 32 wheels again, nothing changed", _WHEEL, 1.8, _unchanged, stretch=1.4, tools=_TOOLS, room=1024
    ),
    Case(
        "rebuild-app",
        "the 32 wheels again, a line of the app changed",
        _WHEEL,
        1.8,
        _changed,
        stretch=1.4,
        tools=_TOOLS,
        room=1024,
    ),
    Case(
        "push-app",
        "the 32 wheels again, a line of the app changed, and pushed",
        "the same without the push",
        1.5,
        _pushed,
        tools=_TOOLS,
        room=1024,
    ),
)
