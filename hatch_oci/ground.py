"""What the image holds so far, and where the entries of the next layer come to lie in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hatch_oci.base.outline import Outline
from hatch_oci.errors import SourceError
from hatch_oci.layers.entry import Entry, Kind, check_entry, complete, folder_entry

_MAX_LINKS = 40


class Ground:
    """A base, and over it the layers that were laid there. Paths are relative to the root."""

    def __init__(self, base: Outline) -> None:
        """Begin with the base alone."""
        self._base = base
        self._layers: list[tuple[str, dict[str, Entry]]] = []
        """What was laid so far: the summaries of layers, each with its entries by their paths."""

    def lay(self, entries: Iterable[Entry], summary: str) -> list[Entry]:
        """Return a layer's entries as they are to be written: complete, in order, and with no symlink in their paths.

        A `SourceError`, beginning with `summary`, where one would destroy what is there, or cannot lie there.
        """
        try:
            laid = self._complete(entries)
        except SourceError as error:
            message = f"{summary}: {error}"
            raise SourceError(message) from None
        for entry in laid:
            self._check(entry, summary)
        self._layers.append((summary, {entry.path: entry for entry in laid}))
        return laid

    def laid(self, path: str) -> Entry | None:
        """Return what one of our layers has where `path` leads, None where there is nothing of ours."""
        return self._find(self.real_path(path))

    def has_part(self, *names: str) -> bool:
        """Tell whether one of our files, or a folder of it, has one of these names."""
        return any(part in names for _, entries in self._layers for path in entries for part in path.split("/"))

    def has(self, path: str) -> bool:
        """Tell whether `path` leads to a file."""
        return self._is_file(self.real_path(path))

    def real_path(self, path: str) -> str:
        """Return where `path` leads when all symlinks are followed; what is not there stays as it is."""
        trail: list[str] = []
        pending = list(reversed(path.split("/")))
        links = 0
        while pending:
            part = pending.pop()
            if part == "..":
                trail[-1:] = []
            elif part not in ("", "."):
                link = self._link("/".join([*trail, part]))
                if link is None:
                    trail.append(part)
                    continue
                links += 1
                if links > _MAX_LINKS:
                    message = f"the symlinks on the way to /{path} lead in a circle"
                    raise SourceError(message)
                if link.startswith("/"):
                    trail.clear()
                pending += reversed(link.split("/"))
        return "/".join(trail)

    def _complete(self, entries: Iterable[Entry]) -> list[Entry]:
        folders = {"": ""}
        found = [self._at_real_path(entry, folders) for entry in entries]
        # A folder that an earlier layer of ours made is there, unless it is asked for with another mode or owner.
        changed = {entry.path for entry in found if self._changes(entry)}
        return complete(found, lambda path: self._is_folder(path) and path not in changed)

    def _at_real_path(self, entry: Entry, folders: dict[str, str]) -> Entry:
        check_entry(entry)
        above, _, name = entry.path.rpartition("/")
        if entry.kind is Kind.FOLDER:
            path = self._folder(entry.path, folders)
        else:
            path = f"{self._folder(above, folders)}/{name}".lstrip("/")
        return entry if path == entry.path else replace(entry, path=path)

    def _folder(self, path: str, folders: dict[str, str]) -> str:
        """Return the real path of a folder, which is there or may be made; `folders` remembers those found."""
        if path in folders:
            return folders[path]
        missing = [path]
        while missing[-1] not in folders:
            missing.append(missing[-1].rpartition("/")[0])
        for folder in reversed(missing[:-1]):
            above, _, name = folder.rpartition("/")
            folders[folder] = self._real_folder(f"{folders[above]}/{name}".lstrip("/"))
        return folders[path]

    def _real_folder(self, path: str) -> str:
        """Return where a folder's path leads that has no symlink above its last part."""
        real = path if self._link(path) is None else self.real_path(path)
        if self._is_file(real):
            leads = f", where the symlink /{path} leads," if real != path else ""
            message = f"/{real}{leads} is a file from {self._whose(real)}, not a folder"
            raise SourceError(message)
        if real != path and not self._is_folder(real):
            link = f"/{path} is a symlink from {self._whose(path)} to {self._link(path)}"
            message = f"{link}, where there is nothing: name /{real} itself"
            raise SourceError(message)
        return real

    def _changes(self, entry: Entry) -> bool:
        there = self._find(entry.path) if entry.kind is Kind.FOLDER else None
        if there is None:
            return False
        plain = folder_entry(entry.path)
        return all((entry.mode, entry.uid, entry.gid) != (one.mode, one.uid, one.gid) for one in (there, plain))

    def _check(self, entry: Entry, summary: str) -> None:
        path = entry.path
        if there := self._find(path):
            if not entry.kind is there.kind is Kind.FOLDER:
                message = f"{self._whose(path)} and {summary} both want the path /{path}"
                raise SourceError(message)
        elif entry.kind is not Kind.FOLDER and self._base.is_folder(path):
            message = f"{summary} would replace /{path}, which is a folder of the base"
            raise SourceError(message)
        elif entry.kind is Kind.FILE and self._base.link(path) and self._is_folder(real := self.real_path(path)):
            message = f"{summary} would replace /{path}, which is a symlink of the base to the folder /{real}"
            raise SourceError(message)

    def _is_folder(self, path: str) -> bool:
        there = self._find(path)
        return there.kind is Kind.FOLDER if there else self._base.is_folder(path)

    def _is_file(self, path: str) -> bool:
        there = self._find(path)
        return there.kind is Kind.FILE if there else self._base.is_file(path)

    def _link(self, path: str) -> str | None:
        there = self._find(path)
        return (there.link or None) if there else self._base.link(path)

    def _whose(self, path: str) -> str:
        return next((summary for summary, entries in reversed(self._layers) if path in entries), "the base")

    def _find(self, path: str) -> Entry | None:
        """Return what the highest of our layers has at `path` itself."""
        return next((entries[path] for _, entries in reversed(self._layers) if path in entries), None)
