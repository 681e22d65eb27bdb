"""What a user is told of a build as it goes on."""

from __future__ import annotations

from hatch_oci.base.look import Contents
from hatch_oci.base.resolve import Base
from hatch_oci.counts import Counts
from hatch_oci.layers.compress import GZIP_IS_REPRODUCIBLE
from hatch_oci.layers.layer import Layer
from hatch_oci.report import Reporter, format_size


def tell_of_layer(layer: Layer, reporter: Reporter) -> None:
    """Tell what a layer holds."""
    reporter.info(f"Layer {layer.summary}: {format_size(layer.descriptor.size)}")


def tell_of_work(counts: Counts, reporter: Reporter) -> None:
    """Tell what a build did, to those who want to know more."""
    reporter.debug(f"Work: {', '.join(f'{deed} {format_size(size)}' for deed, size in counts.bytes.items())}")
    reporter.debug(f"Seconds: {', '.join(f'{step} {taken:.2f}' for step, taken in counts.seconds.items())}")


def tell_of_base(base: Base, contents: Contents, reporter: Reporter) -> None:
    """Tell what was found, and what is not as it should be."""
    found = f", {contents.python}" if contents.python else ""
    reporter.info(f"Base {base.name} for {base.config.platform}{found}")
    if base.config.diff_ids and not base.config.history_fits and base.config.document.get("history"):
        reporter.warn(f"the history of {base.name} does not fit its layers; the image gets none")
    if not GZIP_IS_REPRODUCIBLE:
        reporter.warn("zlib-ng is not installed: other machines may compress to other bytes, and so other digests")
