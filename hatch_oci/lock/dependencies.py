"""The dependencies of a project for one target: wheels in the store that are known to fit together."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import NamedTuple

from hatch_oci.image.document import encode_json
from hatch_oci.layers.venv import Venv, installed_files
from hatch_oci.layers.wheel import Wheel, open_wheel
from hatch_oci.lock.clash import Placed
from hatch_oci.lock.facts import WheelFacts, facts_of, read_facts
from hatch_oci.store.blobs import BlobStore, StoredBlob

_FORMAT = 1
"""Raised when the check for clashes changes."""


class Dependency(NamedTuple):
    """A wheel that goes into the image."""

    facts: WheelFacts
    filename: str
    blob: StoredBlob
    upload_time: datetime | None
    built: bool = False
    """Whether it was built here: how it is deflated depends on this machine's zlib."""

    @contextmanager
    def opened(self) -> Iterator[Wheel]:
        """Open the wheel."""
        digest = self.blob.digest
        with open_wheel(self.blob.path, self.filename, digest.hex if digest.algorithm == "sha256" else None) as wheel:
            yield wheel


def depend_on(
    filename: str, blob: StoredBlob, store: BlobStore, upload_time: datetime | None = None, *, built: bool = False
) -> Dependency:
    """Return a wheel in the store as a dependency."""
    return Dependency(facts_of(blob.path, filename, blob.digest, store), filename, blob, upload_time, built)


def check_clashes(dependencies: Sequence[Dependency], app: Wheel | None, venv: Venv, store: BlobStore) -> None:
    """Raise a `LockError` where two wheels put different bytes at one path; found out once for the same wheels.

    `app` is the project's own wheel, open, if there is one.
    """
    tops = [(one, one.facts.tops) for one in dependencies]
    app_tops = read_facts(app).tops if app else frozenset()
    suspects = _sharing(tops, app_tops)
    if not suspects:
        return
    with_app = app is not None and any(not one.facts.tops.isdisjoint(app_tops) for one in suspects)
    digests = [str(one.blob.digest) for one in suspects] + ([app.sha256] if app and with_app else [])
    key = hashlib.sha256(encode_json([_FORMAT, venv.prefix, venv.python_name, digests])).hexdigest()
    if store.recall("clashes", key) is False:
        return
    placed = Placed()
    with ExitStack() as stack:
        wheels = [stack.enter_context(one.opened()) for one in suspects]
        for wheel in [*wheels, *([app] if app and with_app else [])]:
            for entry, digest in installed_files(wheel, venv):
                placed.put(entry, digest, wheel.filename)
    store.remember("clashes", key, value=False)


def _sharing(tops: Sequence[tuple[Dependency, frozenset[str]]], others: frozenset[str]) -> list[Dependency]:
    """Return the wheels that may have a path in common with another, or with what puts its files at `others`."""
    counts = Counter(top for _, own in tops for top in own)
    shared = others | {top for top, count in counts.items() if count > 1}
    return sorted((one for one, own in tops if not own.isdisjoint(shared)), key=lambda one: one.facts.key)
