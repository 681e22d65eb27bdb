"""An image that documents are to be made about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hatch_oci.base.look import Contents
from hatch_oci.base.resolve import Base
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.platform import Platform
from hatch_oci.installation import Installation
from hatch_oci.lock.dependencies import Dependency
from hatch_oci.settings import Settings


class Subject(NamedTuple):
    """An image for one platform, with what went into it."""

    settings: Settings
    manifest: Descriptor
    base: Base
    contents: Contents
    installation: Installation | None
    """With the app's wheel open."""

    places: Mapping[str, Digest]
    """The layers that wheels lie in, by the wheels' normalised names."""

    @property
    def platform(self) -> Platform:
        """What it runs on."""
        return self.base.config.platform

    @property
    def wheels(self) -> Sequence[Dependency]:
        """All but the app's."""
        return list(self.installation.wheels) if self.installation else []
