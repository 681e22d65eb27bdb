"""Which wheel fits: the best of several, and whether it runs on the base's Python."""

from __future__ import annotations

import glob
from collections.abc import Collection, Sequence
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from hatch_oci.errors import WheelError
from hatch_oci.layers.wheel import Wheel

_MOST_PATCHES = 100


def find_wheel(root: Path, pattern: str, name: str, version: str, tags: Sequence[Tag]) -> Path:
    """Return the prebuilt wheel of a project: of those that `pattern` finds below `root`, the best for `tags`."""
    found = [root / path for path in sorted(glob.glob(pattern, root_dir=root, recursive=True))]  # noqa: PTH207
    ranks = {tag: rank for rank, tag in enumerate(tags)}
    fitting = []
    for path in found:
        try:
            own_name, own_version, build, own_tags = parse_wheel_filename(path.name)
        except InvalidWheelFilename:
            continue
        if own_name == canonicalize_name(name) and own_version == Version(version):
            rank = min((ranks.get(tag, len(ranks)) for tag in own_tags), default=0)
            # As pip has it: the most specific tag, and of equals the highest build number.
            fitting.append(((-rank, build), path))
    if not fitting:
        others = f"; there is {', '.join(path.name for path in found)}" if found else ""
        message = (
            f"no wheel of {name} {version} matches wheel = {pattern!r}{others}: build it first, or correct `wheel`"
        )
        raise WheelError(message)
    return max(fitting, key=lambda candidate: candidate[0])[1]


def check_runs(wheel: Wheel, tags: Collection[Tag], python_version: str, target: str) -> None:
    """Raise a `WheelError` unless the wheel runs on a Python of that version, which takes wheels of those tags.

    `target` says in the message what the image's Python is.
    """
    if not allows(wheel.requires_python, python_version):
        message = f"{wheel.filename} needs Python {wheel.requires_python}, but the base has {target}"
        raise WheelError(message)
    if wheel.tags.isdisjoint(tags):
        offered = ", ".join(sorted(map(str, wheel.tags)))
        message = (
            f"{wheel.filename} is for {offered}, which does not run on {target}: "
            'make a wheel for each platform, and set wheel = "dist/*.whl"'
        )
        raise WheelError(message)


def allows(requires_python: SpecifierSet, version: str) -> bool:
    """Tell whether a Python of that version will do; of one whose patch level is not known, whether any would."""
    # A release candidate counts as its release, as pip has it.
    base = Version(version).base_version
    patches = range(_MOST_PATCHES if base.count(".") == 1 else 0)
    return any(requires_python.contains(text) for text in (base, *(f"{base}.{patch}" for patch in patches)))
