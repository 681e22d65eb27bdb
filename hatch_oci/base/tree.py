"""The file system that a base's layers make together, without its content (image-spec, layer.md)."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hatch_oci import stopping
from hatch_oci.base.archive import members_of, open_layer
from hatch_oci.errors import ContentError
from hatch_oci.image.digest import Digest

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_MAX_LINKS = 40
_PARALLEL = 2


class Member(NamedTuple):
    """A member of a layer's tar; as small as it can be, since a base may have a hundred thousand."""

    name: str
    kind: str
    """`folder`, `file`, `link` (symbolic), `hard link` or `other`."""

    mode: int
    link: str


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
        wanted: dict[int, dict[str, list[str]]] = {}
        for path in paths:
            found = self.find(path)
            if found and found[1].kind == "file":
                members = wanted.setdefault(found[1].layer, {})
                members.setdefault(found[1].member, []).append(path)
        contents: dict[str, bytes] = {}
        for number, members in wanted.items():
            with open_layer(self.layers[number], None) as tar:
                for info in members_of(tar):
                    # The last member of a name is the one that counts, so no early end.
                    if info.name in members and info.isreg() and (file := tar.extractfile(info)):
                        data = file.read(most)
                        contents |= dict.fromkeys(members[info.name], data)
        return contents


def read_tree(layers: Sequence[Path], diff_ids: Sequence[Digest], listings: Listings | None = None) -> Tree:
    """Merge layers, the lowest first; a `ContentError` for one that is broken or is not what its diff_id says.

    Those in `listings` were read before.
    """
    tree = Tree(Entry("folder"), tuple(layers))
    pairs = list(zip(layers, diff_ids, strict=True))
    known = listings or {}
    missing = [pair for pair in dict.fromkeys(pairs) if pair not in known]
    read = stopping.work_on(missing, lambda pair: list_layer(*pair), _PARALLEL) if missing else []
    members = known | dict(zip(missing, read, strict=True))
    for number, pair in enumerate(pairs):
        _apply(tree, number, members[pair])
    return tree


def list_layer(path: Path, diff_id: Digest) -> list[Member]:
    """Return the members of a layer, which knows nothing of those below it; a `ContentError` as `read_tree`'s."""
    with open_layer(path, diff_id) as tar:
        return [member_of(info) for info in members_of(tar)]


def member_of(info: tarfile.TarInfo) -> Member:
    """Return what a tree needs to know of a member."""
    return Member(info.name, _kind(info), info.mode, info.linkname)


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
        found = tree.find("/".join(parts[:depth]))
        if found is None or found[1].kind != "folder":
            folder.children[name] = Entry("folder")
            folder = folder.children[name]
        else:
            folder = found[1]
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
