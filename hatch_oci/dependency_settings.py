"""What the target's table says about dependencies."""

from __future__ import annotations

from dataclasses import dataclass, field

from packaging.utils import canonicalize_name

from hatch_oci.lock.groups import STRATEGIES
from hatch_oci.lock.needs import Wanted
from hatch_oci.table import Table

DEPENDENCY_KEYS = (
    "lock",
    "extras",
    "dependency-groups",
    "exclude-packages",
    "allow-sdist",
    "system-site-packages",
    "layers",
    "bytecode",
)

BYTECODE = ("dependencies", "app", "stdlib")


@dataclass(frozen=True, slots=True)
class DependencySettings:
    """Which dependencies go into the image, and how; names of packages are normalised."""

    lock: str | None = "auto"
    """A path, or `auto`; None where none go in."""

    wanted: Wanted = field(default_factory=Wanted)
    excluded: frozenset[str] = frozenset()
    sdists: frozenset[str] = frozenset()
    """The packages that may come as source distributions."""

    system_site_packages: bool = False
    layers: str = STRATEGIES[0]
    bytecode: frozenset[str] = frozenset()
    """Of which of `BYTECODE`."""


def read_dependency_settings(table: Table) -> DependencySettings:
    """Read the keys about dependencies, whose mistakes are noted in `table`."""
    return DependencySettings(
        lock=_read_lock(table),
        wanted=Wanted(table.texts("extras"), table.texts("dependency-groups")),
        excluded=_names(table, "exclude-packages"),
        sdists=_names(table, "allow-sdist"),
        system_site_packages=table.flag("system-site-packages"),
        layers=table.choice("layers", STRATEGIES),
        bytecode=_read_bytecode(table),
    )


def _read_lock(table: Table) -> str | None:
    # Without the project's wheel, what that needs goes in only if it is asked for.
    value = table.values.get("lock", table.values.get("wheel") is not False and "auto")
    if value is False:
        return None
    if not isinstance(value, str):
        table.wrong("lock", "must be a string or false")
        return None
    return table.text("lock", "auto")


def _names(table: Table, key: str) -> frozenset[str]:
    return frozenset(canonicalize_name(name) for name in table.texts(key))


def _read_bytecode(table: Table) -> frozenset[str]:
    value = table.values.get("bytecode", False)
    if isinstance(value, bool):
        return frozenset(BYTECODE if value else ())
    if not isinstance(value, list):
        table.wrong("bytecode", "must be a boolean or an array")
        return frozenset()
    parts = table.texts("bytecode")
    for number, part in enumerate(parts, 1):
        if part not in BYTECODE:
            table.wrong_element("bytecode", number, f"must be one of: {', '.join(BYTECODE)}")
    return frozenset(parts)
