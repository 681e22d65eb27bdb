"""What has to be pushed when one dependency changes, and what a build does that changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.bump import bump
from bench.stack import PLATFORMS, VENV, gather, lock, say
from bench.table import markdown
from bench.watch import Watch
from hatch_oci.errors import OCIError
from hatch_oci.installation import Installation
from hatch_oci.lock.dependencies import Dependency, check_clashes
from hatch_oci.lock.layers import dependency_layer
from hatch_oci.store.blobs import BlobStore, cache_folder

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_oci.image.digest import Digest
    from hatch_oci.image.platform import Platform

Dependencies = Sequence[Dependency]
Stack = Mapping["Platform", Dependencies]
Sizes = dict["Digest", int]

BUMPS = {
    "click": ("click",),
    "boto3 + botocore": ("boto3", "botocore"),
    "pandas": ("pandas",),
    "sqlalchemy": ("sqlalchemy",),
}
_ROOM = 14
"""How many layers of dependencies a build makes at most: 16, without the venv's and the app's."""

_ANY_NUMBER = 127


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to spread wheels over layers."""

    name: str
    split: Callable[[Dependencies], Iterable[Dependencies]]


def report(folder: Path) -> Iterator[str]:
    """Measure in an empty folder; yield the lines of the report. Wheels stay in the user's cache, layers do not."""
    (folder / "project").mkdir()
    say("Locking")
    lock(folder / "project")
    wheels = BlobStore(cache_folder())
    stack = gather(folder / "project", wheels)
    names = {one.facts.key for chosen in stack.values() for one in chosen}
    size = sum(one.blob.size for one in stack[PLATFORMS[0]])
    yield f"{len(names)} wheels for each platform, {_mb(size)} MB of them for {PLATFORMS[0]}."
    yield ""
    yield from markdown(_pushed(stack, folder))
    yield ""
    yield from markdown(_twice(folder, wheels))


def _pushed(stack: Stack, folder: Path) -> Iterator[list[str]]:
    """Yield the rows about bumps: megabytes of the layers for the first platform that are others than before."""
    store = BlobStore(folder / "bumps")
    bumped = {}
    for name, keys in BUMPS.items():
        say(f"Bumping {name}")
        bumped[name] = [bump(one, folder, store) if one.facts.key in keys else one for one in stack[PLATFORMS[0]]]
    yield ["Strategy", "Layers", *BUMPS, " + ".join(platform.architecture for platform in PLATFORMS) + " stored"]
    for strategy in _strategies():
        say(f"Writing layers: {strategy.name}")
        sizes = {platform: _write(strategy, stack[platform], store) for platform in PLATFORMS}
        before = sizes[PLATFORMS[0]]
        pushed = [_new(_write(strategy, chosen, store), before) for chosen in bumped.values()]
        stored: Sizes = {digest: size for layers in sizes.values() for digest, size in layers.items()}
        yield [strategy.name, str(len(before)), *map(_mb, pushed), _mb(sum(stored.values()))]


def _strategies() -> list[Strategy]:
    return [
        Strategy("`one`", lambda chosen: _grouped(chosen, "one", _ANY_NUMBER)),
        Strategy("pure / native", _by_purity),
        Strategy("`auto`", lambda chosen: _grouped(chosen, "auto", _ROOM)),
        Strategy("`per-package`", lambda chosen: _grouped(chosen, "per-package", _ANY_NUMBER)),
    ]


def _grouped(chosen: Dependencies, strategy: str, most: int) -> list[Dependencies]:
    return [group for _, group in Installation(VENV, tuple(chosen)).groups(strategy, most)]


def _by_purity(chosen: Dependencies) -> list[Dependencies]:
    return [[one for one in chosen if one.facts.pure is pure] for pure in (True, False)]


def _write(strategy: Strategy, chosen: Dependencies, store: BlobStore) -> Sizes:
    layers = [dependency_layer("", group, VENV, "gzip", store) for group in strategy.split(chosen)]
    return {layer.descriptor.digest: layer.descriptor.size for layer in layers}


def _new(sizes: Sizes, before: Sizes) -> int:
    return sum(size for digest, size in sizes.items() if digest not in before)


def _twice(folder: Path, wheels: BlobStore) -> Iterator[list[str]]:
    """Yield the rows about one build after the other, both platforms each, with all wheels fetched before.

    An `OCIError` where the second does anything.
    """
    store = BlobStore(folder / "builds")
    watch = Watch(folder / "builds")
    for name in ("first", "second"):
        say(f"Building for the {name} time")
        with watch.seeing() as gathering:
            stack = gather(folder / "project", wheels)
        with watch.seeing() as making:
            for chosen in stack.values():
                check_clashes(chosen, None, VENV, store)
            layers = [
                dependency_layer("", group, VENV, "gzip", store)
                for chosen in stack.values()
                for group in _grouped(chosen, "auto", _ROOM)
            ]
        paths = {one.blob.path for chosen in stack.values() for one in chosen}
        layer_paths = {store.path(layer.descriptor.digest) for layer in layers}
        counts = {
            "wheels unpacked": making.times(paths),
            "layers written": sum(str(path) in making.written for path in layer_paths),
            "bytes written to the cache": sum(making.written.values()),
            "layers read to check their hashes": making.times(layer_paths),
            "wheels read to check their hashes": gathering.times(paths),
        }
        if name == "first":
            yield ["Build", "seconds", *counts]
        yield [name, f"{gathering.seconds + making.seconds:.2f}", *(f"{count:,}" for count in counts.values())]
    if done := [f"{what}: {count:,}" for what, count in counts.items() if count]:
        message = f"the second build, which changes nothing, was not idle: {'; '.join(done)}"
        raise OCIError(message)


def _mb(count: int) -> str:
    megabytes = count / 1_000_000
    return f"{megabytes:.2f}" if megabytes < 1 else f"{megabytes:.1f}"
