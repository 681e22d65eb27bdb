"""Wheels as parts of an image."""

from __future__ import annotations

from dataclasses import asdict
from email.message import Message
from email.parser import HeaderParser

from packaging.utils import canonicalize_name

from hatch_oci.layers.wheel import Wheel
from hatch_oci.lock.dependencies import Dependency
from hatch_oci.store.blobs import BlobStore
from hatch_oci.trust.part import Part, package_url

_FORMAT = 1
"""Raised when what is remembered changes its form or its meaning."""

_LONGEST_LICENCE = 100
"""Characters; the field `License` may hold a whole text instead of a name."""

_MAX_LIST = 32 * 1024 * 1024


def describe_stored(one: Dependency, store: BlobStore) -> Part:
    """Return a wheel in the store as a part; it is opened once, and remembered under its hash."""
    key = f"{one.blob.digest.hex}-{_FORMAT}"
    known: Part | None = store.recall("parts", key, Part.from_json)
    if known:
        return known
    with one.opened() as wheel:
        part = describe_wheel(wheel)
    store.remember("parts", key, asdict(part))
    return part


def describe_wheel(wheel: Wheel, kind: str = "library") -> Part:
    """Return an open wheel as a part, with what its own lists say that is within it (PEP 770)."""
    name, version = canonicalize_name(wheel.name), str(wheel.version)
    purl = package_url("pypi", name, version)
    licence = _licence(HeaderParser().parsestr(wheel.text("METADATA")))
    return Part(kind, name, version, purl, wheel.sha256, licence, parts=_declared(wheel, name))


def _declared(wheel: Wheel, name: str) -> tuple[Part, ...]:
    folder = f"{wheel.dist_info}/sboms/"
    lists = [one for one in wheel.members if one.path.startswith(folder) and one.size <= _MAX_LIST]
    if not lists:
        return ()
    # Not above: most wheels have none.
    from hatch_oci.trust.declared import read_declared

    itself = package_url("pypi", name, "")
    found = (part for one in lists for part in read_declared(b"".join(wheel.read(one)), one.path))
    return tuple(dict.fromkeys(part for part in found if part.purl.partition("@")[0] != itself))


def _licence(metadata: Message) -> str:
    """Return the licence as an SPDX expression (PEP 639), or in the words of older metadata."""
    named = str(metadata.get("License-Expression") or metadata.get("License") or "").strip()
    if named and "\n" not in named and len(named) <= _LONGEST_LICENCE and named != "UNKNOWN":
        return named
    classifiers = [str(text) for text in metadata.get_all("Classifier") or ()]
    return ", ".join(text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License :: "))
