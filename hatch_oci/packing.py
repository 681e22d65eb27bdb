"""The layers that a build adds to its base, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hatch_oci.errors import SourceError
from hatch_oci.layers.entry import Entry, Kind, complete
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
    has_folder: Callable[[str], bool],
    store: BlobStore,
    left_out: Callable[[Path], bool] = lambda _path: False,
) -> Iterator[Layer]:
    """Yield the layers as they are written: the venv, the copied folders, and the app, which changes most.

    `has_folder` tells which folders the base has, `left_out` which files of the project are never copied. A `SourceError` where two of them put a file at one path.
    """
    placed: dict[str, tuple[Kind, str]] = {}

    def is_there(path: str) -> bool:
        return has_folder(path) or placed.get(path, (None,))[0] is Kind.FOLDER

    for summary, entries in _parts(settings, root, app, left_out):
        complete_entries = complete(entries, is_there)
        for entry in complete_entries:
            if entry.path in placed:
                message = f"{placed[entry.path][1]} and {summary} both want the path /{entry.path}"
                raise SourceError(message)
            if entry.kind is not Kind.FOLDER and has_folder(entry.path):
                message = f"{summary} would replace /{entry.path}, which is a folder of the base"
                raise SourceError(message)
        placed |= {entry.path: (entry.kind, summary) for entry in complete_entries}
        yield write_layer(complete_entries, summary, settings.compression, store)


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
