"""What the target's table says about the documents that go with an image."""

from __future__ import annotations

from typing import NamedTuple

from hatch_oci.table import Table

TRUST_KEYS = ("sbom", "attestations")

SBOMS = ("cyclonedx", "spdx")
ATTESTATIONS = ("referrers", "buildkit")


class TrustSettings(NamedTuple):
    """Which documents go with an image, and how."""

    sboms: tuple[str, ...] = SBOMS[:1]
    """The formats in which it is said what is in the image."""

    attestations: str | None = ATTESTATIONS[0]
    """How the image's documents are kept; None where nothing is said of how it came to be."""


def read_trust_settings(table: Table) -> TrustSettings:
    """Read these keys, whose mistakes are noted in `table`."""
    return TrustSettings(_read_sboms(table), _read_attestations(table))


def _read_sboms(table: Table) -> tuple[str, ...]:
    if table.values.get("sbom") is False:
        return ()
    if not isinstance(table.values.get("sbom", []), list):
        table.wrong("sbom", "must be an array or false")
        return ()
    chosen = table.texts("sbom", SBOMS[:1])
    for number, name in enumerate(chosen, 1):
        if name not in SBOMS:
            table.wrong_element("sbom", number, f"must be one of: {', '.join(SBOMS)}")
    if "spdx" in chosen and not _has_spdx():
        table.wrong("sbom", 'with "spdx" needs spdx-tools: install hatch-oci-image[spdx]')
    return tuple(dict.fromkeys(chosen))


def _read_attestations(table: Table) -> str | None:
    if table.values.get("attestations") is False:
        return None
    chosen = table.choice("attestations", ATTESTATIONS)
    if chosen == "buildkit" and table.values.get("format") == "docker":
        table.wrong("attestations", f"= {chosen!r} makes an index that format = 'docker' cannot say")
    return chosen


def _has_spdx() -> bool:
    # Not above: nobody else asks.
    from importlib.util import find_spec

    return find_spec("spdx_tools") is not None
