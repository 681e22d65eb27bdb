"""What `base-image` names, opened: the one place that knows all kinds of it."""

from __future__ import annotations

from pathlib import Path

from hatch_oci.base.name import check_base_name, is_local
from hatch_oci.base.source import Source, open_registry
from hatch_oci.registry.remote import Remote
from hatch_oci.store.blobs import BlobStore


def open_source(remote: Remote, text: str, root: Path, store: BlobStore) -> Source | None:
    """Return what `base-image` names, None for `scratch`; `root` is what a relative path starts from."""
    check_base_name(text)
    if text == "scratch":
        return None
    if is_local(text):
        # Not above: most bases come out of a registry.
        from hatch_oci.base.local import open_local

        return open_local(text, root, store)
    return open_registry(remote, text, store)
