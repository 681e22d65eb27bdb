"""A cache for a build that shall prove something: one that takes nothing from an earlier build on trust."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hatch_oci.errors import OutputError
from hatch_oci.store.blobs import CACHE_VARIABLE
from hatch_oci.store.temporaries import sweep, temporary_folder

_PREFIX = "fresh-"
_TOLD = ("facts/tags", "facts/locks")
"""What registries and indexes said, which may be asked for only where there is a network."""


@contextmanager
def fresh_cache(folder: Path) -> Iterator[None]:
    """Let builds in this process use the blobs of the cache in `folder`, and nothing that was made out of them before.

    Each blob is hashed again, and each layer made again.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder, _PREFIX)
        with temporary_folder(folder, _PREFIX) as fresh:
            (fresh / "v1" / "facts").mkdir(parents=True)
            for name in ("blobs", *_TOLD):
                shared = folder / "v1" / name
                shared.mkdir(parents=True, exist_ok=True)
                (fresh / "v1" / name).symlink_to(shared.resolve(), target_is_directory=True)
            with _variable(CACHE_VARIABLE, str(fresh)):
                yield
    except OSError as error:
        message = f"cannot write to the cache {folder}: {error.strerror or error}"
        raise OutputError(message) from error


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
