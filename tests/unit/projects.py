"""Projects, and the target's table in them, as Hatch reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hatchling.utils.context import Context
from packaging.specifiers import SpecifierSet

from hatch_oci.builder import OCIBuilder
from hatch_oci.settings import Project, Settings, read_settings
from hatch_oci.table import Table

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "My.App"
version = "1.2.3+local.1"
"""
TABLE = "tool.hatch.build.targets.oci"


def builder_of(folder: Path, table: str = "", project: str = "", more: str = "") -> OCIBuilder:
    """Write a pyproject.toml with these lines in the target's table and in the project's; return its builder."""
    text = f"{PROJECT}{project}\n[{TABLE}]\n{table}\n{more}\n"
    (folder / "pyproject.toml").write_text(text, "utf-8")
    return OCIBuilder(str(folder))


def read_table(values: Mapping[str, Any], project: Project | None = None) -> Settings:
    """Read a table that is called `t`, by default of a project `my-app` in the version `1.2+x`."""
    project = project or Project("my-app", "1.2+x", SpecifierSet(">=3.11"), 1580601600)
    context = Context(str(Path.cwd()))
    table = Table("t", values, lambda text: str(context.format(text, version=project.version)))
    return read_settings(table, project)
