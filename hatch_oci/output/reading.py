"""Image layouts on disk, read back to be pushed or loaded (image-spec, image-layout.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hatch_oci.errors import ContentError, OutputError
from hatch_oci.image.annotation_keys import ATTESTATION_TYPE, BASE_NAME, CONTAINERD_NAME, REF_NAME
from hatch_oci.image.artifact import EMPTY_CONFIG, Artifact, read_artifact
from hatch_oci.image.attestation import Attestation, read_attestation
from hatch_oci.image.config import ImageConfig, read_config
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.document import parse_json
from hatch_oci.image.manifest import MAX_MANIFEST, Index, Manifest, read_manifest
from hatch_oci.output.image import Image
from hatch_oci.output.layout import REFERRERS, blob_path
from hatch_oci.regular import open_regular

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image in a layout: its manifest, or its index with the manifests of all platforms."""

    layout: Path
    top: Manifest | Index
    manifests: tuple[Manifest, ...]
    configs: tuple[ImageConfig, ...]
    repository: str | None
    """Where it belongs, as the layout says."""

    tags: tuple[str, ...]
    artifacts: tuple[Artifact, ...] = ()
    """The documents that go with it."""

    attestations: tuple[Attestation, ...] = ()
    """What the index names beside the images."""

    @property
    def blobs(self) -> dict[Digest, Descriptor]:
        """The configs and layers, and what the documents consist of, each once."""
        manifests = (*self.manifests, *(one.manifest for one in self.attestations))
        found = [descriptor for manifest in manifests for descriptor in (manifest.config, *manifest.layers)]
        found += [descriptor for one in self.artifacts for descriptor in (EMPTY_CONFIG, one.document)]
        return {descriptor.digest: descriptor for descriptor in found}

    def to_write(self) -> Image:
        """Return it as it may be written in another form; an `OutputError` where layers are missing."""
        missing = next((digest for digest in self.blobs if not self.path(digest).exists()), None)
        if missing:
            message = f"{self.layout} is sparse, it lacks {missing}: build it without HATCH_OCI_SPARSE"
            raise OutputError(message)
        layers = {layer.digest: self.path(layer.digest) for manifest in self.manifests for layer in manifest.layers}
        configs = [config.raw for config in self.configs]
        return Image(
            top=self.top,
            manifests=self.manifests,
            configs=configs,
            layers=layers,
            repository=self.repository or "image",
            tags=self.tags or ("latest",),
            artifacts=self.artifacts,
            attestations=self.attestations,
        )

    @property
    def base_name(self) -> str | None:
        """Where everybody finds its base, if anywhere."""
        labels = (self.configs[0].document.get("config") or {}).get("Labels") or {}
        name = labels.get(BASE_NAME)
        return name if isinstance(name, str) else None

    def path(self, digest: Digest) -> Path:
        """Return where a blob lies; in a sparse layout those of the base may be missing."""
        return self.layout / "blobs" / digest.algorithm / digest.hex


def read_file(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes; an `OutputError` where it cannot be read."""
    try:
        with open_regular(path) as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        message = f"cannot read {path}: {error.strerror or error}"
        raise OutputError(message) from error


def read_layout(layout: Path) -> StoredImage:
    """Read the one image of a layout; an `OutputError` where there is none, or several.

    The digests of manifests and configs are checked here, those of layers by whoever gets them.
    """
    try:
        with open_regular(layout / "index.json") as file:
            raw = file.read(MAX_MANIFEST + 1)
    except OSError as error:
        message = f"{layout} is no image layout: {error.strerror or error}"
        raise OutputError(message) from error
    if len(raw) > MAX_MANIFEST:
        message = f"{layout / 'index.json'} has more than the {MAX_MANIFEST} bytes that are read"
        raise OutputError(message)
    entries = [Descriptor.read(item) for item in parse_json(raw, str(layout / "index.json")).get("manifests").items()]
    if len({entry.digest for entry in entries}) != 1:
        message = f"{layout} holds {len(entries)} images; one is needed"
        raise OutputError(message)
    top = read_manifest(_small(layout, entries[0]), f"the manifest of {layout}", expected=entries[0])
    children = [] if isinstance(top, Manifest) else [(entry, _child(layout, entry)) for entry in top.manifests]
    images = [child for entry, child in children if ATTESTATION_TYPE not in entry.annotations]
    manifests = [top] if isinstance(top, Manifest) else images
    if not manifests:
        message = f"{layout} holds an index of no image: build it anew"
        raise OutputError(message)
    configs = [read_config(_small(layout, one.config), f"the config of {layout}") for one in manifests]
    names = [name for entry in entries if (name := entry.annotations.get(CONTAINERD_NAME))]
    return StoredImage(
        layout=layout,
        top=top,
        manifests=tuple(manifests),
        configs=tuple(configs),
        repository=names[0].rpartition(":")[0] if names else None,
        tags=tuple(tag for entry in entries if (tag := entry.annotations.get(REF_NAME))),
        artifacts=tuple(_artifacts(layout)),
        attestations=tuple(
            read_attestation(entry, child, lambda digest: read_file(layout / blob_path(digest)))
            for entry, child in children
            if ATTESTATION_TYPE in entry.annotations
        ),
    )


def find_layout(folder: Path) -> Path:
    """Return the one layout in `folder`; an `OutputError` where there is none, or several."""
    found = sorted(folder.glob("*.oci")) if folder.is_dir() else []
    if len(found) != 1:
        there = f"there are {', '.join(path.name for path in found)}: name one" if found else "run `hatch build -t oci`"
        message = f"which image? in {folder} {there}" if found else f"no image in {folder}: {there}"
        raise OutputError(message)
    return found[0]


def _artifacts(layout: Path) -> Iterator[Artifact]:
    listed = layout / REFERRERS
    if not listed.exists():
        return
    for item in parse_json(b"".join(read_file(listed)), str(listed)).get("manifests").items():
        entry = Descriptor.read(item)
        where = f"the manifest {entry.digest} of {layout}"
        # Who tidies a layout up goes by its index, which names none of these.
        if (layout / blob_path(entry.digest)).exists():
            yield read_artifact(_small(layout, entry), lambda digest: read_file(layout / blob_path(digest)), where)


def _child(layout: Path, entry: Descriptor) -> Manifest:
    where = f"the manifest {entry.digest} of {layout}"
    child = read_manifest(_small(layout, entry), where, expected=entry)
    if isinstance(child, Index):
        message = f"{where} is an index within an index"
        raise OutputError(message)
    return child


def _small(layout: Path, descriptor: Descriptor) -> bytes:
    path = layout / "blobs" / descriptor.digest.algorithm / descriptor.digest.hex
    try:
        with open_regular(path) as file:
            raw = file.read(MAX_MANIFEST + 1)
    except OSError as error:
        message = f"cannot read {path}: {error.strerror or error}"
        raise OutputError(message) from error
    if len(raw) != descriptor.size or not descriptor.digest.matches(raw):
        message = f"{path} is not what its digest says: build the image anew"
        raise ContentError(message)
    return raw
