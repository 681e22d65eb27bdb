"""Where the results of a build lie, and which files of a build directory are such results."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.version import InvalidVersion, Version

from hatch_oci.output.swap import ASIDE

LAYOUT, OCI_ARCHIVE, DOCKER_ARCHIVE, RECORD = ".oci", ".oci.tar", ".docker.tar", ".oci.json"
"""What the names of results end with."""

# What is beside them while they are written, or was left there by a build that was killed, too.
_ANY = re.compile(r"\.?(?P<name>[^-]+)-(?P<version>.+?)\.(oci|docker\.tar)(\..*)?")


class Place(NamedTuple):
    """A build directory, and a project's name and version as in the wheel's file name."""

    directory: Path
    name: str
    version: str

    def of(self, suffix: str) -> Path:
        """Return where the project's result with this suffix lies."""
        return self.directory / f"{self.name}-{self.version}{suffix}"

    def results(self) -> Iterator[Path]:
        """Yield the images and records of the project, of whichever version, also those that were moved aside."""
        for path in self.directory.iterdir():
            if (
                path.name.endswith((LAYOUT, f"{LAYOUT}{ASIDE}", OCI_ARCHIVE, DOCKER_ARCHIVE, RECORD))
                and not path.name.startswith(".")
                and self._is_ours(path.name)
            ):
                yield path

    def holds(self, path: str) -> bool:
        """Tell whether `path` is this directory, or what a build of this target puts into it."""
        folder = str(self.directory)
        above, name = os.path.split(path)
        return path == folder or (above == folder and self._is_ours(name))

    def _is_ours(self, name: str) -> bool:
        match = _ANY.fullmatch(name)
        if match is None or match["name"] != self.name:
            return False
        try:
            Version(match["version"])
        except InvalidVersion:
            return False
        return True
