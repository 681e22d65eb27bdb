"""Parsers of files: bases, wheels, locks and the project's own. Each takes the bytes of one, whatever they are."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName

from fuzz.texts import Parser
from hatch_oci.base.layout import blob_path
from hatch_oci.base.local import open_local
from hatch_oci.base.look import Contents, _contents
from hatch_oci.base.outline import outline_of
from hatch_oci.base.python import supported_tags
from hatch_oci.base.source import Source
from hatch_oci.base.tarball import Tarball
from hatch_oci.base.tree import Allowance, list_layer, read_tree
from hatch_oci.config import image_folder, registry_options, uses_hatchling
from hatch_oci.errors import BaseError, ConfigError
from hatch_oci.image import media_types
from hatch_oci.image.config import MAX_CONFIG
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.document import encode_json
from hatch_oci.image.manifest import make_manifest
from hatch_oci.image.platform import Platform
from hatch_oci.layers.entry import complete
from hatch_oci.layers.venv import wheel_entries
from hatch_oci.layers.wheel import open_wheel
from hatch_oci.lock.facts import WheelFacts, read_facts
from hatch_oci.lock.find import find_lock, hashes_of, inputs_of
from hatch_oci.lock.index import netrc_user
from hatch_oci.lock.lockfile import _read_hashes, read_lock
from hatch_oci.lock.needs import Wanted
from hatch_oci.lock.selection import Selection, select
from hatch_oci.settings import Project, Settings, read_settings
from hatch_oci.store.blobs import BlobStore
from hatch_oci.table import Table
from tests.unit.locks import target
from tests.unit.wheels import FILENAME, INFO, VENV, hash_of, member, write_wheel

_AMD64 = Platform("linux", "amd64")
_CONFIG = encode_json({**_AMD64.to_json(), "rootfs": {"diff_ids": []}})
_MANIFEST = make_manifest(Descriptor(media_types.OCI_CONFIG, Digest.of(_CONFIG), len(_CONFIG)), (), {})
_LOADER = b"/lib64/ld-linux-x86-64.so.2"
_PROJECT = Project("my-app", "1.0", SpecifierSet(">=3.11"), 0)


def _in_file(name: str, read: Callable[[Path], object]) -> Parser:
    """Return a parser of a file by this name, which lies in a folder of its own."""

    def parse(data: bytes) -> object:
        with TemporaryDirectory(prefix="hatch-oci-fuzz-") as folder:
            path = Path(folder, name)
            path.write_bytes(data)
            return read(path)

    return parse


def _mended(data: bytes) -> bytes:
    """Return a tar whose headers have the right checksums, which nobody finds by trying."""
    raw = bytearray(data)
    for start in range(0, len(raw) - 511, 512):
        if raw[start + 257 : start + 262] == b"ustar":
            total = sum(raw[start : start + 148]) + sum(raw[start + 156 : start + 512]) + 8 * 0x20
            raw[start + 148 : start + 156] = b"%06o\0 " % total
    return bytes(raw)


def _tar(members: Mapping[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return raw.getvalue()


def _tarball(path: Path) -> list[int]:
    tarball = Tarball(path, "it")
    sizes = []
    for name in ("manifest.json", "a/b", "a/c", "d"):
        if name in tarball:
            sizes.append(sum(map(len, tarball.read(name, MAX_CONFIG))))
            assert sizes[-1] == tarball.size(name)
    return sizes


def _docker_archive(path: Path) -> Source:
    return open_local(f"docker-archive:{path}:app:1", path.parent, BlobStore(path.parent / "cache"))


def _docker_list(data: bytes) -> object:
    raw = _tar({"manifest.json": data, "config.json": _CONFIG, "layer.tar": b"layer"})
    return _in_file("image.tar", _docker_archive)(raw)


def _layout(data: bytes) -> object:
    raw = _tar({"oci-layout": b"{}", "index.json": data, blob_path(_MANIFEST.descriptor): _MANIFEST.raw})
    return _in_file("image.tar", _oci_archive)(raw)


def _oci_archive(path: Path) -> Source:
    return open_local(f"oci-archive:{path}:1", path.parent, BlobStore(path.parent / "cache"))


def _layer(path: Path) -> Contents:
    diff_id = Digest.of(path.read_bytes())
    tree = read_tree([path], [diff_id], {(path, diff_id): list_layer(path, diff_id, Allowance.of(path.stat().st_size))})
    for name, _ in tree.walk():
        assert not {"", ".", ".."} & set(name[1:].split("/"))
    contents = _contents(tree, {}, None, None)
    assert contents.outline == outline_of(tree)
    return _remembered(path.parent, contents)


def _remembered(folder: Path, contents: Contents) -> Contents:
    store = BlobStore(folder / "cache")
    store.remember("contents", "key", contents.to_json())
    assert store.recall("contents", "key", Contents.from_json) == contents
    return contents


def _recalled(data: bytes) -> object:
    with TemporaryDirectory(prefix="hatch-oci-fuzz-") as folder:
        for kind, read in (("contents", Contents.from_json), ("wheels", WheelFacts.from_json)):
            path = Path(folder, "facts", kind, "key")
            path.parent.mkdir(parents=True)
            path.write_bytes(b"%s\n%s" % (hashlib.sha256(data).hexdigest().encode("ascii"), data))
            if found := BlobStore(Path(folder)).recall(kind, "key", read):
                return found
    return None


def _python(data: bytes) -> Contents:
    """Read what is in a binary, in the C library, and in a header, which are one and the same here."""
    name, _, rest = data.partition(b"\n")
    binary = f"usr/bin/python3.{name.decode('utf-8', 'replace')}" if rest else "usr/bin/python3.13"
    data = rest or data
    elf = b"\x7fELF\x02\x01".ljust(32, b"\0") + (64).to_bytes(8, "little") + bytes(14) + b"\x38\0\1\0"
    segment = (3).to_bytes(8, "little") + (120).to_bytes(8, "little") + bytes(16) + (27).to_bytes(8, "little")
    members = {binary: elf.ljust(64, b"\0") + segment.ljust(56, b"\0") + _LOADER + b"\0" + data}
    members |= {"lib64/ld-linux-x86-64.so.2": b"", "lib/libc.so.6": data, "usr/bin/python3.12": data}
    members["usr/include/python3.13/patchlevel.h"] = data

    def read(path: Path) -> Contents:
        diff_id = Digest.of(path.read_bytes())
        tree = read_tree(
            [path], [diff_id], {(path, diff_id): list_layer(path, diff_id, Allowance.of(path.stat().st_size))}
        )
        with suppress(BaseError):
            _contents(tree, {}, "/usr/bin/python3.12", None)
        contents = _contents(tree, {}, f"/{binary}", None)
        if contents.python:
            assert supported_tags(contents.python, _AMD64)
        return _remembered(path.parent, contents)

    return _in_file("layer.tar", read)(_tar(members))  # type: ignore[return-value]


def _wheel(path: Path, filename: str = FILENAME) -> WheelFacts:
    with open_wheel(path, filename) as wheel:
        for entry in complete(wheel_entries(wheel, VENV, requested=True), lambda _: False):
            assert f"{entry.path}/".startswith(("app/.venv/", "app/"))
            for _ in entry.content() if entry.content else ():
                pass
        facts = read_facts(wheel)
    assert facts.requirements is not None
    assert WheelFacts.from_json(asdict(facts)) == facts
    return facts


def _wheel_with(name: str) -> Parser:
    """Return a parser of a file of a wheel's metadata; all else is as it should be."""

    def parse(data: bytes) -> object:
        with TemporaryDirectory(prefix="hatch-oci-fuzz-") as folder:
            path = f"{INFO}/{name}"
            row = f"{path},{hash_of(data)},\n"
            return _wheel(
                write_wheel(
                    Path(folder),
                    without=[name],
                    raw=[(member(path), data)],
                    record=lambda text: text + row,
                )
            )

    return parse


def _filename(data: bytes) -> object:
    with TemporaryDirectory(prefix="hatch-oci-fuzz-") as folder:
        return _wheel(write_wheel(Path(folder)), data.decode("utf-8", "surrogateescape"))


def _pylock(path: Path) -> Selection:
    wanted = Wanted(("x",), ("x",))
    store = BlobStore(path.parent / "cache")
    with suppress(OSError):
        lock = read_lock(path, path.parent, Wanted(), "3.12", store, offline=True)
        select(lock, target(), NormalizedName("my-app"), (), ())
    lock = read_lock(path, path.parent, wanted, "3.12", store, offline=True)
    return select(lock, target(), NormalizedName("my-app"), (), ("x",))


def _requirements(path: Path) -> Mapping[str, frozenset[str]]:
    find_lock(path.parent, "auto")
    return _read_hashes(path, path.name)


def _uv_lock(path: Path) -> list[str]:
    (path.parent / "pyproject.toml").touch()
    return hashes_of(inputs_of(path, path.parent))


def _settings(data: bytes) -> Settings:
    try:
        values = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        # Hatch's affair.
        raise ConfigError([f"no TOML: {type(error).__name__}"]) from error
    return read_settings(Table("t", values, lambda text: text.replace("{version}", "1.0")), _PROJECT)


def _pyproject(path: Path) -> object:
    uses_hatchling(path.parent)
    image_folder(path.parent)
    return registry_options(path.parent)


def _netrc(path: Path) -> object:
    with patch.dict(os.environ, NETRC=str(path)):
        return netrc_user("example.com")


PARSERS: Mapping[str, Parser] = {
    "docker-archive": lambda data: _in_file("image.tar", _docker_archive)(_mended(data)),
    "docker-list": _docker_list,
    "entry-points": _wheel_with("entry_points.txt"),
    "layer": lambda data: _in_file("layer.tar", _layer)(_mended(data)),
    "layout": _layout,
    "metadata": _wheel_with("METADATA"),
    "netrc": _in_file("netrc", _netrc),
    "pylock": _in_file("pylock.toml", _pylock),
    "pyproject": _in_file("pyproject.toml", _pyproject),
    "python": _python,
    "recalled": _recalled,
    "record": _wheel_with("RECORD"),
    "requirements": _in_file("requirements.txt", _requirements),
    "settings": _settings,
    "tarball": lambda data: _in_file("it.tar", _tarball)(_mended(data)),
    "uv-lock": _in_file("uv.lock", _uv_lock),
    "wheel": _in_file(FILENAME, _wheel),
    "wheel-file": _wheel_with("WHEEL"),
    "wheel-name": _filename,
}
