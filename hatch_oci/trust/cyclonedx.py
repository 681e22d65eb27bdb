"""CycloneDX 1.6 in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from hatch_oci.trust.part import Inventory, Part, serial_of

_TOOL = "hatch-oci-image"


def document_of(inventory: Inventory) -> dict[str, Any]:
    """Return the list as it stands in JSON."""
    image = _component(inventory.image)
    parts = inventory.parts
    components = {ref: _component(part) for ref, part in parts.items()}
    if inventory.base and inventory.unread:
        components[inventory.base.ref].properties.add(Property(name=f"{_TOOL}:unread", value=inventory.unread))
    bom = Bom(
        serial_number=UUID(serial_of(inventory.image.sha256)),
        metadata=BomMetaData(
            tools=ToolRepository(components=[Component(name=_TOOL, type=ComponentType.APPLICATION)]),
            component=image,
            timestamp=datetime.fromisoformat(inventory.created),
        ),
        components=components.values(),
    )
    _depend(bom, image, inventory.tops, components)
    for ref, part in parts.items():
        _depend(bom, components[ref], part.parts, components)
    document: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    return document


def _component(part: Part) -> Component:
    return Component(
        bom_ref=part.ref,
        type=ComponentType(part.kind),
        name=part.name,
        version=part.version or None,
        purl=_purl(part),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=part.sha256)] if part.sha256 else (),
        licenses=[LicenseFactory().make_from_string(part.licence)] if part.licence else (),
        properties=[Property(name=f"{_TOOL}:layer", value=part.layer)] if part.layer else (),
    )


def _purl(part: Part) -> PackageURL | None:
    try:
        return PackageURL.from_string(part.purl) if part.purl else None
    except ValueError:
        # Some wheel's own list has what is none.
        return None


def _depend(bom: Bom, whole: Component, parts: Iterable[Part], components: dict[str, Component]) -> None:
    found = {part.ref: components[part.ref] for part in parts}
    bom.register_dependency(whole, [one for one in found.values() if one is not whole])
