"""Read an image out of an OCI layout, and unpack its layers into a folder."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from demo import DemoError
from demo.base import host_platform
from demo.rootfs import make_folder

if TYPE_CHECKING:
    from io import BufferedReader

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
REF_NAME = "org.opencontainers.image.ref.name"
MAX_LINKS = 40  # as many as the kernel follows

OPAQUE = ".wh..wh..opq"
WHITEOUT = ".wh."


@dataclass(frozen=True)
class LayoutImage:
    """An image in a layout: its manifest and configuration as parsed, and the digest of the manifest."""

    layout: Path
    digest: str
    manifest: dict[str, Any]
    configuration: dict[str, Any]


def tags(layout: Path) -> list[str]:
    """Return the tags in ``layout``."""
    found = (entry.get("annotations", {}).get(REF_NAME) for entry in read_index(layout))
    return [tag for tag in found if tag]


def open_image(layout: Path, tag: str) -> LayoutImage:
    """Return the image with this tag; of several platforms, this machine's."""
    for entry in read_index(layout):
        if entry.get("annotations", {}).get(REF_NAME) == tag:
            break
    else:
        message = f"{layout} has no tag {tag}"
        raise DemoError(message)
    while entry["mediaType"] in INDEX_TYPES:
        entry = for_this_machine(read_document(layout, entry)["manifests"])
    manifest = read_document(layout, entry)
    return LayoutImage(layout, entry["digest"], manifest, read_document(layout, manifest["config"]))


def read_index(layout: Path) -> list[dict[str, Any]]:
    """Return the descriptors in a layout's ``index.json``."""
    entries: list[dict[str, Any]] = json.loads((layout / "index.json").read_bytes())["manifests"]
    return entries


def for_this_machine(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the first of an index's descriptors that is for this machine."""
    wanted = host_platform()
    for entry in entries:
        offered = entry.get("platform", {})
        if all(offered.get(key) == wanted[key] for key in ("os", "architecture")):
            return entry
    message = f"the image is not made for {wanted['os']}/{wanted['architecture']}"
    raise DemoError(message)


def read_document(layout: Path, descriptor: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON document that ``descriptor`` points at."""
    with open_blob(layout, descriptor) as blob:
        document: dict[str, Any] = json.load(blob)
    return document


def open_blob(layout: Path, descriptor: dict[str, Any]) -> BufferedReader:
    """Open the blob that ``descriptor`` points at, once its digest was found right."""
    digest: str = descriptor["digest"]
    algorithm, _, value = digest.partition(":")
    blob = (layout / "blobs" / algorithm / value).open("rb")
    if file_digest(blob, algorithm).hexdigest() != value:
        blob.close()
        message = f"the blob {digest} in {layout} is damaged"
        raise DemoError(message)
    blob.seek(0)
    return blob


def unpack(image: LayoutImage, root: Path) -> None:
    """Unpack the layers of ``image`` into the folder ``root``; without root's rights, all will be the user's."""
    make_folder(root)
    for descriptor in image.manifest["layers"]:
        with open_blob(image.layout, descriptor) as blob, tempfile.TemporaryFile() as plain:
            media_type = descriptor["mediaType"]
            if media_type.endswith("zstd"):
                message = f"the demonstration can't unpack layers of type {media_type}"
                raise DemoError(message)
            with gzip.open(blob) if media_type.endswith("gzip") else blob as content:
                shutil.copyfileobj(content, plain, 1 << 20)
            plain.seek(0)
            with tarfile.open(fileobj=plain, mode="r:") as tar:
                apply_layer(tar, root)


def apply_layer(tar: tarfile.TarFile, root: Path) -> None:
    """Change ``root`` as the layer says: what it takes away, which is below it, and then what it adds."""
    entries = tar.getmembers()
    for entry in entries:
        path = PurePosixPath(entry.name)
        if path.name == OPAQUE:
            folder = resolve(root, str(path.parent))
            for child in folder.iterdir() if folder.is_dir() else ():
                remove(child)
        elif path.name.startswith(WHITEOUT):
            remove(locate(root, str(path.with_name(path.name.removeprefix(WHITEOUT)))))
    for entry in entries:
        if not PurePosixPath(entry.name).name.startswith(WHITEOUT):
            extract(tar, entry, root)


def extract(tar: tarfile.TarFile, entry: tarfile.TarInfo, root: Path) -> None:
    """Add one entry of a layer to ``root``, in place of what is there."""
    path = locate(root, entry.name)
    if not (entry.isdir() and path.is_dir() and not path.is_symlink()):
        remove(path)
    make_folder(path.parent)
    if entry.isdir():
        make_folder(path)
    elif entry.issym():
        path.symlink_to(entry.linkname)
    elif entry.islnk():
        os.link(locate(root, entry.linkname), path, follow_symlinks=False)
        return  # owner and mode came with it
    elif entry.isreg() and (content := tar.extractfile(entry)):
        with content, path.open("xb") as file:
            shutil.copyfileobj(content, file)
    else:
        return  # a device, which takes rights and which a service can do without

    privileged = os.geteuid() == 0
    if privileged:
        os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
    if not entry.issym():
        # Without privileges, what its owner may not write to could not be removed again.
        path.chmod(entry.mode | (0 if privileged else 0o700 if entry.isdir() else 0o600))
        os.utime(path, (entry.mtime, entry.mtime))  # bytecode is valid for one time stamp of its source


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def locate(root: Path, name: str) -> Path:
    """Return where the layer entry ``name`` lies: its parents' links are followed, its own is not."""
    path = PurePosixPath("/", name)
    if path.name == "..":
        message = f"a layer has an entry with the name {name}"
        raise DemoError(message)
    return resolve(root, str(path.parent)) / path.name


def resolve(root: Path, name: str) -> Path:
    """Follow all links in ``name`` as if ``root`` were ``/``, so that the result never lies outside of it."""
    found: list[str] = []
    parts = name.split("/")[::-1]
    links = 0
    while parts:
        part = parts.pop()
        here = root.joinpath(*found, part)
        if part in {"", "."}:
            continue
        if part == "..":
            found = found[:-1]
        elif here.is_symlink():
            links += 1
            if links > MAX_LINKS:
                message = f"too many links in {name}"
                raise DemoError(message)
            target = str(here.readlink())
            found = [] if target.startswith("/") else found
            parts += target.split("/")[::-1]
        else:
            found.append(part)
    return root.joinpath(*found)
