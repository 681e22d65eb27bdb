"""What Hatch calls. Nothing is imported before it is needed: every build of every target comes by here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatchling.plugin import hookimpl

if TYPE_CHECKING:
    from hatch_oci.builder import OCIBuilder
    from hatch_oci.publisher import OCIPublisher


@hookimpl
def hatch_register_builder() -> type[OCIBuilder]:
    """Return the builder of the target `oci`."""
    from hatch_oci.builder import OCIBuilder

    return OCIBuilder


@hookimpl
def hatch_register_publisher() -> type[OCIPublisher]:
    """Return the publisher `oci`; only Hatch itself asks, never a build."""
    from hatch_oci.publisher import OCIPublisher

    return OCIPublisher
