"""What the target's table says about registries: a part of it that the command line reads, too."""

from __future__ import annotations

import os
from collections.abc import Iterable

from hatch_oci.image.reference import canonical_host, is_host, is_repository, shown
from hatch_oci.registry.options import OFFLINE_VARIABLE, RegistryOptions
from hatch_oci.table import Table

REGISTRY_KEYS = ("mirrors", "insecure-registries", "trusted-realms")

_HOST = "must be a host, maybe with a port, like registry.example.com:5000"


def read_registry_options(table: Table) -> RegistryOptions:
    """Read the keys about registries, whose mistakes are noted in `table`, and `HATCH_OCI_OFFLINE`."""
    return RegistryOptions(
        mirrors=_read_mirrors(table),
        insecure_registries=_read_hosts(table, "insecure-registries"),
        trusted_realms=_read_hosts(table, "trusted-realms"),
        offline=is_set(OFFLINE_VARIABLE),
    )


def is_set(variable: str) -> bool:
    """Tell whether an environment variable is switched on: neither empty nor `0`."""
    return os.environ.get(variable, "0") not in ("", "0")


def _read_mirrors(table: Table) -> dict[str, tuple[str, ...]]:
    below = table.table("mirrors")
    mirrors: dict[str, tuple[str, ...]] = {}
    for registry in below.values:
        name = registry if is_host(registry) else shown(registry)[1:-1]
        if not is_host(registry):
            below.wrong(name, f"is not the name of a registry: it {_HOST}")
        found = below.texts(registry)
        for number, mirror in enumerate(found, 1):
            host, slash, prefix = mirror.partition("/")
            if mirror and not (is_host(host) and (is_repository(prefix) or not slash)):
                below.wrong_element(
                    name, number, f"must be like mirror.example.com or harbor.example.com/hub: {shown(mirror)}"
                )
        key = canonical_host(registry)
        mirrors[key] = mirrors.get(key, ()) + _set_ones(found)
    return mirrors


def _read_hosts(table: Table, key: str) -> frozenset[str]:
    hosts = table.texts(key)
    for number, host in enumerate(hosts, 1):
        if host and not is_host(host):
            table.wrong_element(key, number, f"{_HOST}: {shown(host)}")
    return frozenset(_set_ones(hosts))


def _set_ones(hosts: Iterable[str]) -> tuple[str, ...]:
    """Return hosts in lower case, without what a variable that is not set leaves empty."""
    return tuple(host.lower() for host in hosts if host)
