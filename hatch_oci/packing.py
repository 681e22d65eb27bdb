"""The layers that a build adds to its base, in their order."""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from packaging.utils import canonicalize_name

from hatch_oci import stopping
from hatch_oci.base.outline import Outline
from hatch_oci.errors import SourceError
from hatch_oci.ground import Ground
from hatch_oci.image.digest import Digest
from hatch_oci.image.document import printable
from hatch_oci.installation import Installation
from hatch_oci.layers.bytecode import bytecode_path, compile_bytecode, compiler
from hatch_oci.layers.cache import cached_layer, recall_layer
from hatch_oci.layers.entry import Entry, Kind, file_entry
from hatch_oci.layers.folder import Copy, copy_entries
from hatch_oci.layers.layer import Layer, write_layer
from hatch_oci.layers.secrets import find_secrets
from hatch_oci.layers.venv import Compiler, Venv, venv_entries, wheel_entries
from hatch_oci.lock.dependencies import Dependency
from hatch_oci.lock.layers import dependency_layer, dependency_parts
from hatch_oci.settings import Settings
from hatch_oci.store.blobs import BlobStore

_OWN_LAYERS = 16
"""How many layers a build adds at most, unless it copies more folders than that."""

_LEAST_FOR_DEPENDENCIES = 3
_AT_ONCE = 2
"""How many layers are made at once: while one's files are read, another one's are compressed."""

_SHOWN = 4
"""How many files a warning names."""

_MOST_LAYERS = 127
"""What engines take, the base's included."""


class PlannedLayer(NamedTuple):
    """A layer that is still to be written, or is known from an earlier build."""

    summary: str
    write: Callable[[BlobStore], Layer]
    recall: Callable[[BlobStore], Layer | None] = lambda _store: None
    """Returns the layer, if it is known."""

    weight: int = 0
    """Bytes of what goes into it, roughly."""

    wheels: tuple[str, ...] = ()
    """The normalised names of the wheels that are in it."""


class Plan(NamedTuple):
    """The layers to write, the lowest first, and what the image then holds, the dependencies excepted."""

    layers: tuple[PlannedLayer, ...]
    ground: Ground
    installation: Installation | None
    """As it was asked for, but below the real path of its prefix."""


def plan_layers(
    settings: Settings,
    root: Path,
    installation: Installation | None,
    base: Outline,
    left_out: Callable[[str], bool] = lambda _path: False,
    warn: Callable[[str], None] = lambda _text: None,
) -> Plan:
    """Plan the venv, the dependencies, the workspace's members, the copied folders, and the app, which changes most.

    `left_out` tells which files of the project are never copied; `warn` is told of what people rarely mean to ship. A
    `SourceError` where two layers put a file at one path, or one would destroy what the base has there.
    """
    ground = Ground(base)
    if installation:
        installation = installation._replace(venv=_at_real_path(installation.venv, ground))
    layers = list(_planned(settings, root, installation, ground, left_out, warn))
    return Plan(tuple(layers), ground, installation)


def write_layers(planned: Sequence[PlannedLayer], store: BlobStore, tell: Callable[[Layer], None]) -> list[Layer]:
    """Return layers in their order, of which those that are not known are made, a few at once.

    `tell` is called with each when it is there.
    """

    def write(number: int) -> None:
        layers[number] = planned[number].write(store)
        tell(layers[number])

    layers = {number: layer for number, one in enumerate(planned) if (layer := one.recall(store))}
    for layer in layers.values():
        tell(layer)
    missing = [number for number in range(len(planned)) if number not in layers]
    # The heaviest first: at the end, none is waited for alone.
    stopping.work_on(sorted(missing, key=lambda number: -planned[number].weight), write, _AT_ONCE)
    return [layers[number] for number in range(len(planned))]


def places_of(planned: Sequence[PlannedLayer], layers: Sequence[Layer]) -> dict[str, Digest]:
    """Return which layer each wheel lies in, by the wheels' normalised names, once the layers are made."""
    pairs = zip(planned, layers, strict=True)
    return {name: layer.descriptor.digest for one, layer in pairs for name in one.wheels}


def _planned(
    settings: Settings,
    root: Path,
    installation: Installation | None,
    ground: Ground,
    left_out: Callable[[str], bool],
    warn: Callable[[str], None],
) -> Iterator[PlannedLayer]:
    compression = settings.compression
    if installation:
        venv = installation.venv
        yield _remembered(f"venv {venv.prefix}", venv_entries(venv), [asdict(venv)], ground, compression)
        yield from _dependencies(settings, installation)
    for copy in settings.copies:
        # Not where they come from, which may be a path of this machine: the summary goes into the image.
        summary = f"files {copy.target.rstrip('/') or '/'}"
        entries = copy_entries(copy, root, left_out)
        _tell_of_copy(copy, entries, warn)
        if installation:
            _check_apart(summary, entries, installation, ground)
        yield _fresh(summary, entries, ground, compression)
    if installation and installation.app:
        wheel = installation.app
        compile_to = _compiler(installation.venv) if "app" in settings.dependencies.bytecode else None
        files = wheel_entries(wheel, installation.venv, requested=True, compile_to=compile_to)
        if found := find_secrets(files, installation.venv.site_packages):
            advice = "`exclude` it in [tool.hatch.build.targets.wheel]"
            warn(f"{wheel.filename} holds what looks secret: {_some(found)}; {advice} if it should not be there")
        # How a wheel is deflated that was built here depends on this machine's zlib.
        entries = [replace(entry, packed=None) for entry in files]
        made_of = [wheel.sha256, asdict(installation.venv), compiler() if compile_to else None]
        planned = _remembered(f"wheel {wheel.name} {wheel.version}", entries, made_of, ground, compression)
        yield planned._replace(wheels=(canonicalize_name(wheel.name),))


def _tell_of_copy(copy: Copy, entries: Sequence[Entry], warn: Callable[[str], None]) -> None:
    """Warn of what people rarely mean to ship; a single file is what they named."""
    folder = copy.target.strip("/")
    if (found := find_secrets(entries, folder)) and entries[0].kind is Kind.FOLDER:
        warn(f"copy: {copy.source} holds what looks secret: {_some(found)}; `exclude` it if it should not be there")
    if copy.mode is not None and copy.mode & stat.S_IWOTH:
        warn(f"copy: mode = '{copy.mode:04o}' lets everybody in the container write to what comes from {copy.source}")


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(printable(path, 200) for path in paths[:_SHOWN]) + more


def _fresh(summary: str, entries: Sequence[Entry], ground: Ground, compression: str) -> PlannedLayer:
    laid = ground.lay(entries, summary)
    weight = sum(entry.size for entry in laid)
    return PlannedLayer(summary, lambda store: write_layer(laid, summary, compression, store), weight=weight)


def _remembered(
    summary: str, entries: Sequence[Entry], made_of: Sequence[Any], ground: Ground, compression: str
) -> PlannedLayer:
    """Plan a layer that need not be made again of the same: `made_of`, as JSON, decides what its files hold."""
    laid = ground.lay(entries, summary)
    # Where they lie is up to what is below.
    places = [(one.path, one.kind.name, one.mode, one.size, one.link, one.uid, one.gid) for one in laid]
    parts = [*made_of, places]
    return planned_of(parts, summary, compression, lambda: laid)


def planned_of(
    parts: Sequence[Any], summary: str, compression: str, make: Callable[[], Collection[Entry]]
) -> PlannedLayer:
    """Plan a layer whose entries, which `make` gives, depend on `parts` (as JSON) alone."""
    return PlannedLayer(
        summary,
        lambda store: cached_layer(parts, summary, compression, make, store),
        lambda store: recall_layer(parts, summary, compression, store),
    )


def _dependencies(settings: Settings, installation: Installation) -> Iterator[PlannedLayer]:
    others = 1 + len(settings.copies) + bool(installation.members) + bool(installation.app)
    strategy = settings.dependencies.layers
    most = max(_OWN_LAYERS - others, _LEAST_FOR_DEPENDENCIES) if strategy == "auto" else _MOST_LAYERS - others
    groups = [(group.summary, chosen) for group, chosen in installation.groups(strategy, most)]
    if installation.members:
        names = ", ".join(one.facts.key for one in installation.members)
        groups.append((f"workspace {names}", installation.members))
    venv = installation.venv
    named_compiler = None
    if "dependencies" in settings.dependencies.bytecode:
        named_compiler = (compiler(), _compiler(venv))
    for summary, chosen in groups:
        yield _planned_dependencies(summary, chosen, venv, settings.compression, named_compiler)


def _planned_dependencies(
    summary: str,
    chosen: Sequence[Dependency],
    venv: Venv,
    compression: str,
    named_compiler: tuple[str, Compiler] | None,
) -> PlannedLayer:
    parts = dependency_parts(chosen, venv, named_compiler[0] if named_compiler else None)
    return PlannedLayer(
        summary,
        lambda store: dependency_layer(summary, chosen, venv, compression, store, named_compiler),
        lambda store: recall_layer(parts, summary, compression, store),
        sum(one.blob.size for one in chosen),
        tuple(one.facts.key for one in chosen),
    )


def _compiler(venv: Venv) -> Compiler:
    def compile_to(source: bytes, path: str) -> Entry | None:
        data = compile_bytecode(source, path)
        return file_entry(bytecode_path(path, venv.python_minor), data) if data else None

    return compile_to


def _at_real_path(venv: Venv, ground: Ground) -> Venv:
    """Return the venv at the place that its prefix leads to; a `SourceError` where the base has a Python there."""
    if ground.real_path(venv.bin) == posixpath.dirname(venv.python).strip("/"):
        message = f"prefix = {venv.prefix!r} is where the base has its own Python, {venv.python}: choose another folder"
        raise SourceError(message)
    real = replace(venv, prefix=f"/{ground.real_path(venv.prefix)}")
    # A venv laid over another would be neither: the packages of both, in versions that nobody chose together.
    if there := next((entry.path for entry in venv_entries(real) if ground.has(entry.path)), None):
        message = (
            f"prefix = {venv.prefix!r}: the base has a Python environment there already, with /{there}\n"
            "Choose another `prefix`, or a base without one: the packages of both would mix"
        )
        raise SourceError(message)
    return real


def _check_apart(summary: str, entries: Sequence[Entry], installation: Installation, ground: Ground) -> None:
    """Refuse copied files among those of a dependency, whose layer is made without a look at other layers."""
    venv = installation.venv
    prefix = venv.prefix.strip("/")
    for entry in entries:
        folder, _, name = entry.path.rpartition("/")
        path = f"{ground.real_path(folder)}/{name}"
        if entry.kind is Kind.FOLDER or not path.startswith(f"{prefix}/"):
            continue
        below = path.removeprefix(f"{venv.site_packages}/").removeprefix(f"{prefix}/")
        tops = {below.partition("/")[0], "/".join(below.split("/")[:2])}
        for one in installation.wheels:
            if not tops.isdisjoint(one.facts.tops):
                message = f"{summary} would put /{path} among the files of {one.filename}"
                raise SourceError(message)
