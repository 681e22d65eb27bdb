"""What must be known of a base's files to lay others over them: its folders, its symlinks, and what else has a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hatch_oci.base.tree import Tree


@dataclass(frozen=True, slots=True)
class Outline:
    """A file system without content. Paths are relative to its root, which is the empty one."""

    folders: Mapping[str, Mapping[str, str | None]] = field(default_factory=lambda: {"": {}})
    """What is in each folder, other folders excepted: symlinks with what they say, and None for all else."""

    def is_folder(self, path: str) -> bool:
        """Tell whether there is a folder at `path` itself."""
        return path in self.folders

    def is_file(self, path: str) -> bool:
        """Tell whether there is a file at `path`, or anything that is neither a folder nor a symlink."""
        folder, _, name = path.rpartition("/")
        return name in (items := self.folders.get(folder, {})) and items[name] is None

    def link(self, path: str) -> str | None:
        """Return what the symlink at `path` says, None where there is none."""
        folder, _, name = path.rpartition("/")
        return self.folders.get(folder, {}).get(name)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {folder: dict(items) for folder, items in self.folders.items()}

    @classmethod
    def from_json(cls, value: Any) -> Outline:
        """Return what `to_json` wrote down; a `TypeError` or `ValueError` for anything else."""
        folders = {str(folder): dict(items) for folder, items in dict(value).items()}
        if not all(link is None or isinstance(link, str) for items in folders.values() for link in items.values()):
            message = "not an outline"
            raise TypeError(message)
        return cls(folders)


def outline_of(tree: Tree) -> Outline:
    """Return the outline of a tree."""
    folders: dict[str, dict[str, str | None]] = {"": {}}
    for path, entry in tree.walk():
        folder, _, name = path[1:].rpartition("/")
        if entry.kind == "folder":
            folders[path[1:]] = {}
        else:
            folders[folder][name] = entry.link if entry.kind == "link" else None
    return Outline(folders)
