"""SPDX 2.3 in JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from license_expression import ExpressionError, LicenseExpression, get_spdx_licensing
from spdx_tools.spdx.jsonschema.document_converter import DocumentConverter
from spdx_tools.spdx.model.actor import Actor, ActorType
from spdx_tools.spdx.model.checksum import Checksum, ChecksumAlgorithm
from spdx_tools.spdx.model.document import CreationInfo, Document
from spdx_tools.spdx.model.package import ExternalPackageRef, ExternalPackageRefCategory, Package, PackagePurpose
from spdx_tools.spdx.model.relationship import Relationship, RelationshipType
from spdx_tools.spdx.model.spdx_no_assertion import SpdxNoAssertion

from hatch_oci.trust.part import Inventory, Part, serial_of

_DOCUMENT = "SPDXRef-DOCUMENT"
_TOOL = "hatch-oci-image"
_LICENSING = get_spdx_licensing()


def document_of(inventory: Inventory) -> dict[str, Any]:
    """Return the list as it stands in JSON."""
    image = inventory.image
    parts = {image.ref: image, **inventory.parts}
    ids = {ref: f"SPDXRef-{number}-{_plain(part.name)}" for number, (ref, part) in enumerate(parts.items())}
    packages = {ref: _package(ids[ref], part) for ref, part in parts.items()}
    if inventory.base and inventory.unread:
        packages[inventory.base.ref].comment = f"not read: {inventory.unread}"
    document = Document(
        CreationInfo(
            "SPDX-2.3",
            _DOCUMENT,
            image.name,
            f"https://spdx.org/spdxdocs/{_plain(image.name)}-{serial_of(image.sha256)}",
            [Actor(ActorType.TOOL, _TOOL)],
            datetime.fromisoformat(inventory.created).astimezone(UTC).replace(tzinfo=None, microsecond=0),
        ),
        packages=list(packages.values()),
        relationships=[
            Relationship(_DOCUMENT, RelationshipType.DESCRIBES, ids[image.ref]),
            *(Relationship(ids[image.ref], RelationshipType.CONTAINS, ids[part.ref]) for part in inventory.tops),
            *_contained(inventory.parts, ids),
        ],
    )
    converted: dict[str, Any] = DocumentConverter().convert(document)  # type: ignore[no-untyped-call]
    for package in converted["packages"]:
        # The library has an underscore where the schema has a hyphen.
        package["primaryPackagePurpose"] = package["primaryPackagePurpose"].replace("_", "-")
    return converted


def _package(spdx_id: str, part: Part) -> Package:
    licence = _expression(part.licence)
    purl = ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", part.purl)
    return Package(
        spdx_id,
        part.name,
        SpdxNoAssertion(),
        version=part.version or None,
        files_analyzed=False,
        checksums=[Checksum(ChecksumAlgorithm.SHA256, part.sha256)] if part.sha256 else [],
        license_declared=licence,
        license_comment=part.licence if part.licence and isinstance(licence, SpdxNoAssertion) else None,
        source_info=f"in the layer {part.layer}" if part.layer else None,
        external_references=[purl] if part.purl else [],
        primary_package_purpose=PackagePurpose[part.kind.replace("-", "_").upper()],
    )


def _expression(text: str) -> LicenseExpression | SpdxNoAssertion:
    """Return a licence as an SPDX expression, if it is one of known licences."""
    try:
        return _LICENSING.parse(text, validate=True) if text else SpdxNoAssertion()
    except ExpressionError:
        return SpdxNoAssertion()


def _contained(parts: dict[str, Part], ids: dict[str, str]) -> Iterator[Relationship]:
    for ref, part in parts.items():
        for inner in dict.fromkeys(one.ref for one in part.parts if one.ref != ref):
            yield Relationship(ids[ref], RelationshipType.CONTAINS, ids[inner])


def _plain(text: str) -> str:
    """Return a text of which only letters, digits, dots and hyphens are left."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text)
