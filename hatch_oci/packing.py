"""The layers that a build adds to its base, in their order."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hatch_oci.base.outline import Outline
from hatch_oci.errors import SourceError
from hatch_oci.ground import Ground
from hatch_oci.layers.entry import Entry
from hatch_oci.layers.folder import copy_entries
from hatch_oci.layers.layer import Layer, write_layer
from hatch_oci.layers.venv import Venv, venv_entries, wheel_entries
from hatch_oci.layers.wheel import Wheel
from hatch_oci.settings import Settings
from hatch_oci.store.blobs import BlobStore


@dataclass(frozen=True, slots=True)
class App:
    """The project's wheel, and the venv that it is installed into."""

    wheel: Wheel
    venv: Venv


def pack_layers(
    settings: Settings,
    root: Path,
    app: App | None,
    base: Outline,
    store: BlobStore,
    left_out: Callable[[Path], bool] = lambda _path: False,
) -> Iterator[Layer]:
    """Yield the layers as they are written: the venv, the copied folders, and the app, which changes most.

    `left_out` tells which files of the project are never copied. A `SourceError` where two layers put a file at one
    path, or one would destroy what the base has there.
    """
    ground = Ground(base)
    if app:
        _check_prefix(app.venv, ground)
    for summary, entries in _parts(settings, root, app, left_out):
        yield write_layer(ground.lay(entries, summary), summary, settings.compression, store)


def _check_prefix(venv: Venv, ground: Ground) -> None:
    """Refuse a venv whose links to the base's Python would take that Python's place."""
    if ground.real_path(venv.bin) == posixpath.dirname(venv.python).strip("/"):
        message = f"prefix = {venv.prefix!r} is where the base has its own Python, {venv.python}: choose another folder"
        raise SourceError(message)


def _parts(
    settings: Settings, root: Path, app: App | None, left_out: Callable[[Path], bool]
) -> Iterator[tuple[str, list[Entry]]]:
    if app:
        yield f"venv {app.venv.prefix}", venv_entries(app.venv)
    for copy in settings.copies:
        # Not where they come from, which may be a path of this machine: the summary goes into the image.
        yield f"files {copy.target.rstrip('/') or '/'}", copy_entries(copy, root, left_out)
    if app:
        wheel = app.wheel
        yield f"wheel {wheel.name} {wheel.version}", wheel_entries(wheel, app.venv, requested=True)
