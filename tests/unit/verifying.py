"""A project whose image is verified, and its settings, which change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hatch_oci.builder import OCIBuilder
from tests.unit.building import SCRIPT, WHEEL, build
from tests.unit.projects import builder_of

COPY = 'base-image = "oci:base"\ncopy = [{ from = "static", to = "/srv" }]\n'
NEEDS = 'dependencies = ["web"]'

Verify = Callable[..., list[str]]


def set_table(root: Path, table: str = "") -> OCIBuilder:
    """Add these lines to the project's table; return its builder."""
    return builder_of(root, COPY + table, NEEDS, f"{SCRIPT}\n{WHEEL}")


def made(root: Path, table: str = "") -> Path:
    """Build the project with these lines in its table; return the layout."""
    return build(set_table(root, table))
