"""OCI image layouts on disk (image-spec, image-layout.md), built beside their place and swapped in."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hatch_oci.errors import OutputError
from hatch_oci.image import media_types
from hatch_oci.image.annotation_keys import CONTAINERD_NAME, REF_NAME
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.document import encode_json
from hatch_oci.output.swap import link_or_copy, put_in_place
from hatch_oci.store.temporaries import sweep, temporary_folder


def write_layout(
    target: Path,
    top: Descriptor,
    documents: Sequence[bytes],
    layers: Mapping[Digest, Path],
    repository: str,
    tags: Sequence[str],
) -> None:
    """Write a layout of one image, or of one for several platforms, to the folder `target`, with one entry a tag.

    `top` describes its manifest or index, which is among the `documents`, with all other manifests and configs; `layers`
    are files with the layers' content. What was at `target` before stays whole until the new layout is; an `OutputError`
    where it cannot be written.
    """
    prefix = f".{target.name}."
    try:
        sweep(target.parent, prefix)
        with temporary_folder(target.parent, prefix) as folder:
            made = folder / target.name
            made.mkdir()
            _write_blobs(made, documents, layers)
            entries = [
                replace(top, annotations={REF_NAME: tag, CONTAINERD_NAME: f"{repository}:{tag}"}) for tag in tags
            ]
            index = {
                "schemaVersion": 2,
                "mediaType": media_types.OCI_INDEX,
                "manifests": [entry.to_json() for entry in entries],
            }
            _write(made / "oci-layout", encode_json({"imageLayoutVersion": "1.0.0"}))
            _write(made / "index.json", encode_json(index))
            _sync_folders([made / "blobs", *(made / "blobs").iterdir(), made])
            put_in_place(made, target)
            _sync_folders([target.parent])
    except OSError as error:
        message = f"cannot write {target}: {error.strerror or error}"
        raise OutputError(message) from error


def _write_blobs(folder: Path, documents: Sequence[bytes], layers: Mapping[Digest, Path]) -> None:
    contents = {Digest.of(document): document for document in documents}
    for digest in (*contents, *layers):
        _blob(folder, digest).parent.mkdir(parents=True, exist_ok=True)
    for digest, document in contents.items():
        _write(_blob(folder, digest), document)
    for digest, path in layers.items():
        link_or_copy(path, _blob(folder, digest))


def _blob(folder: Path, digest: Digest) -> Path:
    return folder / "blobs" / digest.algorithm / digest.hex


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
