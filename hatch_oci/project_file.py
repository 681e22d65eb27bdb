"""The file in which the target's table stands, with one key of it set and all else left as it is."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from hatch_oci.errors import ConfigError, OutputError
from hatch_oci.output.swap import replace_file

_TABLE = ("build", "targets", "oci")


def set_key(root: Path, key: str, value: str) -> Path:
    """Set a key of the target's table in the project at `root`; return the file that it stands in.

    A `ConfigError` where that is not possible without changing anything else.
    """
    path, names = _find_table(root)
    text = _read(path)
    edited = _edit(text, names, key, value)
    if tomllib.loads(edited) != _expected(tomllib.loads(text), names, key, value):
        raise ConfigError([f"{path.name} cannot be changed in one place: set {key} = {value!r} there yourself"])
    # A link stays one, and whoever could read or write the file still can.
    target = path.resolve()
    mode = target.stat().st_mode
    replace_file(target, [edited.encode("utf-8")])
    target.chmod(mode)
    return path


def _find_table(root: Path) -> tuple[Path, tuple[str, ...]]:
    """Return the file, and where in it the table is: what `hatch.toml` says of `build` is all that holds."""
    path = root / "hatch.toml"
    if path.is_file() and "build" in tomllib.loads(_read(path)):
        return path, _TABLE
    return root / "pyproject.toml", ("tool", "hatch", *_TABLE)


def _read(path: Path) -> str:
    # Not as text, which would change how its lines end.
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        message = f"cannot read {path}: {error.strerror or error}"
        raise OutputError(message) from error


def _edit(text: str, names: tuple[str, ...], key: str, value: str) -> str:
    # Not above: only who edits a file needs it.
    import tomlkit

    document = tomlkit.parse(text)
    table: Any = document
    for name in names:
        if name not in table:
            table[name] = tomlkit.table(is_super_table=name != names[-1])
        table = table[name]
    table[key] = value
    return tomlkit.dumps(document)


def _expected(document: dict[str, Any], names: tuple[str, ...], key: str, value: str) -> dict[str, Any]:
    table = document
    for name in names:
        table = table.setdefault(name, {})
    table[key] = value
    return document
