"""OCI image layouts (image-spec, image-layout.md); as folders, built beside their place and swapped in."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from hatch_oci.errors import OutputError
from hatch_oci.image import media_types
from hatch_oci.image.annotation_keys import CONTAINERD_NAME, REF_NAME
from hatch_oci.image.artifact import list_referrers
from hatch_oci.image.digest import Digest
from hatch_oci.image.document import encode_json
from hatch_oci.output.image import Files, Image
from hatch_oci.output.swap import link_or_copy, put_in_place
from hatch_oci.store.temporaries import sweep, temporary_folder

REFERRERS = "referrers.json"
"""The file of a layout that lists the documents that go with its images, as a registry would (distribution-spec)."""


def blob_path(digest: Digest) -> str:
    """Return where a layout has the blob with this digest."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def layout_files(image: Image) -> Files:
    """Return the files of a layout of `image`, whose index has one entry a tag.

    The documents that go with it are listed beside that index, not in it: where it has a single entry, tools need
    no tag.
    """
    entries = [
        replace(image.top.descriptor, annotations={REF_NAME: tag, CONTAINERD_NAME: f"{image.repository}:{tag}"})
        for tag in image.tags
    ]
    index = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": [entry.to_json() for entry in entries],
    }
    blobs = {blob_path(digest): content for digest, content in image.blobs}
    return {
        "oci-layout": encode_json({"imageLayoutVersion": "1.0.0"}),
        "index.json": encode_json(index),
        **({REFERRERS: list_referrers(one.entry() for one in image.artifacts)} if image.artifacts else {}),
        **dict(sorted(blobs.items())),
    }


def write_layout(target: Path, files: Files) -> int:
    """Write a layout's files into the folder `target`; return how many bytes were linked instead of copied.

    What was at `target` before stays whole until the new layout is, and stays where it is the same; an `OutputError`
    where it cannot be written.
    """
    prefix = f".{target.name}."
    try:
        sweep(target.parent, prefix)
        if _is_there(target, files):
            # As new as what it was made of, for those who go by dates.
            os.utime(target)
            return 0
        with temporary_folder(target.parent, prefix) as folder:
            made = folder / target.name
            made.mkdir()
            linked = sum([_write(made / path, content) for path, content in files.items()])
            put_in_place(made, target)
            return linked
    except OSError as error:
        message = f"cannot write {target}: {error.strerror or error}"
        raise OutputError(message) from error


def _is_there(target: Path, files: Files) -> bool:
    """Tell whether `target` holds these files and nothing else, the large ones as links to the very same."""
    found = {
        path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_symlink() or not path.is_dir()
    }
    return (
        not target.is_symlink()
        and found == files.keys()
        and all(_is_same(target / path, content) for path, content in files.items())
    )


def _is_same(path: Path, content: bytes | Path) -> bool:
    if path.is_symlink():
        return False
    return path.samefile(content) if isinstance(content, Path) else path.read_bytes() == content


def _write(path: Path, content: bytes | Path) -> int:
    """Write a file; return how many bytes of it are links."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        return content.stat().st_size if link_or_copy(content, path) else 0
    path.write_bytes(content)
    return 0
