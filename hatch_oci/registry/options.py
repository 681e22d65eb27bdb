"""What a user may say about registries, and how long they are waited for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hatch_oci.image.reference import endpoint

OFFLINE_VARIABLE = "HATCH_OCI_OFFLINE"


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """Which registries are reached how."""

    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For a registry's host, the mirrors `HOST[:PORT][/PREFIX]` to ask before it, in this order."""

    insecure_registries: frozenset[str] = frozenset()
    """Hosts, with their ports, whose certificates are not checked, or that speak plain http."""

    trusted_realms: frozenset[str] = frozenset()
    """Hosts of token services that may be sent credentials, though their domain is not the registry's."""

    offline: bool = False
    """Whether only the cache is used."""

    def is_insecure(self, host: str, port: int) -> bool:
        """Tell whether a host, without brackets, is listed as insecure at this port."""
        return (host.lower(), port) in map(endpoint, self.insecure_registries)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a registry is waited for, in seconds, and how often it is tried."""

    connect: float = 10.0
    stall: float = 30.0
    """Without a byte of a header or document, or without 64 KiB of a blob."""

    answer: float = 60.0
    """For a whole document: a manifest, a token, an error."""

    commit: float = 300.0
    """For an answer to what was sent: some registries move a large blob before they say that they have it."""

    first_wait: float = 1.0
    longest_wait: float = 30.0
    longest_retry_after: float = 60.0
    tries: int = 5
