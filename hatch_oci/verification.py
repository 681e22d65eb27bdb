"""An image, verified: the project is built once more, and what comes of it must be the same, bit by bit."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hatch_oci.builder import OCIBuilder
from hatch_oci.comparison.changes import Change, ImageChanges
from hatch_oci.comparison.compare import compare_images, fetch_keys, index_changes
from hatch_oci.comparison.first import Finding, damage, first_layer
from hatch_oci.comparison.subject import OneImage, Subject, find_damage, open_subject
from hatch_oci.comparison.telling import change_line
from hatch_oci.git import git_status
from hatch_oci.image.annotation_keys import BASE_DIGEST, VERSION
from hatch_oci.image.document import printable
from hatch_oci.image.platform import Platform
from hatch_oci.layers.compress import GZIP_IS_REPRODUCIBLE
from hatch_oci.registry.remote import Remote
from hatch_oci.store.blobs import BlobStore, cache_folder
from hatch_oci.store.fresh import fresh_cache

_LONGEST = 5000
_MOST_NAMED = 3
_CHANGED_LATER = "the image was changed after it was built"


def verify(text: str, root: Path, store: BlobStore, remote: Remote) -> tuple[bool, str]:
    """Build the project at `root` beside; tell whether that gives the image `text`, else what differs first and why."""
    image = open_subject(text, root, store, remote)
    with tempfile.TemporaryDirectory() as folder:
        built = open_subject(str(_build(root, folder)), root, store, remote)
        if damaged := next(find_damage(image), None):
            whole = store.find(damaged.digest)
            verdict = f"{image.name} {image.digest} is damaged"
            finding, cause = damage(image, damaged, whole.path if whole else None), _CHANGED_LATER
        elif image.digest == built.digest:
            return True, f"same {image.digest}"
        else:
            verdict = f"{image.name} {image.digest} is not what these sources give: {built.digest}"
            finding, cause = _first(image, built, root, store, remote)
    lines = [verdict, f"{finding.where}: {finding.what}", f"Likely cause: {cause}"]
    return False, "\n".join(printable(line, _LONGEST) for line in lines)


def _build(root: Path, folder: str) -> Path:
    with fresh_cache(cache_folder()):
        (artifact,) = OCIBuilder(str(root)).build(directory=folder, versions=["layout"])
    return Path(artifact)


def _first(image: Subject, built: Subject, root: Path, store: BlobStore, remote: Remote) -> tuple[Finding, str]:
    """Return what differs first, and the likely cause."""
    if image.images.keys() != built.images.keys():
        platforms = [", ".join(map(str, one.images)) for one in (image, built)]
        what = f"{platforms[0]} in the image, {platforms[1]} built now"
        return Finding("platforms", what), "another `platforms`"
    for platform, old in image.images.items():
        new = built.images[platform]
        if old.base.digest != new.base.digest:
            return _first_of_one(platform, old, new, root, store, remote)
    changes = index_changes(image, built)
    return _first_value("the index", changes), "another `annotations`, `format`, or order of `platforms`"


def _first_of_one(
    platform: Platform, old: OneImage, new: OneImage, root: Path, store: BlobStore, remote: Remote
) -> tuple[Finding, str]:
    reporter = remote.reporter
    changes = compare_images(platform, old, new, store, reporter)
    finding = first_layer(old, new, (fetch_keys(old, store, reporter), fetch_keys(new, store, reporter)))
    if finding is None and changes.configuration:
        finding = _first_value("the configuration", changes.configuration)
    finding = finding or _first_value("the manifest", changes.manifest)
    return finding, _cause(finding, changes, root)


def _first_value(where: str, changes: tuple[Change, ...]) -> Finding:
    if not changes:
        return Finding(where, "says the same in other bytes")
    change = changes[0]
    return Finding(where, f"{change.name} is {change.old!r} in the image, {change.new!r} built now")


def _cause(finding: Finding, changes: ImageChanges, root: Path) -> str:
    values = {change.name.removeprefix("config.Labels."): change for change in changes.configuration}
    if base := values.get(BASE_DIGEST):
        advice = "`python -m hatch_oci pin` keeps one"
        return f"another base: {base.old} below the image, {base.new} now; {advice}"
    if finding.compressed:
        missing = "" if GZIP_IS_REPRODUCIBLE else "; zlib-ng is not installed here"
        return f"another compressor, or another `compression`{missing}"
    if version := values.get(VERSION):
        return f"another version of the project: {version.old} in the image, {version.new} now"
    if packages := [change_line(change) for change in changes.packages if change.name.startswith("python ")]:
        return f"another lock: {_named(packages)}"
    if finding.path.endswith(".dist-info/WHEEL"):
        return "another hatchling, which the wheel names"
    if finding.path == "" and "created" in values:
        return "another `created`, or another SOURCE_DATE_EPOCH"
    if dirty := _uncommitted(root):
        return f"files that are not committed: {_named(dirty)}"
    if finding.path:
        return f"the project's files are not those that it was built from, or {_CHANGED_LATER}"
    return "another pyproject.toml, or another value of a variable in it"


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{', '.join(names[:_MOST_NAMED])}{more}"


def _uncommitted(root: Path) -> list[str]:
    """Return the files of the project that its git knows otherwise or not at all; none without one."""
    entries = git_status(root, "--porcelain=v1", "--no-renames", "--", ".")
    return [entry[3:] for entry in entries or []]
