"""What the target's table may say, and one frozen `Settings` out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hatch_oci.base.python import Libc
from hatch_oci.dependency_settings import DEPENDENCY_KEYS, DependencySettings, read_dependency_settings
from hatch_oci.errors import ConfigError
from hatch_oci.image.platform import Platform
from hatch_oci.layers.folder import Copy
from hatch_oci.registry.options import RegistryOptions
from hatch_oci.registry_settings import REGISTRY_KEYS, is_set, read_registry_options
from hatch_oci.table import Table
from hatch_oci.trust_settings import TRUST_KEYS, TrustSettings, read_trust_settings
from hatch_oci.values import (
    Words,
    optional_path,
    read_base_image,
    read_compression,
    read_copy,
    read_created,
    read_env,
    read_format,
    read_libc,
    read_platforms,
    read_ports,
    read_prefix,
    read_repository,
    read_stop_signal,
    read_tags,
    read_user,
    read_volumes,
    read_wheel,
    read_words,
)

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

SPARSE_VARIABLE = "HATCH_OCI_SPARSE"

_KEYS = [
    "base-image",
    "platforms",
    "repository",
    "tags",
    "wheel",
    "prefix",
    "copy",
    "entrypoint",
    "cmd",
    "env",
    "ports",
    "volumes",
    "labels",
    "annotations",
    "user",
    "working-dir",
    "stop-signal",
    "created",
    "compression",
    "format",
    "python",
    "libc",
    *DEPENDENCY_KEYS,
    *REGISTRY_KEYS,
    *TRUST_KEYS,
]
# What Hatch itself reads of every target's table, and heeds.
_HATCH_KEYS = [
    "directory",
    "dependencies",
    "versions",
    "hooks",
    "require-runtime-dependencies",
    "require-runtime-features",
]
# What it reads, too, but what only builders of Python packages heed.
_PACKAGE_KEYS = [
    "artifacts",
    "dev-mode-dirs",
    "dev-mode-exact",
    "exclude",
    "force-include",
    "ignore-vcs",
    "include",
    "only-include",
    "only-packages",
    "packages",
    "reproducible",
    "skip-excluded-dirs",
    "sources",
]
_WHERE_PACKAGES_ARE_MADE = "write it in [tool.hatch.build.targets.wheel]; `copy` is for files beside the wheel"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the table says, checked, with the defaults filled in."""

    base_image: str
    platforms: tuple[Platform, ...]
    repository: str
    tags: tuple[str, ...]
    wheel: bool | str
    prefix: str
    copies: tuple[Copy, ...]
    entrypoint: Words
    cmd: Words
    env: Mapping[str, str]
    ports: tuple[str, ...]
    volumes: tuple[str, ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    user: str | None
    working_dir: str | None
    stop_signal: str | None
    created: str
    compression: str
    format: str
    python: str | None
    libc: Libc | None
    dependencies: DependencySettings
    registries: RegistryOptions
    trust: TrustSettings
    sparse: bool
    """Whether the base's layers stay where they are."""

    @property
    def names_command(self) -> bool:
        """Whether they say what the image starts, be it in part."""
        return not {self.entrypoint, self.cmd} <= {None, "inherit"}


class Project(NamedTuple):
    """What the defaults are made of."""

    name: str
    """Normalised."""

    version: str
    requires_python: SpecifierSet
    timestamp: int
    """Seconds since 1970, reproducible."""


def read_settings(table: Table, project: Project) -> Settings:
    """Read the target's table; a `ConfigError` lists all that is wrong with it."""
    table.check_keys(_KEYS, hidden=(*_HATCH_KEYS, *_PACKAGE_KEYS))
    for key in table.values:
        if key in _PACKAGE_KEYS:
            table.wrong(key, f"does nothing for an image: {_WHERE_PACKAGES_ARE_MADE}")
    settings = Settings(
        base_image=read_base_image(table, project.requires_python),
        platforms=read_platforms(table),
        repository=read_repository(table, project.name),
        tags=read_tags(table, project.version),
        wheel=read_wheel(table),
        prefix=read_prefix(table),
        copies=tuple(read_copy(entry) for entry in table.tables("copy")),
        entrypoint=read_words(table, "entrypoint"),
        cmd=read_words(table, "cmd"),
        env=read_env(table),
        ports=read_ports(table),
        volumes=read_volumes(table),
        labels=table.text_table("labels"),
        annotations=table.text_table("annotations"),
        user=read_user(table),
        working_dir=optional_path(table, "working-dir"),
        stop_signal=read_stop_signal(table),
        created=read_created(table, project.timestamp),
        compression=read_compression(table),
        format=read_format(table),
        python=optional_path(table, "python"),
        libc=read_libc(table),
        dependencies=read_dependency_settings(table),
        registries=read_registry_options(table),
        trust=read_trust_settings(table),
        sparse=is_set(SPARSE_VARIABLE),
    )
    if table.mistakes:
        raise ConfigError(table.mistakes)
    return settings
