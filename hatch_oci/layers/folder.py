"""Folders and files of the project, as the entries of a layer."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from hatch_oci.errors import SourceError
from hatch_oci.image.document import printable
from hatch_oci.layers.entry import Entry, Kind, folder_entry, folders_above
from hatch_oci.regular import READ_FLAGS

_READ = 1024 * 1024
_MAX_LINKS = 40


@dataclass(frozen=True, slots=True)
class Copy:
    """One `copy` table: what goes where."""

    source: str
    """A folder, whose content is copied, or a file; relative to the project, or absolute."""

    target: str
    """An absolute path in the image; for a file, one that ends with `/` is the folder it goes into."""

    include: tuple[str, ...] = ()
    """Patterns as in .gitignore, relative to the source; empty takes everything."""

    exclude: tuple[str, ...] = ()
    mode: int | None = None
    """The permissions of files; a folder may be entered where it may be read. None: 0755 if executable, else 0644."""

    uid: int = 0
    gid: int = 0


def copy_entries(copy: Copy, root: Path, left_out: Callable[[str], bool] = lambda _path: False) -> list[Entry]:
    """List what `copy` takes from the project at `root`, without what `left_out` tells of real paths.

    Symlinks stay symlinks. A `SourceError` for one that leads out of the copied folder, for a `from` that a symlink
    leads out of the project, for anything but a file, a folder or a symlink, and where there is nothing to copy.
    """
    source = root / _to_system(copy.source)
    target = copy.target.strip("/")
    try:
        _check_inside(source, root, copy)
        if source.is_file():
            if copy.include or copy.exclude:
                message = f"copy: include and exclude choose from a folder, but {copy.source} is a file"
                raise SourceError(message)
            path = f"{target}/{_from_system(source.name)}" if copy.target.endswith("/") else target
            return [_file(str(source.parent), source.name, source.stat(), path.strip("/"), copy)]
        if source.is_dir():
            entries = list(_folder(source.resolve(), target, copy, left_out))
            if any(entry.kind != Kind.FOLDER for entry in entries) or not (copy.include or copy.exclude):
                return entries
            message = f"copy: nothing in {copy.source} matches its include and exclude"
            raise SourceError(message)
    except OSError as error:
        message = f"copy: cannot read {_shown(error.filename)}: {error.strerror}"
        raise SourceError(message) from error
    message = f"copy: {copy.source} is neither a file nor a folder of the project"
    raise SourceError(message)


def _check_inside(source: Path, root: Path, copy: Copy) -> None:
    """Refuse a symlink out of the project, which nobody sees in `from`; `..` and absolute paths are plain to see."""
    inside = Path(os.path.normpath(source)).is_relative_to(os.path.normpath(root))
    if inside and not source.resolve().is_relative_to(root.resolve()):
        message = (
            f"copy: {copy.source} is, through a symlink, {source.resolve()}, out of the project; name that in `from`"
        )
        raise SourceError(message)


def _folder(source: Path, target: str, copy: Copy, left_out: Callable[[str], bool]) -> Iterator[Entry]:
    include = _patterns(copy.include) if copy.include else None
    exclude = _patterns(copy.exclude) if copy.exclude else None
    pending = [(str(source), "")]
    if target:
        yield _folder_entry(target, copy)
    while pending:
        folder, below = pending.pop()
        for item in _items(folder):
            name = _from_system(item.name)
            relative = f"{below}/{name}" if below else name
            path = f"{target}/{relative}" if target else relative
            is_folder = item.is_dir(follow_symlinks=False)
            if left_out(item.path) or (exclude and exclude.match_file(relative + "/" * is_folder)):
                continue
            if is_folder:
                pending.append((item.path, relative))
                # Where patterns choose, folders come with the files that they hold.
                if include is None:
                    yield _folder_entry(path, copy)
            elif include is None or include.match_file(relative):
                if include:
                    yield from (
                        _folder_entry(f"{target}/{above}".strip("/"), copy) for above in folders_above(relative)
                    )
                if item.is_symlink():
                    yield _link(Path(item.path), source, path, copy)
                else:
                    yield _file(folder, item.name, item.stat(), path, copy)


def _from_system(name: str) -> str:
    """Return a name of the file system as UTF-8 has it, whatever the locale; `complete` refuses what is not UTF-8."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "surrogateescape")


def _to_system(path: str) -> str:
    return os.fsdecode(path.encode("utf-8"))


def _items(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as items:
        return list(items)


def _patterns(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines(patterns)
    except ValueError as error:
        message = f"copy: include and exclude take patterns as in .gitignore: {error}"
        raise SourceError(message) from error


def _folder_entry(path: str, copy: Copy) -> Entry:
    if copy.mode is None:
        return folder_entry(path, uid=copy.uid, gid=copy.gid)
    enter = (copy.mode & 0o444) >> 2
    return folder_entry(path, copy.mode | enter, copy.uid, copy.gid)


def _link(link: Path, source: Path, path: str, copy: Copy) -> Entry:
    target = os.readlink(link)  # noqa: PTH115 - Path would tidy up what the link says
    if _leads_out(link, source):
        message = f"copy: the symlink {_shown(link)} leads to {_shown(target)}, out of what is copied; exclude it"
        raise SourceError(message)
    return Entry(path, Kind.LINK, 0o777, link=_from_system(target), uid=copy.uid, gid=copy.gid)


def _leads_out(link: Path, source: Path) -> bool:
    """Tell whether a symlink leads out of `source`, maybe by way of others; one that leads nowhere does not."""
    trail: list[str] = []
    pending = list(reversed(link.relative_to(source).parts))
    links = 0
    while pending:
        part = pending.pop()
        if part == "..":
            if not trail:
                return True
            trail.pop()
        elif part not in ("", "."):
            here = source.joinpath(*trail, part)
            if not here.is_symlink():
                trail.append(part)
                continue
            target = os.readlink(here)  # noqa: PTH115
            links += 1
            if target.startswith("/"):
                return True
            if links > _MAX_LINKS:
                return False
            pending += reversed(target.split("/"))
    return False


def _file(folder: str, name: str, status: os.stat_result, path: str, copy: Copy) -> Entry:
    if not stat.S_ISREG(status.st_mode):
        message = f"copy: {_shown(Path(folder, name))} is neither a file, nor a folder, nor a symlink; exclude it"
        raise SourceError(message)
    mode = copy.mode if copy.mode is not None else 0o755 if status.st_mode & 0o100 else 0o644
    content = _Content(folder, name, status.st_size, _look(status))
    return Entry(path, Kind.FILE, mode, status.st_size, uid=copy.uid, gid=copy.gid, content=content)


@dataclass(frozen=True, slots=True)
class _Content:
    """Reads a file in pieces, and fails unless it stays the one that was seen.

    There may be a hundred thousand of them, so what those of a folder have in common is not there as often.
    """

    folder: str
    name: str
    size: int
    look: int

    def __call__(self) -> Iterator[bytes]:
        source = os.path.join(self.folder, self.name)  # noqa: PTH118 - see below
        try:
            # Path and file object would take longer than the reading of a small file.
            descriptor = os.open(source, READ_FLAGS)
            try:
                left = self.size
                while left > 0 and (chunk := os.read(descriptor, min(left, _READ))):
                    left -= len(chunk)
                    yield chunk
                now = os.fstat(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            message = f"cannot read {_shown(source)}: {error.strerror}"
            raise SourceError(message) from error
        if _look(now) != self.look:
            message = f"{_shown(source)} changed while the image was built; build again"
            raise SourceError(message)


def _shown(path: str | Path) -> str:
    # A name may hold a line break, and as much as a path.
    return printable(str(path), 4096)


def _look(status: os.stat_result) -> int:
    """Return what changes when a file does, in one number."""
    return hash((status.st_size, status.st_mtime_ns, status.st_ino))
