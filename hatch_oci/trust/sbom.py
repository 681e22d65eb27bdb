"""Lists of what is in an image (SBOMs): made once for the same content, and remembered.

The libraries that write them take longer to import than a build takes that changes only the app. So a list is made with
stand-ins for what changes with the app's code, the hashes of its wheel, its layer and the image, and these are put in.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from importlib import import_module

from hatch_oci.image.digest import Digest
from hatch_oci.image.document import encode_json
from hatch_oci.store.blobs import BlobStore
from hatch_oci.trust.part import Part, serial_of
from hatch_oci.trust.subject import Subject
from hatch_oci.trust.wheels import describe_wheel

_FORMAT = 1
"""Raised when the same content gives another list."""

_IMAGE, _APP, _APP_LAYER = (Digest.of(b"stand-in for " + name) for name in (b"the image", b"the app", b"its layer"))


def make_sboms(subject: Subject, store: BlobStore) -> dict[str, bytes]:
    """Return the lists of what is in an image, by the formats that are asked for."""
    formats = subject.settings.trust.sboms
    if not formats:
        return {}
    app = _describe_app(subject)
    real = {_IMAGE: subject.manifest.digest}
    if app:
        real |= {_APP: Digest("sha256", app.sha256), _APP_LAYER: Digest.parse(app.layer)}
        app = replace(app, sha256=_APP.hex, layer=str(_APP_LAYER))
    return {name: _put_in(real, _recall_or_write(name, subject, app, store)) for name in formats}


def _put_in(real: dict[Digest, Digest], text: str) -> bytes:
    for stand_in, digest in real.items():
        text = text.replace(stand_in.hex, digest.hex).replace(serial_of(stand_in.hex), serial_of(digest.hex))
    return text.encode("utf-8")


def _describe_app(subject: Subject) -> Part | None:
    app = subject.installation.app if subject.installation else None
    if app is None:
        return None
    part = describe_wheel(app, "application")
    return replace(part, layer=str(subject.places[part.name]))


def _recall_or_write(name: str, subject: Subject, app: Part | None, store: BlobStore) -> str:
    key = _key(name, subject, app)
    known: str | None = store.recall("sboms", key, str)
    if known is not None:
        return known
    # Not above, for the reason that this file begins with.
    from hatch_oci.trust.inventory import take_inventory

    writer = import_module(f"hatch_oci.trust.{name}")
    text = encode_json(writer.document_of(take_inventory(subject, _IMAGE, app, store))).decode("utf-8")
    store.remember("sboms", key, text)
    return text


def _key(name: str, subject: Subject, app: Part | None) -> str:
    """Return what changes with all that a list says, without opening a wheel of the lock."""
    settings, contents = subject.settings, subject.contents
    base = [subject.base.image_name, str(subject.base.digest), str(subject.platform)]
    found = [dict(contents.packages), list(contents.system)]
    wheels = [(str(one.blob.digest), str(subject.places[one.facts.key])) for one in subject.wheels]
    parts = [_FORMAT, name, settings.repository, settings.created, base, found, wheels, app and asdict(app)]
    return hashlib.sha256(encode_json(parts)).hexdigest()
