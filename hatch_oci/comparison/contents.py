"""What is in layers, with all that a tar says of it: what `base/tree` leaves out, since a build has no use for it."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple

from hatch_oci import stopping
from hatch_oci.base.archive import members_of, open_layer
from hatch_oci.base.tree import Entry, Member, Tree, member_of, read_tree
from hatch_oci.errors import ContentError
from hatch_oci.image.digest import Digest

_PARALLEL = 2
_CHUNK = 1024 * 1024
_KINDS = {
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "link",
    tarfile.LNKTYPE: "hard link",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "pipe",
}


class Attributes(NamedTuple):
    """What a member of a layer is, as people read it; empty where it has no such thing."""

    kind: str
    mode: str
    owner: str
    date: str
    size: str
    link: str
    device: str
    extended: str
    content: str
    """The SHA-256 of a file's bytes."""


_IMPLIED = Attributes("folder", "0755", "0:0", "", "", "", "", "", "")
"""Of a folder that no layer has an entry for."""


class Described(NamedTuple):
    """A member as a tree takes it, and the rest of it."""

    member: Member
    attributes: Attributes

    @property
    def step(self) -> tuple[str, str, str]:
        """What it does to the layers below."""
        return self.member.name, self.member.kind, self.member.link


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of an image."""

    tree: Tree
    files: Mapping[str, Attributes]
    """By their absolute paths."""


LayerKey = tuple[Path, Digest]


def describe_layers(layers: Sequence[LayerKey]) -> dict[LayerKey, list[Described]]:
    """Read layers, each once; a `ContentError` for one that is broken, or is not what its diff_id says."""
    distinct = list(dict.fromkeys(layers))
    read = stopping.work_on(distinct, lambda layer: list(describe(*layer)), _PARALLEL)
    return dict(zip(distinct, read, strict=True))


def describe(path: Path, diff_id: Digest | None) -> Iterator[Described]:
    """Yield the members of a layer, in their order."""
    with open_layer(path, diff_id) as tar:
        for info in members_of(tar):
            yield Described(member_of(info), _attributes(info, tar))


def merge(layers: Sequence[LayerKey], described: Mapping[LayerKey, Sequence[Described]]) -> Contents:
    """Return the files that layers make together, the lowest first."""
    listings = {layer: [one.member for one in described[layer]] for layer in layers}
    tree = read_tree([path for path, _ in layers], [diff_id for _, diff_id in layers], listings)
    # Of several members with one name the last counts, as in the tree.
    known = {layer: {one.member.name: one.attributes for one in described[layer]} for layer in layers}
    by_number = [known[layer] for layer in layers]

    def find(entry: Entry) -> Attributes:
        return by_number[entry.layer][entry.member] if entry.layer >= 0 else _IMPLIED

    return Contents(tree, {path: find(entry) for path, entry in tree.walk()})


@contextmanager
def open_member(path: Path, name: str) -> Iterator[IO[bytes]]:
    """Open the content of a file in a layer."""
    with open_layer(path, None) as tar:
        for info in members_of(tar):
            if info.name == name and info.isreg() and (file := tar.extractfile(info)):
                yield file
                return
    message = f"the layer {path.name} has no file {name[:100]!r}"
    raise ContentError(message)


def _attributes(info: tarfile.TarInfo, tar: tarfile.TarFile) -> Attributes:
    kind = _KINDS.get(info.type, "file")
    return Attributes(
        kind=kind,
        mode=f"{info.mode:04o}",
        owner=_owner(info),
        date=_date(info.mtime),
        size=str(info.size) if kind == "file" else "",
        link=info.linkname,
        device=f"{info.devmajor}:{info.devminor}" if kind.endswith("device") else "",
        extended=", ".join(sorted(f"{key}={value!r}" for key, value in info.pax_headers.items() if "xattr" in key)),
        content=_hash(info, tar) if kind == "file" else "",
    )


def _owner(info: tarfile.TarInfo) -> str:
    names = f" ({info.uname}:{info.gname})" if info.uname or info.gname else ""
    return f"{info.uid}:{info.gid}{names}"


def _date(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        # Beyond what people call a date.
        return f"{seconds} s since 1970"


def _hash(info: tarfile.TarInfo, tar: tarfile.TarFile) -> str:
    hasher = hashlib.sha256()
    if file := tar.extractfile(info):
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()
