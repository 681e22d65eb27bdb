"""What is in an image, told by who put it there: wheels, the base, and what the base brings along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from hatch_oci.base.system import System
from hatch_oci.image.digest import Digest
from hatch_oci.image.platform import Platform
from hatch_oci.image.reference import Reference
from hatch_oci.store.blobs import BlobStore
from hatch_oci.trust.part import Inventory, Part, package_url
from hatch_oci.trust.subject import Subject
from hatch_oci.trust.wheels import describe_stored


def take_inventory(subject: Subject, digest: Digest, app: Part | None, store: BlobStore) -> Inventory:
    """Return all that is in an image, which is said to have `digest`, and to hold `app`."""
    system = System.from_json(subject.contents.system) if subject.contents.system else System()
    locked = (replace(describe_stored(one, store), layer=str(subject.places[one.facts.key])) for one in subject.wheels)
    return Inventory(
        image=_container(subject.settings.repository, digest, subject.platform),
        created=subject.settings.created,
        wheels=(app, *locked) if app else tuple(locked),
        base=_base(subject, system),
        unread=system.unread,
    )


def _base(subject: Subject, system: System) -> Part | None:
    base = subject.base
    if base.digest is None:
        return None
    # One that lies on this machine has a name here alone.
    name, tag = "base", ""
    if base.image_name:
        reference = Reference.parse(base.image_name)
        name, tag = reference.name, reference.tag or ""
    part = _container(name, base.digest, subject.platform, tag)
    return replace(part, parts=tuple(_brought(system, subject.contents.packages)))


def _brought(system: System, packages: Mapping[str, str]) -> Iterator[Part]:
    if system.id:
        yield Part("operating-system", system.id, system.version)
    distribution = "-".join(filter(None, (system.id, system.version)))
    for one in system.packages:
        epoch, version = "", one.version
        if system.kind == "rpm" and ":" in version:
            epoch, _, version = version.partition(":")
        qualifiers = {"arch": one.architecture, "distro": distribution, "epoch": epoch}
        purl = package_url(system.kind, one.name, version, system.id, **qualifiers)
        yield Part("library", one.name, one.version, purl, licence=one.licence)
    for name, version in sorted(packages.items()):
        yield Part("library", name, version, package_url("pypi", name, version))


def _container(name: str, digest: Digest, platform: Platform, tag: str = "") -> Part:
    place, _, last = name.rpartition("/")
    # Without a registry it is nowhere to be found.
    qualifiers = {"repository_url": name if place else "", "arch": platform.architecture, "tag": tag}
    purl = package_url("oci", last, str(digest), **qualifiers)
    return Part("container", name, str(digest), purl, digest.hex if digest.algorithm == "sha256" else "")
