"""A small image for what is about the way to it, and the table of a build that takes whatever is there."""

import json
import random
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .images import read_image
from .layers import OCI, small_layer
from .registries import digest_of, push_blob, push_manifest

# What everybody may pull where tokens are wanted, and what only some may.
PUBLIC, PRIVATE = "public/sample", "private/sample"
TAG = "1.0"

# No wheel, as there is no Python in it.
TABLE = """
base-image = "{env:BASE_IMAGE}"
wheel = false
lock = false
copy = [{ from = "static", to = "/srv/static" }]
entrypoint = ["/bin/true"]
"""


class Sample(NamedTuple):
    """The image's manifest, and the blobs by digest; the first of `layers` is the big one."""

    manifest: bytes
    blobs: dict[str, bytes]
    layers: list[str]

    @property
    def digest(self) -> str:
        """Answer the digest by which the image may be pulled."""
        return digest_of(self.manifest)


@cache
def sample() -> Sample:
    """Make the image, the same each time."""
    # Noise is not made smaller by gzip, so there is something to cut.
    noise = random.Random(7).randbytes(150_000).hex()
    parts = [small_layer({"opt/noise.txt": noise}), small_layer({"opt/small.txt": "small\n"})]
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["true"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in parts]},
    }
    config = json.dumps(document).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": {"mediaType": f"{OCI}.config.v1+json", "digest": digest_of(config), "size": len(config)},
        "layers": [
            {"mediaType": f"{OCI}.layer.v1.tar+gzip", "digest": digest_of(content), "size": len(content)}
            for content, _ in parts
        ],
    }
    blobs = {digest_of(content): content for content in (config, *(content for content, _ in parts))}
    return Sample(json.dumps(manifest, indent=3).encode(), blobs, [digest_of(content) for content, _ in parts])


def push_sample(registry: str, repository: str) -> None:
    """Push the image."""
    for content in sample().blobs.values():
        push_blob(registry, repository, content)
    assert push_manifest(registry, repository, TAG, json.loads(sample().manifest)) == sample().digest


def assert_pulled(layout: Path) -> None:
    """See that an image in a layout stands on the sample's layers, and that each of them is what it is called."""
    image = read_image(layout)
    for digest in sample().layers:
        assert (layout / "blobs" / digest.replace(":", "/")).read_bytes() == sample().blobs[digest]
    assert image.layer_digests[: len(sample().layers)] == sample().layers
    assert image.config["config"]["Labels"]["org.opencontainers.image.base.digest"] == sample().digest
