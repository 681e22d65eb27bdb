"""The forms in which an image is written, as Hatch's `-t oci:FORM` names them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from hatch_oci.errors import OutputError
from hatch_oci.image.platform import Platform
from hatch_oci.output.archive import write_archive
from hatch_oci.output.docker import docker_files
from hatch_oci.output.image import Files, Image
from hatch_oci.output.layout import layout_files, write_layout
from hatch_oci.output.place import DOCKER_ARCHIVE, LAYOUT, OCI_ARCHIVE


class Form(NamedTuple):
    """What becomes of an image on disk."""

    suffix: str
    """What its name ends with."""

    files: Callable[[Image], Files]
    write: Callable[[Path, Files], int]
    """Returns how many bytes it linked instead of copying them."""

    takes_several: bool = True
    """Whether it may be for several platforms."""

    takes_sparse: bool = False
    """Whether layers of the base may be missing."""

    def check(self, platforms: Sequence[Platform], *, sparse: bool) -> None:
        """Raise an `OutputError` where the form cannot hold an image for all of these, or one that is `sparse`."""
        if sparse and not self.takes_sparse:
            message = "an archive holds all layers: build it without HATCH_OCI_SPARSE"
            raise OutputError(message)
        if len(platforms) > 1 and not self.takes_several:
            message = (
                f"a Docker archive holds an image for one platform, not for {', '.join(map(str, platforms))}: "
                "set one of them in `platforms`, and build once for each"
            )
            raise OutputError(message)


DEFAULT = "layout"
FORMS = {
    DEFAULT: Form(LAYOUT, layout_files, write_layout, takes_sparse=True),
    "oci-archive": Form(OCI_ARCHIVE, layout_files, write_archive),
    "docker-archive": Form(DOCKER_ARCHIVE, docker_files, write_archive, takes_several=False),
}
