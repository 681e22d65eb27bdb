"""What must be known of a wheel before it is laid down: read once, then remembered under its hash."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from hatch_oci.errors import WheelError
from hatch_oci.image.digest import Digest
from hatch_oci.layers.wheel import Wheel, open_wheel
from hatch_oci.store.blobs import BlobStore

_SITE_PACKAGES = re.compile(r"lib(?:64)?/python[^/]*/site-packages/")
_FORMAT = 2
"""Raised when what is remembered changes its form or its meaning."""


@dataclass(frozen=True, slots=True)
class WheelFacts:
    """A wheel, without its content."""

    name: str
    """As in its metadata, not normalised."""

    version: str
    requires_dist: tuple[str, ...]
    pure: bool
    """Whether it is the same for every platform."""

    modules: tuple[str, ...]
    """The names that it puts right into site-packages."""

    scripts: tuple[str, ...]
    """The names that it puts into the venv's bin folder."""

    data: tuple[str, ...]
    """The first two parts of the paths of whatever else it puts into the venv."""

    @property
    def key(self) -> str:
        """The normalised name."""
        return canonicalize_name(self.name)

    @property
    def requirements(self) -> list[Requirement]:
        """What it depends on."""
        return [Requirement(text) for text in self.requires_dist]

    @property
    def tops(self) -> frozenset[str]:
        """Where its files lie, roughly: two wheels without one of these in common have no file in common."""
        return frozenset({*self.modules, *(f"bin/{script}" for script in self.scripts), *self.data})

    @classmethod
    def from_json(cls, value: Any) -> WheelFacts:
        """Return what `asdict` made; a `TypeError` for anything else. Whether its requirements are any is not asked."""
        lists = {key: tuple(value[key]) for key in ("requires_dist", "modules", "scripts", "data")}
        texts = [value["name"], value["version"], *(text for texts in lists.values() for text in texts)]
        if not all(isinstance(text, str) for text in texts) or not isinstance(value["pure"], bool):
            message = "not facts of a wheel"
            raise TypeError(message)
        return cls(value["name"], value["version"], pure=value["pure"], **lists)


def facts_of(path: Path, filename: str, digest: Digest, store: BlobStore) -> WheelFacts:
    """Return what is known of the wheel at `path`, whose file name is `filename`; a `WheelError` if it is not valid."""
    key = f"{digest.hex}-{_FORMAT}"
    known: WheelFacts | None = store.recall("wheels", key, _from_json)
    if known:
        return known
    with open_wheel(path, filename) as wheel:
        facts = read_facts(wheel)
    store.remember("wheels", key, asdict(facts))
    return facts


def _from_json(value: Any) -> WheelFacts:
    """Return remembered facts; a `TypeError` or `ValueError` for what is none."""
    facts = WheelFacts.from_json(value)
    for text in facts.requires_dist:
        Requirement(text)
    return facts


def read_facts(wheel: Wheel) -> WheelFacts:
    """Return what must be known of an open wheel."""
    metadata = HeaderParser().parsestr(wheel.text("METADATA"))
    requires = tuple(str(value) for value in metadata.get_all("Requires-Dist") or ())
    try:
        for requirement in requires:
            Requirement(requirement)
    except InvalidRequirement as error:
        message = f"{wheel.filename}: METADATA: {str(error).partition(chr(10))[0]}"
        raise WheelError(message) from None
    modules: set[str] = set()
    scripts: set[str] = {*wheel.console_scripts, *wheel.gui_scripts}
    data: set[str] = set()
    data_folder = wheel.dist_info.removesuffix(".dist-info") + ".data"
    for member in wheel.members:
        top, _, rest = member.path.partition("/")
        scheme, _, below = rest.partition("/")
        if top != data_folder:
            modules.add(top)
        elif scheme in ("purelib", "platlib"):
            modules.add(below.partition("/")[0])
        elif scheme == "scripts":
            scripts.add(below)
        elif match := _SITE_PACKAGES.match(below):
            modules.add(below[match.end() :].partition("/")[0])
        elif scheme == "data" and below.startswith("bin/"):
            scripts.add(below.removeprefix("bin/").partition("/")[0])
        else:
            data.add("/".join(below.split("/")[:2]) if scheme == "data" else f"include/{wheel.name}")
    return WheelFacts(
        name=wheel.name,
        version=str(wheel.version),
        requires_dist=requires,
        pure=all(tag.platform == "any" for tag in wheel.tags),
        modules=tuple(sorted(modules)),
        scripts=tuple(sorted(scripts)),
        data=tuple(sorted(data)),
    )
