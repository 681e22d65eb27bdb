"""The file system that a base's layers make together, without its content (image-spec, layer.md)."""

from __future__ import annotations

import tarfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hatch_oci import stopping
from hatch_oci.base.archive import members_of, open_layer, read_member
from hatch_oci.errors import ContentError
from hatch_oci.image.digest import Digest

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_MAX_LINKS = 40
_PARALLEL = 2
_TURNS = threading.BoundedSemaphore(_PARALLEL)
"""For whoever unpacks a layer, since each takes up to 32 MiB to be unpacked."""

_LONGEST_PATH = 4096
"""Bytes: Linux takes no longer one."""

_MEMBER, _FOLDER = 128, 512
"""What a member takes in memory, roughly, besides its names; and a folder that no member stands for."""

_LEAST, _RATIO = 40 * 1024 * 1024, 8
"""Bytes of memory that members may take in any base, and how many bytes of layers entitle to one more."""


class Member(NamedTuple):
    """A member of a layer's tar; as small as it can be, since a base may have a hundred thousand."""

    name: str
    kind: str
    """`folder`, `file`, `link` (symbolic), `hard link` or `other`."""

    mode: int
    link: str


@dataclass(slots=True)
class Allowance:
    """The memory that the members of an image's layers may take: most is for honest images, whose layers hold files.

    Without it, a megabyte of zipped headers would take a gigabyte here. Threads may share it.
    """

    left: int

    @classmethod
    def of(cls, size: int) -> Allowance:
        """Return what is allowed to layers of `size` bytes."""
        return cls(max(_LEAST, size // _RATIO))

    def take(self, count: int) -> None:
        """Use some of it; a `ContentError` where nothing is left."""
        self.left -= count
        if self.left < 0:
            message = "the layers of the base have more members than any honest ones of their size"
            raise ContentError(message)


Listings = dict[tuple[Path, Digest], list[Member]]
"""What is in layers, by their paths and diff_ids."""


@dataclass(slots=True)
class Entry:
    """A folder (with `children`), a symlink (with `link`), or a file that lies in a layer."""

    kind: str
    """`folder`, `file`, `link` (symbolic) or `other`."""

    mode: int = 0o755
    link: str = ""
    layer: int = -1
    """Where it comes from; -1 for a folder that no layer has an entry for."""

    member: str = ""
    """Its name in that layer's tar, where also a file's content is."""

    children: dict[str, Entry] = field(default_factory=dict)


_CHILDLESS: dict[str, Entry] = {}
"""Of every file, since there are many; only folders are put anything into."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A merged file system; paths are absolute, symlinks are followed within it."""

    root: Entry
    layers: tuple[Path, ...]
    allowance: Allowance

    def find(self, path: str) -> tuple[str, Entry] | None:
        """Return the real path of what `path` leads to, and the entry there; None where there is nothing."""
        trail: list[tuple[str, Entry]] = []
        pending = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        links = 0
        while pending:
            name = pending.pop()
            if name == "..":
                if trail:
                    trail.pop()
                continue
            child = (trail[-1][1] if trail else self.root).children.get(name)
            if child is None:
                return None
            if child.kind != "link":
                trail.append((name, child))
                continue
            links += 1
            if links > _MAX_LINKS:
                return None
            if child.link.startswith("/"):
                trail.clear()
            pending += [part for part in reversed(child.link.split("/")) if part not in ("", ".")]
        return "/" + "/".join(name for name, _ in trail), trail[-1][1] if trail else self.root

    def walk(self) -> Iterator[tuple[str, Entry]]:
        """Yield every path and its entry, the root excepted, in the order of the names."""
        stack = [("", self.root)]
        while stack:
            path, entry = stack.pop()
            if path:
                yield path, entry
            names = sorted(entry.children, reverse=True)
            stack.extend((f"{path}/{name}", entry.children[name]) for name in names)

    def read(self, paths: Sequence[str], most: int) -> dict[str, bytes]:
        """Return the first `most` bytes of files, by path; each layer is gone through once."""
        return dict(self.each(paths, most))

    def each(self, paths: Sequence[str], most: int) -> Iterator[tuple[str, bytes]]:
        """Yield what `read` returns, one file at a time; of those that come twice in a layer, the last counts."""
        wanted: dict[int, dict[str, list[str]]] = {}
        for path in paths:
            found = self.find(path)
            if found and found[1].kind == "file":
                members = wanted.setdefault(found[1].layer, {})
                members.setdefault(found[1].member, []).append(path)
        for number, members in wanted.items():
            with open_layer(self.layers[number], None) as tar:
                for info in members_of(tar):
                    if info.name in members and info.isreg():
                        data = read_member(tar, info, most)
                        yield from ((path, data) for path in members[info.name])


def read_tree(layers: Sequence[Path], diff_ids: Sequence[Digest], listings: Listings | None = None) -> Tree:
    """Merge layers, the lowest first; a `ContentError` for one that is broken or is not what its diff_id says.

    Those in `listings` were read before.
    """
    pairs = list(zip(layers, diff_ids, strict=True))
    members = dict(listings or {})
    allowance = Allowance.of(sum(path.stat().st_size for path in layers))
    for known in members.values():
        allowance.take(sum(map(_weight, known)))
    missing = [pair for pair in dict.fromkeys(pairs) if pair not in members]
    read = stopping.work_on(missing, lambda pair: list_layer(*pair, allowance), _PARALLEL) if missing else []
    members |= zip(missing, read, strict=True)
    tree = Tree(Entry("folder"), tuple(layers), allowance)
    for number, pair in enumerate(pairs):
        _apply(tree, number, members[pair])
    return tree


def list_layer(path: Path, diff_id: Digest, allowance: Allowance) -> list[Member]:
    """Return the members of a layer, which knows nothing of those below it; a `ContentError` as `read_tree`'s."""
    members = []
    with _TURNS, open_layer(path, diff_id) as tar:
        for info in members_of(tar):
            member = member_of(info)
            allowance.take(_weight(member))
            members.append(member)
    return members


def member_of(info: tarfile.TarInfo) -> Member:
    """Return what a tree needs to know of a member; a `ContentError` for a path that is too long for any system."""
    if max(len(info.name), len(info.linkname)) > _LONGEST_PATH:
        message = f"a layer of the base has a path of more than {_LONGEST_PATH} characters"
        raise ContentError(message)
    return Member(info.name, _kind(info), info.mode, info.linkname)


def _weight(member: Member) -> int:
    return _MEMBER + len(member.name) + len(member.link)


def _kind(info: tarfile.TarInfo) -> str:
    if info.isdir():
        return "folder"
    if info.issym():
        return "link"
    if info.islnk():
        return "hard link"
    return "file" if info.isreg() else "other"


def _apply(tree: Tree, number: int, members: Sequence[Member]) -> None:
    # A whiteout hides what is below its layer, never what is in it, wherever it stands: entries wait for the end.
    added: list[tuple[list[str], Member]] = []
    for member in members:
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        if ".." in parts:
            message = f"a layer of the base has an entry that climbs out: {member.name[:100]!r}"
            raise ContentError(message)
        if parts and parts[-1].startswith(_WHITEOUT):
            _remove(tree, parts)
        elif parts:
            added.append((parts, member))
    folders: dict[tuple[str, ...], Entry] = {}
    for parts, member in added:
        parent = tuple(parts[:-1])
        if parent not in folders:
            folders[parent] = _folder(tree, parent)
        entry = _entry(tree, number, member)
        there = folders[parent].children.get(parts[-1])
        if there is not None and there.kind == entry.kind == "folder":
            there.mode, there.layer, there.member = entry.mode, entry.layer, entry.member
            continue
        if there is not None and there.kind in ("folder", "link"):
            folders.clear()
            folders[parent] = _folder(tree, parent)
        folders[parent].children[parts[-1]] = entry


def _remove(tree: Tree, parts: list[str]) -> None:
    found = tree.find("/".join(parts[:-1]))
    if found and parts[-1] == _OPAQUE:
        found[1].children.clear()
    elif found:
        found[1].children.pop(parts[-1].removeprefix(_WHITEOUT), None)


def _folder(tree: Tree, parts: tuple[str, ...]) -> Entry:
    """Return the folder that a path leads to, through symlinks; what is missing is made, as unpacking would."""
    folder = tree.root
    for depth, name in enumerate(parts, 1):
        child = folder.children.get(name)
        if child is not None and child.kind == "link":
            found = tree.find("/".join(parts[:depth]))
            child = found[1] if found else None
        if child is None or child.kind != "folder":
            tree.allowance.take(depth * _FOLDER)
            child = folder.children[name] = Entry("folder")
        folder = child
    return folder


def _entry(tree: Tree, number: int, member: Member) -> Entry:
    if member.kind == "link":
        return Entry("link", link=member.link, layer=number, member=member.name)
    if member.kind == "hard link" and (target := tree.find(member.link)) and target[1].kind == "file":
        return target[1]
    if member.kind == "file":
        return Entry("file", member.mode, layer=number, member=member.name, children=_CHILDLESS)
    if member.kind == "folder":
        return Entry("folder", member.mode, layer=number, member=member.name)
    return Entry("other", layer=number, member=member.name)
