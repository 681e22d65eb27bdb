"""How pypa/installer lays a wheel down into a venv, to be compared with what this package does."""

from __future__ import annotations

import ast
import os
import stat
from pathlib import Path
from typing import NamedTuple

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile


class File(NamedTuple):
    """A file as it is laid down."""

    mode: int
    content: bytes


def lay_down(
    wheel: Path, prefix: str, python: str, name: str, additional: dict[str, bytes], destdir: str | None = None
) -> None:
    """Install a wheel into the venv at `prefix`, whose Python is called e.g. `python3.13`.

    `name` is the project's, `additional` are files of its `.dist-info`. All lies below `destdir`, and says nothing
    of it.
    """
    site = f"{prefix}/lib/{python}/site-packages"
    schemes = {
        "purelib": site,
        "platlib": site,
        "scripts": f"{prefix}/bin",
        "data": prefix,
        "headers": f"{prefix}/include/site/{python}/{name}",
    }
    # Readable by all, as the files of images are.
    before = os.umask(0o022)
    try:
        with WheelFile.open(wheel) as source:
            destination = SchemeDictionaryDestination(schemes, f"{prefix}/bin/python", "posix", destdir=destdir)
            install(source, destination, additional)
    finally:
        os.umask(before)


def files_below(prefix: Path) -> dict[str, File]:
    """Return the files of a venv by their paths in it, symlinks excepted."""
    return {
        str(path.relative_to(prefix)): File(stat.S_IMODE(path.stat().st_mode), path.read_bytes())
        for path in prefix.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def effect(script: File) -> list[str]:
    """Return what matters of a script: its mode, its first line, what it imports of others, and what it ends with."""
    tree = ast.parse(script.content)
    imports = [ast.unparse(node) for node in tree.body if isinstance(node, ast.ImportFrom)]
    last = tree.body[-1]
    assert isinstance(last, ast.If)
    return [oct(script.mode), script.content.decode().splitlines()[0], *imports, ast.unparse(last.body[-1])]
