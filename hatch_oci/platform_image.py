"""The image for one platform, once its layers are in the store, and what is said of it in the record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name

from hatch_oci.assembly import DEFAULT_PATH, find_command, find_env
from hatch_oci.base.look import Contents
from hatch_oci.base.resolve import Base
from hatch_oci.base.stdlib import read_stdlib
from hatch_oci.errors import RunError
from hatch_oci.image.config import ImageConfig
from hatch_oci.image.digest import Digest
from hatch_oci.image.manifest import Manifest, make_index
from hatch_oci.image.media_types import FAMILIES
from hatch_oci.installation import Installation
from hatch_oci.layers.bytecode import bytecode_path, compile_bytecode, compiler
from hatch_oci.layers.entry import Entry, complete, file_entry
from hatch_oci.layers.layer import Layer
from hatch_oci.output.image import Image
from hatch_oci.output.record import ImageRecord, LayerRecord, Record
from hatch_oci.packing import Plan, PlannedLayer, planned_of
from hatch_oci.report import Reporter
from hatch_oci.running import check_runs
from hatch_oci.settings import Settings
from hatch_oci.store.blobs import StoredBlob
from hatch_oci.trust.documents import Documents


class PlatformImage(NamedTuple):
    """An image, and all that it is made of."""

    base: Base
    base_blobs: tuple[StoredBlob, ...]
    layers: tuple[Layer, ...]
    layer_paths: Mapping[Digest, Path]
    config: ImageConfig
    manifest: Manifest
    annotations: Mapping[str, str]
    installation: Installation | None
    lock: str | None
    documents: Documents

    @property
    def paths(self) -> dict[Digest, Path]:
        """The files with the content of all layers."""
        return {blob.digest: blob.path for blob in self.base_blobs} | dict(self.layer_paths)

    @property
    def record(self) -> ImageRecord:
        """What a pipeline may want to know of it."""
        below = zip(self.base.layers, self.base.config.diff_ids, strict=True)
        app = self.installation.app if self.installation else None
        return ImageRecord(
            platform=self.config.platform,
            manifest=self.manifest,
            layers=[
                *(LayerRecord(descriptor, diff_id, "base") for descriptor, diff_id in below),
                *(LayerRecord(layer.descriptor, layer.diff_id, layer.summary) for layer in self.layers),
            ],
            base_digest=self.base.digest,
            wheel=app.filename if app else None,
            wheel_sha256=app.sha256 if app else None,
            packages=self._packages(),
            missing=[one.digest for one in self.base.layers if one.digest not in self.paths],
            artifacts=self.documents.artifacts,
        )

    def _packages(self) -> dict[str, str]:
        if self.installation is None:
            return {}
        packages = {one.facts.key: one.facts.version for one in self.installation.wheels}
        app = self.installation.app
        return packages | ({canonicalize_name(app.name): str(app.version)} if app else {})


def join(made: Sequence[PlatformImage], settings: Settings) -> tuple[Image, Record]:
    """Return the image out of those for all platforms, under an index if there are several, and its record."""
    first = made[0]
    images = [replace(one.manifest.descriptor, platform=one.config.platform) for one in made]
    attestations = [one.documents.attestation for one in made if one.documents.attestation]
    entries = [*images, *(one.entry for one in attestations)]
    image = Image(
        top=make_index(entries, first.annotations, FAMILIES[settings.format]) if len(entries) > 1 else first.manifest,
        manifests=[one.manifest for one in made],
        configs=[one.config.raw for one in made],
        layers={digest: path for one in made for digest, path in one.paths.items()},
        repository=settings.repository,
        tags=settings.tags,
        artifacts=[artifact for one in made for artifact in one.documents.artifacts],
        attestations=attestations,
    )
    record = Record(
        repository=settings.repository,
        tags=settings.tags,
        top=image.top.descriptor,
        images=[one.record for one in made],
        base_reference=first.base.name,
        base_digest=first.base.top_digest,
        lock=first.lock,
    )
    return image, record


def check_starts(plan: Plan, base: Base, settings: Settings, contents: Contents, reporter: Reporter) -> None:
    """Raise a `RunError` unless the image will start, as far as that can be told before it is made.

    Where nothing was installed, and so little is known of what is to run, it is but a warning.
    """
    entrypoint, cmd = find_command(settings, plan.installation)
    path = {**base.config.env, **find_env(base.config, settings, plan.installation)}.get("PATH", DEFAULT_PATH)
    command = (*(entrypoint or ()), *(cmd or ())) if entrypoint is not None or not base.config.entrypoint else ()
    libc = contents.python.libc if contents.python else None
    try:
        check_runs(command, path, plan.ground, plan.installation, libc)
    except RunError as error:
        if plan.installation:
            raise
        reporter.warn(str(error))


def stdlib_layers(
    base: Base, blobs: Sequence[StoredBlob], contents: Contents, settings: Settings
) -> Iterator[PlannedLayer]:
    """Yield the layer with the bytecode of the base's standard library, if it is asked for."""
    python = contents.python
    if python is None or "stdlib" not in settings.dependencies.bytecode:
        return
    summary = f"bytecode of {python.binary_name}"
    parts = ["stdlib", compiler(), python.executable, [str(diff_id) for diff_id in base.config.diff_ids]]

    def make() -> list[Entry]:
        entries = []
        for path, source in read_stdlib(base, blobs, python):
            if data := compile_bytecode(source, path):
                entries.append(file_entry(bytecode_path(path, python.minor), data))
        return complete(entries, contents.outline.is_folder)

    yield planned_of(parts, summary, settings.compression, make)
