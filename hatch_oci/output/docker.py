"""What `docker load` takes: a layout's files, and beside them the `manifest.json` that Docker looks for.

So do Docker's own archives look since version 25: one that knows OCI layouts finds the image with its manifest, and an
older one (or podman, or skopeo) its config and layers, which it may name as it likes and unpacks whatever they are
compressed with, but for zstd.
"""

from __future__ import annotations

from hatch_oci.errors import OutputError
from hatch_oci.image.document import encode_json
from hatch_oci.output.image import Files, Image
from hatch_oci.output.layout import blob_path, layout_files


def docker_files(image: Image) -> Files:
    """Return the files of a Docker archive of `image`, which is for one platform; an `OutputError` for zstd layers."""
    (manifest,) = image.manifests
    for layer in manifest.layers:
        if layer.media_type.endswith("zstd"):
            message = (
                f"the layer {layer.digest} is compressed with zstd, which a Docker archive cannot hold: "
                'set compression = "gzip"; '
                "if it is the base's layer, choose another base-image, or recompress that one"
            )
            raise OutputError(message)
    entry = {
        "Config": blob_path(manifest.config.digest),
        "RepoTags": [f"{image.repository}:{tag}" for tag in image.tags],
        "Layers": [blob_path(layer.digest) for layer in manifest.layers],
    }
    return {"manifest.json": encode_json([entry]), **layout_files(image)}
