"""What a wheel's own lists say that is within it (PEP 770): CycloneDX or SPDX 2, in JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hatch_oci.errors import DocumentError
from hatch_oci.image.document import parse_json
from hatch_oci.trust.part import Part

_KINDS = ("application", "library", "operating-system", "container")


def read_declared(raw: bytes, where: str) -> tuple[Part, ...]:
    """Return what a list names; nothing where it is of another format, or no valid JSON."""
    try:
        document = parse_json(raw, where).table()
    except DocumentError:
        return ()
    if document.get("bomFormat") == "CycloneDX":
        found = _cyclonedx(document)
    elif str(document.get("spdxVersion", "")).startswith("SPDX-2"):
        found = _spdx(document)
    else:
        return ()
    return tuple(dict.fromkeys(part for part in found if part.name and not _is_requirement(part)))


def _is_requirement(part: Part) -> bool:
    """Tell a package that the wheel but asks for: one that is in it has a version."""
    return part.purl.startswith("pkg:pypi/") and not part.version


def _cyclonedx(document: dict[str, Any]) -> Iterator[Part]:
    metadata = document.get("metadata")
    # What the list is about; its components there are the files that it is compiled to.
    top = _table(metadata).get("component")
    if isinstance(top, dict):
        yield _component({**top, "type": "application"})
    pending = [*_tables(document.get("components"))]
    while pending:
        component = pending.pop(0)
        pending += _tables(component.get("components"))
        yield _component(component)


def _component(component: dict[str, Any]) -> Part:
    kind = _text(component, "type")
    group, name = _text(component, "group"), _text(component, "name")
    hashes = [_text(one, "content") for one in _tables(component.get("hashes")) if one.get("alg") == "SHA-256"]
    licences = [_licence(one) for one in _tables(component.get("licenses"))]
    return Part(
        kind if kind in _KINDS else "library",
        f"{group}/{name}" if group else name,
        _text(component, "version"),
        _purl(_text(component, "purl")),
        _sha256(hashes),
        " AND ".join(text for text in licences if text),
    )


def _licence(one: dict[str, Any]) -> str:
    named = _table(one.get("license"))
    return _text(one, "expression") or _text(named, "id") or _text(named, "name")


def _spdx(document: dict[str, Any]) -> Iterator[Part]:
    for package in _tables(document.get("packages")):
        refs = _tables(package.get("externalRefs"))
        purls = [_text(one, "referenceLocator") for one in refs if one.get("referenceType") == "purl"]
        sums = _tables(package.get("checksums"))
        hashes = [_text(one, "checksumValue") for one in sums if one.get("algorithm") == "SHA256"]
        licence = _text(package, "licenseDeclared")
        purpose = _text(package, "primaryPackagePurpose").lower()
        yield Part(
            purpose if purpose in _KINDS else "library",
            _text(package, "name"),
            _text(package, "versionInfo"),
            _purl(purls[0] if purls else ""),
            _sha256(hashes),
            "" if licence in ("NOASSERTION", "NONE") else licence,
        )


def _purl(text: str) -> str:
    return text if re.fullmatch(r"pkg:[A-Za-z0-9.+-]+/[!-~]+", text) else ""


def _sha256(hashes: list[str]) -> str:
    return next((text.lower() for text in hashes if re.fullmatch("[0-9A-Fa-f]{64}", text)), "")


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _tables(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(table: dict[str, Any], key: str) -> str:
    value = table.get(key)
    return value if isinstance(value, str) else ""
