"""Documents into the registry that has the image which they refer to, and there on the list of its referrers."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

from hatch_oci import stopping
from hatch_oci.errors import RegistryError, UnreachableError
from hatch_oci.image import media_types
from hatch_oci.image.artifact import Artifact
from hatch_oci.image.digest import Digest
from hatch_oci.image.document import encode_json, parse_json
from hatch_oci.registry.push import Destination

_AT_ONCE = 4
_TRIES = 12
_LEAST, _MOST = 0.25, 5.0
"""Seconds: for so long others may be held up who add to a list; few can know of an image that has none yet."""


def attach(artifacts: Sequence[Artifact], destination: Destination) -> None:
    """Put the manifests of documents, whose blobs are there, and see that they are found from their images.

    A registry that keeps the list of an image's referrers says so when it takes one; else the list is an index of our
    own under a tag that is made of the image's digest (distribution-spec, "Referrers Tag Schema").
    """

    def put(artifact: Artifact) -> bool:
        return destination.put_manifest(artifact.raw, media_types.OCI_MANIFEST, str(artifact.digest))

    unlisted: dict[Digest, list[dict[str, Any]]] = {}
    for artifact, is_listed in zip(artifacts, stopping.work_on(artifacts, put, _AT_ONCE), strict=True):
        if not is_listed:
            unlisted.setdefault(artifact.subject.digest, []).append(artifact.entry())
    for subject, entries in unlisted.items():
        _list_under_tag(f"{subject.algorithm}-{subject.hex[:64]}", entries, destination)


def _list_under_tag(tag: str, entries: Sequence[dict[str, Any]], destination: Destination) -> None:
    """Add entries to the index under a tag, which others may write at the same time, and keep what is in it."""
    for _ in range(_TRIES):
        begun = time.monotonic()
        document = _read_list(tag, destination)
        there = document["manifests"]
        known = {entry.get("digest") for entry in there if isinstance(entry, dict)}
        missing = [entry for entry in entries if entry["digest"] not in known]
        if not missing:
            return
        longer = encode_json({**document, "manifests": [*there, *missing]})
        destination.put_manifest(longer, media_types.OCI_INDEX, tag)
        # Whoever read the list before this was written does not know of it, and has written another by then. That two
        # who got in each other's way do so again is up to chance.
        took = max(time.monotonic() - begun, _LEAST if there else 0)
        stopping.sleep(min(took * random.uniform(1, 2), _MOST))  # noqa: S311 - no secret
    message = f"{destination.host}/{destination.repository}:{tag} is written by others all the time: push again"
    raise UnreachableError(message)


def _read_list(tag: str, destination: Destination) -> dict[str, Any]:
    raw = destination.get_manifest(tag, media_types.OCI_INDEX)
    if raw is None:
        return {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": []}
    where = f"{destination.host}/{destination.repository}:{tag}"
    document = parse_json(raw, where).table()
    if not isinstance(document.get("manifests"), list):
        message = f"{where} is no list of referrers"
        raise RegistryError(message)
    return document
