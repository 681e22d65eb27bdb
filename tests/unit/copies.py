"""What a table of `copy` takes from a small project."""

from __future__ import annotations

from pathlib import Path

import pytest

from hatch_oci.errors import SourceError
from hatch_oci.layers.entry import Entry, Kind, complete
from hatch_oci.layers.folder import Copy, copy_entries

ALL = Copy("static", "/srv")


def write_static(root: Path) -> Path:
    """Write a project with some static files; return its folder."""
    for name in ("index.html", "css/style.css", "css/print.css", "img/logo.svg", "img/raw/logo.psd", ".env", "run"):
        path = root / "static" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (root / "static" / "run").chmod(0o700)
    (root / "static" / "empty").mkdir()
    return root


def copied(copy: Copy, root: Path) -> dict[str, Entry]:
    """Return the entries of a layer, by their paths."""
    return {entry.path: entry for entry in complete(copy_entries(copy, root), lambda _path: False)}


def files(copy: Copy, root: Path) -> list[str]:
    """Return the paths of what is no folder."""
    return [path for path, entry in copied(copy, root).items() if entry.kind is not Kind.FOLDER]


def failure(copy: Copy, root: Path) -> str:
    """Return the message that copying ends with."""
    with pytest.raises(SourceError) as error:
        copied(copy, root)
    return str(error.value)
