"""How an image came to be: an in-toto statement with SLSA's provenance, version 1 (slsa.dev/spec/v1.1/provenance)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from hatchling.__about__ import __version__ as hatchling_version

from hatch_oci.image.digest import Digest
from hatch_oci.image.document import encode_json
from hatch_oci.trust.part import package_url
from hatch_oci.trust.subject import Subject
from hatch_oci.version import VERSION

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
_BUILDER = "pkg:pypi/hatch-oci-image"


class Sources(NamedTuple):
    """What a project is built from."""

    configuration: Mapping[str, Any]
    """The target's table as it stands in the file: what its fields are filled in with may be secret."""

    url: str
    """Where its sources are, as its metadata says; empty if it does not."""

    revision: str | None
    """The commit; None where they are of none."""


def make_statement(name: str, digest: Digest, kind: str, predicate: Mapping[str, Any]) -> bytes:
    """Return an in-toto statement about an image."""
    subject = [{"name": name, "digest": {digest.algorithm: digest.hex}}]
    statement = {"_type": STATEMENT, "subject": subject, "predicateType": kind, "predicate": predicate}
    return encode_json(statement)


def describe_build(subject: Subject, sources: Sources) -> dict[str, Any]:
    """Return how an image came to be: nothing in it is of this machine, or of this moment."""
    app = subject.installation.app if subject.installation else None
    built = [{"name": app.filename, "digest": {"sha256": app.sha256}}] if app and subject.settings.wheel is True else []
    return {
        "buildDefinition": {
            "buildType": f"{_BUILDER}#build",
            "externalParameters": {"configuration": json.loads(json.dumps(sources.configuration, default=str))},
            "internalParameters": {"platform": str(subject.platform), "created": subject.settings.created},
            "resolvedDependencies": [*_base(subject), *_wheels(subject), *_source(sources)],
        },
        "runDetails": {
            "builder": {"id": _BUILDER, "version": {"hatch-oci-image": VERSION, "hatchling": hatchling_version}},
            **({"byproducts": built} if built else {}),
        },
    }


def _base(subject: Subject) -> Iterator[dict[str, Any]]:
    base = subject.base
    name = {"uri": f"docker://{base.image_name}"} if base.image_name else {}
    for what, digest in (("base", base.digest), ("index of the base", base.top_digest)):
        if digest and (what == "base" or digest != base.digest):
            yield {"name": what, **name, "digest": {digest.algorithm: digest.hex}}


def _wheels(subject: Subject) -> Iterator[dict[str, Any]]:
    for one in subject.wheels:
        digest = one.blob.digest
        uri = package_url("pypi", one.facts.key, one.facts.version)
        yield {"name": one.filename, "uri": uri, "digest": {digest.algorithm: digest.hex}}
    app = subject.installation.app if subject.installation else None
    if app and subject.settings.wheel is not True:
        yield {"name": app.filename, "digest": {"sha256": app.sha256}}


def _source(sources: Sources) -> Iterator[dict[str, Any]]:
    if sources.revision:
        uri = {"uri": f"git+{sources.url}"} if sources.url else {}
        yield {"name": "source", **uri, "digest": {"gitCommit": sources.revision}}
