"""Dependencies as layers: each made once, whatever the project's version, the commit or the base's patch level are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from hatch_oci.layers.cache import cached_layer
from hatch_oci.layers.entry import Entry, Kind, complete, folders_above
from hatch_oci.layers.layer import Layer
from hatch_oci.layers.venv import Compiler, Venv, installed_files, venv_entries
from hatch_oci.lock.clash import Placed
from hatch_oci.lock.dependencies import Dependency
from hatch_oci.store.blobs import BlobStore


def dependency_layer(
    summary: str,
    dependencies: Sequence[Dependency],
    venv: Venv,
    compression: str,
    store: BlobStore,
    compiler: tuple[str, Compiler] | None = None,
) -> Layer:
    """Return the layer of some wheels, in the order of their names; `compiler` is what it is called, and it itself."""
    ordered = _ordered(dependencies)

    def make() -> list[Entry]:
        return _entries(ordered, venv, stack, compiler[1] if compiler else None)

    parts = dependency_parts(ordered, venv, compiler[0] if compiler else None)
    with ExitStack() as stack:
        return cached_layer(parts, summary, compression, make, store)


def dependency_parts(dependencies: Sequence[Dependency], venv: Venv, compiler: str | None) -> list[Any]:
    """Return all that the layer of some wheels depends on, beside the compressor, as JSON."""
    digests = [f"{one.blob.digest}{' built' * one.built}" for one in _ordered(dependencies)]
    return [venv.prefix, venv.python_name, digests, compiler]


def _ordered(dependencies: Sequence[Dependency]) -> list[Dependency]:
    return sorted(dependencies, key=lambda one: one.facts.key)


def _entries(
    dependencies: Sequence[Dependency], venv: Venv, stack: ExitStack, compile_to: Compiler | None
) -> list[Entry]:
    placed = Placed()
    for one in dependencies:
        wheel = stack.enter_context(one.opened())
        for entry, digest in installed_files(wheel, venv, compile_to=compile_to):
            placed.put(replace(entry, packed=None) if one.built else entry, digest, wheel.filename)
    # What the venv's own layer brings is there, whatever lies below it: the layer is the same on every base.
    there = {path for entry in venv_entries(venv) for path in (entry.path, *folders_above(entry.path))}
    folders = there - {entry.path for entry in venv_entries(venv) if entry.kind is not Kind.FOLDER}
    return complete(placed.entries, folders.__contains__)
