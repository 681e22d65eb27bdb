"""A large base, fetched into a layout: what a build does when it adds nothing."""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING

from bench.cases import Case, Pair
from bench.place import SKOPEO
from bench.projects import Project
from bench.timing import Command, Side

if TYPE_CHECKING:
    from pathlib import Path

    from bench.place import Image, Place

_ROOM = 5 * 1024


def _cold(place: Place, folder: Path) -> Pair:
    return Pair(_fetch(place.large_base, folder), _skopeo(place.large_base, folder / "skopeo"))


def _cold_curl(place: Place, folder: Path) -> Pair:
    return Pair(_fetch(place.large_base, folder), _curl(place.large_base, folder / "curl"))


def _warm(place: Place, folder: Path) -> Pair:
    project = _project(folder, place.large_base.pinned)
    return Pair(Side([project.build()], project.clean), _skopeo(place.large_base, folder / "skopeo"))


def _fetch(base: Image, folder: Path) -> Side:
    project = _project(folder, base.tagged)
    return Side([project.build()], project.forget)


def _project(folder: Path, base: str) -> Project:
    # Nobody else looks for packages in it.
    return Project(folder, f'base-image = "{base}"', "wheel = false", "sbom = false")


def _skopeo(base: Image, target: Path) -> Side:
    command = [*SKOPEO, "--src-tls-verify=false", f"docker://{base.tagged}", f"oci:{target}:1"]
    return Side([Command(command, target.parent)], partial(shutil.rmtree, target, ignore_errors=True))


def _curl(base: Image, target: Path) -> Side:
    """A process for each blob, all at once, as fast as it can come; nothing is checked."""
    target.mkdir()
    urls = target / "urls"
    urls.write_text("".join(f"{number} {url}\n" for number, url in enumerate(base.urls)), "utf-8")
    command: list[str | Path] = ["xargs", "--arg-file", urls, "--max-procs", str(len(base.urls)), "--max-args", "2"]
    command += ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--output"]

    def clean() -> None:
        for number in range(len(base.urls)):
            (target / str(number)).unlink(missing_ok=True)

    return Side([Command(command, target)], clean)


_TOOLS = ("docker-registry", "skopeo")
CASES = (
    Case(
        "base-cold",
        "1 GiB base of 8 layers, cold cache",
        "`skopeo copy`",
        0.33,
        _cold,
        tools=_TOOLS,
        room=_ROOM,
    ),
    Case(
        "base-cold-curl",
        "1 GiB base of 8 layers, cold cache",
        "8 `curl` at once, which check nothing",
        None,
        _cold_curl,
        stretch=1.0,
        tools=(*_TOOLS, "curl"),
        room=_ROOM,
    ),
    Case(
        "base-warm",
        "1 GiB base of 8 layers by its digest, warm cache",
        "`skopeo copy`",
        0.05,
        _warm,
        tools=_TOOLS,
        room=_ROOM,
    ),
)
