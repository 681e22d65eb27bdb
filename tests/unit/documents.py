"""Valid documents to start from, and what becomes of them when values are damaged."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from hypothesis import strategies as st

from hatch_oci.errors import OCIError
from hatch_oci.image import media_types
from hatch_oci.image.digest import Digest

T = TypeVar("T")

FIRST, SECOND = Digest.of(b"first"), Digest.of(b"second")
SHA512 = Digest.parse("sha512:" + "ab" * 64)

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        [str(FIRST), str(SHA512), "", "linux", "arm64", "v8", media_types.OCI_INDEX, media_types.DOCKER_MANIFEST]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def encode(document: Any) -> bytes:
    """Return JSON as somebody else writes it: with spaces, in no order."""
    return json.dumps(document, indent=1).encode()


def descriptor(
    digest: Digest = FIRST, media_type: str = media_types.OCI_LAYER_GZIP, size: int = 5, **fields: Any
) -> dict[str, Any]:
    """Return a descriptor as it stands in a document."""
    return {"mediaType": media_type, "digest": str(digest), "size": size, **fields}


def manifest(*layers: Any, **fields: Any) -> dict[str, Any]:
    """Return an OCI manifest of these layers."""
    return {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": descriptor(SECOND, media_types.OCI_CONFIG, 6),
        "layers": list(layers),
        **fields,
    }


def index(*entries: Any, **fields: Any) -> dict[str, Any]:
    """Return an OCI index of these entries."""
    return {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": list(entries), **fields}


def image_config(*diff_ids: Digest, **fields: Any) -> dict[str, Any]:
    """Return an image configuration for linux/amd64."""
    rootfs = {"type": "layers", "diff_ids": [str(diff_id) for diff_id in diff_ids]}
    return {"os": "linux", "architecture": "amd64", "rootfs": rootfs, **fields}


@st.composite
def damaged(draw: st.DrawFn, document: Any) -> Any:
    """Draw `document` with up to three of its values replaced or taken away."""
    holder = {"document": copy.deepcopy(document)}
    for _ in range(draw(st.integers(0, 3))):
        places = list(_places(holder))
        container, key = places[draw(st.integers(0, len(places) - 1))]
        if container is not holder and draw(st.booleans()):
            del container[key]
        else:
            container[key] = draw(JSON_VALUES)
    return holder["document"]


def value_or_message(read: Callable[[], T]) -> T | str:
    """Return what is read, or the message of an `OCIError`; any other error goes on."""
    try:
        return read()
    except OCIError as error:
        return str(error)


def _places(container: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(container) if isinstance(container, dict) else range(len(container))
    for key in keys:
        yield container, key
        if isinstance(container[key], dict | list):
            yield from _places(container[key])
