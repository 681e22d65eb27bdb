"""A base out of a registry, pinned: its digest behind its tag, so that it is the same one until somebody moves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hatch_oci.base.name import is_fixed, is_local
from hatch_oci.base.resolve import Base, resolve_source
from hatch_oci.base.source import Source, open_registry
from hatch_oci.config import ChosenBase
from hatch_oci.errors import BaseError, ConfigError, RegistryError
from hatch_oci.image.digest import Digest
from hatch_oci.image.reference import Reference, shown, split_host
from hatch_oci.project_file import set_key
from hatch_oci.registry.options import OFFLINE_VARIABLE
from hatch_oci.registry.remote import Remote
from hatch_oci.report import format_size
from hatch_oci.store.blobs import BlobStore

_KEY = "base-image"


@dataclass(frozen=True, slots=True)
class Followed:
    """A tag: the digest that it is pinned to, if it is, and what it stands for today."""

    tagged: str
    """As the project writes it, with the tag."""

    pinned: Digest | None
    today: Source

    @property
    def digest(self) -> Digest:
        """The digest that it stands for: an index's, which holds for all platforms, where there is one."""
        return self.today.top.digest

    @property
    def moved(self) -> bool:
        """Whether it stands for another image than it is pinned to."""
        return self.pinned != self.digest


def pin(chosen: ChosenBase, root: Path, remote: Remote, store: BlobStore) -> str:
    """Write the digest behind the tag, unless there is one; return what to tell of it."""
    if is_fixed(chosen.name) and _reference(chosen.name).digest:
        return f"{chosen.name} is pinned already; `pin --update` moves it to what the tag stands for today"
    return _write(chosen, _follow(chosen.name, remote, store), root)


def update(chosen: ChosenBase, root: Path, remote: Remote, store: BlobStore) -> str:
    """Write the digest that the tag stands for today; return what to tell of it, with the layers that change."""
    _need_network(remote)
    followed = _follow(chosen.name, remote, store)
    if not followed.moved:
        return _still(followed)
    # Before it is written: one that does not serve the platforms is no successor.
    changes = list(_changes(chosen, followed, remote, store))
    return "\n".join([_write(chosen, followed, root), *changes])


def check(chosen: ChosenBase, remote: Remote, store: BlobStore) -> tuple[bool, str]:
    """Tell whether the tag still stands for what it is pinned to, and what to say of it."""
    _need_network(remote)
    followed = _follow(chosen.name, remote, store)
    if followed.pinned is None:
        return False, f"{followed.tagged} is not pinned: run `python -m hatch_oci pin`"
    if followed.moved:
        moved = f"{followed.tagged} has moved from {followed.pinned} to {followed.digest}"
        return False, f"{moved}; `python -m hatch_oci pin --update` follows it"
    return True, _still(followed)


def _reference(name: str) -> Reference:
    if name == "scratch" or is_local(name):
        message = f"{shown(name)} is not out of a registry: there is nothing to pin"
        raise BaseError(message)
    return Reference.parse(name)


def _follow(name: str, remote: Remote, store: BlobStore) -> Followed:
    reference = _reference(name)
    if reference.tag is None:
        message = (
            f"{shown(name)} has a digest, but no tag that could be followed: write it like python:3.13-slim@sha256:…"
        )
        raise BaseError(message)
    tagged = name.partition("@")[0]
    if ":" not in split_host(tagged)[1]:
        tagged = f"{tagged}:{reference.tag}"
    return Followed(tagged, reference.digest, open_registry(remote, tagged, store))


def _need_network(remote: Remote) -> None:
    if remote.options.offline:
        message = f"what a tag stands for today, only its registry knows: run it without {OFFLINE_VARIABLE}"
        raise RegistryError(message)


def _still(followed: Followed) -> str:
    return f"{followed.tagged} still stands for {followed.digest}"


def _write(chosen: ChosenBase, followed: Followed, root: Path) -> str:
    pinned = f"{followed.tagged}@{followed.digest}"
    # Behind a field's default, too: {env:BASE_IMAGE:python:3.13-slim@sha256:…}
    before, found, after = (chosen.written or chosen.name).rpartition(chosen.name)
    written = f"{before}{pinned}{after}"
    if not found or chosen.format(written) != pinned:
        message = (
            f"Field `tool.hatch.build.targets.oci.{_KEY}` is {chosen.written!r}, "
            f"whose value {chosen.name!r} comes from a variable: write the digest there, or unset it to pin the default"
        )
        raise ConfigError([message])
    path = set_key(root, _KEY, written)
    return f"{path.name}: {followed.tagged} is pinned to {followed.digest}"


def _changes(chosen: ChosenBase, followed: Followed, remote: Remote, store: BlobStore) -> Iterator[str]:
    """Yield what a move means: from which digest, and the layers of each platform that go and come."""
    new = [resolve_source(followed.today, platform, store) for platform in chosen.platforms]
    if followed.pinned is None:
        return
    yield f"before: {followed.pinned}"
    try:
        before = open_registry(remote, f"{followed.tagged}@{followed.pinned}", store)
        old = [resolve_source(before, platform, store) for platform in chosen.platforms]
    except (RegistryError, BaseError) as error:
        # Registries drop what no tag leads to any more.
        yield f"which layers change cannot be told: {error}"
        return
    for was, now in zip(old, new, strict=True):
        yield from _layer_changes(was, now)


def _layer_changes(was: Base, now: Base) -> Iterator[str]:
    gone = [layer for layer in was.layers if layer not in now.layers]
    come = [layer for layer in now.layers if layer not in was.layers]
    yield f"{now.config.platform}: {len(come)} of {len(now.layers)} layers change"
    yield from (f"  - {layer.digest} {format_size(layer.size)}" for layer in gone)
    yield from (f"  + {layer.digest} {format_size(layer.size)}" for layer in come)
