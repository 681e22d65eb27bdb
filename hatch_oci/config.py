"""The target's configuration, as Hatch has it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from hatchling.builders.config import BuilderConfig
from hatchling.builders.plugin.interface import BuilderInterface
from hatchling.builders.utils import get_reproducible_timestamp
from hatchling.builders.wheel import WheelBuilder
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from hatch_oci.errors import ConfigError
from hatch_oci.image import annotation_keys as keys
from hatch_oci.lock.needs import Needs
from hatch_oci.registry_settings import read_registry_options
from hatch_oci.settings import Project, Settings, read_settings
from hatch_oci.table import Table
from hatch_oci.values import read_base_image, read_platforms

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_oci.image.platform import Platform
    from hatch_oci.lock.needs import Wanted
    from hatch_oci.registry.options import RegistryOptions

# What projects call their links (the well-known labels of the project URLs specification, and usual ones).
_URL_LABELS = {
    keys.URL: ("homepage",),
    keys.SOURCE: ("source", "repository", "sourcecode", "github", "gitlab"),
    keys.DOCUMENTATION: ("documentation", "docs"),
}


_YEAR_9999 = 253_402_300_799


def wheel_builder(builder: BuilderInterface[Any, Any]) -> WheelBuilder:
    """Return what builds the wheel of the project that `builder` is for."""
    return WheelBuilder(builder.root, plugin_manager=builder.plugin_manager, metadata=builder.metadata, app=builder.app)


def uses_hatchling(root: Path) -> bool:
    """Tell whether the project at `root` builds itself with hatchling."""
    try:
        document = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    build_system = document.get("build-system")
    return isinstance(build_system, dict) and build_system.get("build-backend") == "hatchling.build"


class OCIConfig(BuilderConfig):
    """The target's configuration, for Hatch."""

    @cached_property
    def settings(self) -> Settings:
        """The table as `Settings`; a `ConfigError` lists all that is wrong with it."""
        metadata = self.builder.metadata
        version = str(metadata.version)
        table = Table(
            f"tool.hatch.build.targets.{self.plugin_name}",
            self.target_config,
            lambda text: str(metadata.context.format(text, version=version)),
        )
        core = metadata.core
        timestamp = _timestamp()
        if timestamp is None:
            table.mistakes.append("The variable `SOURCE_DATE_EPOCH` must be a number of seconds since 1970")
        project = Project(core.name, version, core.python_constraint, timestamp or 0)
        return read_settings(table, project)

    @cached_property
    def dependencies(self) -> list[str]:
        """What to install before the build: also what building the project's wheel on the way needs."""
        needed: list[str] = super().dependencies
        if self.target_config.get("wheel", True) is True:
            needed = [*needed, *wheel_builder(self.builder).config.dependencies]
        return list(dict.fromkeys(needed))


def registry_options(root: Path) -> RegistryOptions:
    """Return what the target's table in the project at `root` says about registries; the defaults without a project.

    A `ConfigError` lists what is wrong with these keys.
    """
    table = _build_table(root).table("targets").table("oci")
    options = read_registry_options(table)
    if table.mistakes:
        raise ConfigError(table.mistakes)
    return options


class ChosenBase(NamedTuple):
    """What the target's table says of the base, read without the rest of it."""

    written: str | None
    """As it stands there, with fields such as `{env:NAME}`; None where the default holds."""

    name: str
    platforms: tuple[Platform, ...]
    registries: RegistryOptions
    format: Callable[[str], str]
    """Fills in the fields."""


def chosen_base(root: Path) -> ChosenBase:
    """Return the base of the project at `root`; a `ConfigError` lists what is wrong with the keys that name it."""
    if not (root / "pyproject.toml").is_file():
        raise ConfigError([f"no project in {root}: there is no pyproject.toml"])
    table = _build_table(root).table("targets").table("oci")
    try:
        allowed = ProjectMetadata(str(root), PluginManager()).core.python_constraint
    except (ValueError, TypeError) as error:
        raise ConfigError([f"pyproject.toml: {error}"]) from error
    name = read_base_image(table, allowed)
    chosen = ChosenBase(
        table.values.get("base-image"), name, read_platforms(table), read_registry_options(table), table.format
    )
    if table.mistakes:
        raise ConfigError(table.mistakes)
    return chosen


def image_folder(root: Path) -> Path:
    """Return where `hatch build -t oci` puts images of the project at `root`: `dist`, or what its tables say."""
    build = _build_table(root)
    folder = build.table("targets").table("oci").text("directory") or build.text("directory", "dist")
    if build.mistakes:
        raise ConfigError(build.mistakes)
    return root / folder


def _build_table(root: Path) -> Table:
    """Return the table `tool.hatch.build` of the project at `root`; an empty one without a project."""
    try:
        metadata = ProjectMetadata(str(root), PluginManager())
        build = metadata.hatch.build_config if (root / "pyproject.toml").is_file() else {}
    except (ValueError, TypeError, RecursionError) as error:
        raise ConfigError([f"pyproject.toml: {error}"]) from error
    return Table("tool.hatch.build", build, lambda text: str(metadata.context.format(text)))


def needs_of(metadata: ProjectMetadata[Any], wanted: Wanted) -> Needs:
    """Return what the project says that it needs; a `ConfigError` for an extra or a group that it does not have."""
    core = metadata.core
    extras = {canonicalize_name(extra): texts for extra, texts in core.optional_dependencies.items()}
    texts = list(core.dependencies)
    mistakes = []
    for extra in wanted.extras:
        if canonicalize_name(extra) in extras:
            texts += extras[canonicalize_name(extra)]
        else:
            mistakes.append(
                f"Field `tool.hatch.build.targets.oci.extras` names {extra!r}, which the project does not have"
            )
    if wanted.groups:
        # Not above: most projects want none.
        from packaging.dependency_groups import resolve_dependency_groups

        try:
            texts += resolve_dependency_groups(metadata.config.get("dependency-groups", {}), *wanted.groups)
        except (LookupError, ValueError, TypeError, AttributeError, ExceptionGroup) as error:
            causes = error.exceptions if isinstance(error, ExceptionGroup) else [error]
            reason = "; ".join(" ".join(str(cause).split()) for cause in causes)
            mistakes.append(f"Field `tool.hatch.build.targets.oci.dependency-groups`: {reason}")
    if mistakes:
        raise ConfigError(mistakes)
    name = canonicalize_name(core.raw_name)
    needed = tuple(_without_itself(map(Requirement, texts), name, extras))
    return Needs(name, needed, wanted, str(metadata.version))


def _without_itself(
    requirements: Iterable[Requirement], name: NormalizedName, extras: Mapping[NormalizedName, list[str]]
) -> Iterator[Requirement]:
    """Yield requirements; for the project itself, with extras of its own, those extras' requirements."""
    pending = list(requirements)
    seen: set[str] = set()
    for requirement in pending:
        if canonicalize_name(requirement.name) != name:
            yield requirement
        elif str(requirement) not in seen:
            seen.add(str(requirement))
            wanted = (extras.get(canonicalize_name(extra), []) for extra in sorted(requirement.extras))
            pending += [Requirement(text) for texts in wanted for text in texts]


def _timestamp() -> int | None:
    """Return the reproducible timestamp, which `SOURCE_DATE_EPOCH` may set; None if it is set to what is no time."""
    with suppress(ValueError):
        timestamp = get_reproducible_timestamp()
        if 0 <= timestamp <= _YEAR_9999:
            return timestamp
    return None


def describe(metadata: ProjectMetadata[Any]) -> dict[str, str]:
    """Return the `org.opencontainers.image.*` annotations that the project's metadata has values for."""
    core = metadata.core
    people = core.authors_data["name"] + core.authors_data["email"]
    values = {
        keys.TITLE: core.raw_name,
        keys.VERSION: str(metadata.version),
        keys.DESCRIPTION: core.description,
        keys.AUTHORS: ", ".join(people),
        keys.LICENSES: core.license_expression,
    }
    urls = {re.sub(r"[^a-z]", "", label.lower()): url for label, url in core.urls.items()}
    for key, labels in _URL_LABELS.items():
        values[key] = next((urls[label] for label in labels if label in urls), "")
    return {key: value for key, value in values.items() if value}
