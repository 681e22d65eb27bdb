"""Bases that lie on this machine: layouts, their archives, and those of `docker save`."""

from __future__ import annotations

from pathlib import Path

from hatch_oci.base import docker_archive, layout
from hatch_oci.base.files import Folder
from hatch_oci.base.source import Source
from hatch_oci.base.tarball import Tarball
from hatch_oci.errors import BaseError
from hatch_oci.image.reference import is_tag
from hatch_oci.store.blobs import BlobStore


def open_local(text: str, root: Path, store: BlobStore) -> Source:
    """Return what `SCHEME:PATH` names; `root` is what a relative path starts from."""
    scheme, _, rest = text.partition(":")
    if scheme == "oci":
        return _open_layout(root, text, rest)
    if scheme == "oci-archive":
        return _open_oci_archive(root, text, rest)
    return _open_docker_archive(root, text, rest, store)


def _open_layout(root: Path, name: str, rest: str) -> Source:
    folder, tag = _split_layout(root, rest)
    if not (folder / layout.MARKER).is_file():
        message = f"{name} is not an OCI image layout: {folder / layout.MARKER} is missing"
        raise BaseError(message)
    return layout.open_layout(Folder(folder, name), name, tag)


def _open_oci_archive(root: Path, name: str, rest: str) -> Source:
    path, tag = _split_archive(root, rest)
    tarball = Tarball(path, name)
    if layout.MARKER not in tarball:
        other = ", but a Docker archive: write docker-archive:PATH" if docker_archive.LIST in tarball else ""
        message = f"{name} is no archive of an OCI image layout{other}"
        raise BaseError(message)
    return layout.open_layout(tarball, name, tag)


def _open_docker_archive(root: Path, name: str, rest: str, store: BlobStore) -> Source:
    path, reference = _split_archive(root, rest)
    tarball = Tarball(path, name)
    if docker_archive.LIST not in tarball:
        other = ", but an OCI archive: write oci-archive:PATH" if layout.MARKER in tarball else ""
        message = f"{name} is no archive of Docker images{other}"
        raise BaseError(message)
    return docker_archive.open_docker_archive(tarball, reference, store)


def _split_layout(root: Path, text: str) -> tuple[Path, str | None]:
    """Return folder and tag; a folder whose very name ends like a tag wins."""
    path, colon, tag = text.rpartition(":")
    if colon and path and is_tag(tag) and not (root / text).is_dir():
        return root / path, tag
    return root / text, None


def _split_archive(root: Path, text: str) -> tuple[Path, str | None]:
    """Return the file and what names an image in it; of several ways to split, a file that is there wins."""
    parts = text.split(":")
    for count in range(len(parts), 0, -1):
        path = root / ":".join(parts[:count])
        if path.is_file() or count == 1:
            break
    return path, ":".join(parts[count:]) or None
