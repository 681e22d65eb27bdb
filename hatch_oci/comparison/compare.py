"""Two images, compared: documents, layers, packages, and files in the file systems that their layers make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from hatch_oci.base.packages import read_info_name
from hatch_oci.base.resolve import fetch_layers
from hatch_oci.base.system import database_files, find_system
from hatch_oci.comparison.changes import Change, Changes, FileChange, ImageChanges, LayerChange, changes_of, flatten
from hatch_oci.comparison.contents import Attributes, Contents, LayerKey, describe_layers, merge
from hatch_oci.comparison.subject import LayerFacts, OneImage, Subject
from hatch_oci.image.document import parse_json
from hatch_oci.image.manifest import Index
from hatch_oci.image.platform import Platform
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore


def compare(old: Subject, new: Subject, store: BlobStore, reporter: Reporter) -> Changes:
    """Return what differs; layers that both have are fetched, and read, only where it depends on them."""
    both = [platform for platform in old.images if platform in new.images]
    return Changes(
        old=old.name,
        new=new.name,
        digests=(old.digest, new.digest),
        index=index_changes(old, new),
        removed_platforms=tuple(platform for platform in old.images if platform not in new.images),
        added_platforms=tuple(platform for platform in new.images if platform not in old.images),
        images=tuple(
            compare_images(platform, old.images[platform], new.images[platform], store, reporter) for platform in both
        ),
    )


def compare_images(
    platform: Platform, old: OneImage, new: OneImage, store: BlobStore, reporter: Reporter
) -> ImageChanges:
    """Return what differs for one platform."""
    files: tuple[FileChange, ...] = ()
    packages: tuple[Change, ...] = ()
    if old.base.config.diff_ids != new.base.config.diff_ids:
        was, now = _contents(old, new, store, reporter)
        files = tuple(_file_changes(was.files, now.files))
        packages = changes_of(*_packages(was, now))
    layers = old.layers, new.layers
    there = {layer.descriptor.digest for layer in layers[0]}
    return ImageChanges(
        platform=platform,
        manifest=changes_of(_manifest(old.manifest), _manifest(new.manifest)),
        configuration=changes_of(_configuration(old), _configuration(new)),
        layers=tuple(_layer_changes(*layers)),
        shared_layers=sum(layer.descriptor.digest in there for layer in layers[1]),
        packages=packages,
        files=files,
    )


def index_changes(old: Subject, new: Subject) -> tuple[Change, ...]:
    """Return what differs above the images for the platforms."""
    return changes_of(_index(old), _index(new))


def fetch_keys(
    image: OneImage, store: BlobStore, reporter: Reporter, start: int = 0, end: int | None = None
) -> list[LayerKey]:
    """Return an image's layers in the store, or some of them, as they are read."""
    blobs = fetch_layers(replace(image.base, layers=image.base.layers[start:end]), store, reporter)
    return [(blob.path, diff_id) for blob, diff_id in zip(blobs, image.base.config.diff_ids[start:end], strict=True)]


def _contents(old: OneImage, new: OneImage, store: BlobStore, reporter: Reporter) -> tuple[Contents, Contents]:
    """Return the files of both, without those that both have of lowest layers that need not be read."""
    pairs = zip(old.base.config.diff_ids, new.base.config.diff_ids, strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    keys = [fetch_keys(image, store, reporter, shared) for image in (old, new)]
    described = describe_layers([*keys[0], *keys[1]])
    steps = [[[one.step for one in described[layer]] for layer in layers] for layers in keys]
    # The same names one after the other replace and hide the same of what is below.
    if steps[0] != steps[1]:
        below = fetch_keys(old, store, reporter, 0, shared)
        described |= describe_layers(below)
        keys = [[*below, *layers] for layers in keys]
    return merge(keys[0], described), merge(keys[1], described)


def _index(subject: Subject) -> dict[str, str]:
    top = subject.source.top
    values = {"mediaType": top.media_type}
    if isinstance(top, Index):
        # Which images it lists is told platform by platform.
        document = parse_json(top.raw, f"the index of {subject.name}").table()
        values |= flatten({key: value for key, value in document.items() if key != "manifests"})
    return values


def _manifest(document: Mapping[str, Any]) -> dict[str, str]:
    config = document.get("config") or {}
    kept = {key: value for key, value in document.items() if key not in ("config", "layers")}
    return flatten({**kept, "config": {"mediaType": config.get("mediaType", "")}})


def _configuration(image: OneImage) -> dict[str, str]:
    # The diff_ids are told with the layers.
    return flatten({key: value for key, value in image.base.config.document.items() if key != "rootfs"})


def _layer_changes(old: Sequence[LayerFacts], new: Sequence[LayerFacts]) -> Iterator[LayerChange]:
    there = {layer.descriptor.digest for layer in new}
    gone = [layer for layer in old if layer.descriptor.digest not in there]
    there = {layer.descriptor.digest for layer in old}
    come = {layer.diff_id: layer for layer in new if layer.descriptor.digest not in there}
    for layer in gone:
        yield LayerChange(layer, come.pop(layer.diff_id, None))
    yield from (LayerChange(None, layer) for layer in come.values())


def _file_changes(old: Mapping[str, Attributes], new: Mapping[str, Attributes]) -> Iterator[FileChange]:
    for path in sorted(old.keys() | new.keys()):
        if path not in old:
            yield FileChange(path, "added")
        elif path not in new:
            yield FileChange(path, "removed")
        # Those of a layer that both have are one object.
        elif old[path] is not new[path] and old[path] != new[path]:
            yield FileChange(path, "changed", attribute_changes(old[path], new[path]))


def attribute_changes(old: Attributes, new: Attributes) -> tuple[Change, ...]:
    """Return the attributes that differ, in the order in which they are told."""
    pairs = zip(Attributes._fields, old, new, strict=True)
    return tuple(Change(name, was, now) for name, was, now in pairs if was != now)


def _packages(old: Contents, new: Contents) -> tuple[dict[str, str], dict[str, str]]:
    """Return the versions of packages by kind and name; the system's are read only where their databases differ."""
    found = [_python_packages(one) for one in (old, new)]
    if _databases(old) != _databases(new):
        for packages, one in zip(found, (old, new), strict=True):
            system = find_system(one.tree)
            for package in system.packages:
                packages.setdefault(f"{system.kind} {package.name}", set()).add(package.version)
    was, now = ({name: ", ".join(sorted(versions)) for name, versions in one.items()} for one in found)
    return was, now


def _python_packages(contents: Contents) -> dict[str, set[str]]:
    packages: dict[str, set[str]] = {}
    for path, attributes in contents.files.items():
        folder, _, name = path.rpartition("/")
        is_info = attributes.kind == "folder" and folder.endswith(("/site-packages", "/dist-packages"))
        if is_info and (package := read_info_name(name)):
            packages.setdefault(f"python {package[0]}", set()).add(package[1])
    return packages


def _databases(contents: Contents) -> list[tuple[str, str]]:
    found = [(path, contents.tree.find(path)) for path in database_files(contents.tree)]
    return [(path, contents.files[real[0]].content) for path, real in found if real]
