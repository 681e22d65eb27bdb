"""docs/architecture.md tells where everything is, and which way imports point: as the code has it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "hatch_oci"
IMPLIED = {"__init__.py", "py.typed"}


def rows() -> list[list[str]]:
    """Return the modules and rooms of each row of the table, from top to bottom."""
    text = (REPOSITORY / "docs" / "architecture.md").read_text("utf-8")
    _, _, table = text.partition("| Room | Holds |\n|---|---|\n")
    lines = table.partition("\n\n")[0].splitlines()
    return [re.findall(r"`([\w/.]+)`", line.split(" | ")[0]) for line in lines]


def imports(module: Path) -> Iterator[str]:
    """Yield the full names of what a module imports, wherever in it, from this package and from others."""
    for node in ast.walk(ast.parse(module.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def row_of(module: str) -> int:
    """Return the number of the row that a module is in, by its full name or that of something in it."""
    name = module.split(".")[1]
    return next(number for number, row in enumerate(rows()) if {name, f"{name}.py", f"{name}/"} & set(row))


def test_every_module_is_in_the_table() -> None:
    there = {path.name + "/" * path.is_dir() for path in PACKAGE.iterdir() if path.name != "__pycache__"} - IMPLIED
    listed = [name for row in rows() for name in row]
    assert sorted(listed) == sorted(there)


def test_imports_point_up_the_table() -> None:
    back = {
        (str(path.relative_to(PACKAGE)), name)
        for path in PACKAGE.rglob("*.py")
        for name in imports(path)
        if name.startswith("hatch_oci.") and row_of(name) > row_of(".".join(path.relative_to(REPOSITORY).parts))
    }
    assert back == set()


def test_few_modules_know_hatch_or_http() -> None:
    def knowing(*libraries: str) -> set[str]:
        return {
            path.relative_to(PACKAGE).with_suffix("").as_posix()
            for path in PACKAGE.rglob("*.py")
            if any(name.split(".")[0] in libraries for name in imports(path))
        }

    assert knowing("hatch", "hatchling") == {"config", "builder", "publisher", "plugin", "trust/provenance"}
    assert {name.partition("/")[0] for name in knowing("httpcore", "ssl", "socket")} == {"registry"}
