"""Wheels, opened and checked (the binary distribution format specification)."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import stat
import zipfile
from collections.abc import Collection, Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from contextlib import ExitStack, contextmanager
from email.parser import HeaderParser
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from hatch_oci.errors import WheelError
from hatch_oci.image.document import printable
from hatch_oci.layers.entry import Packed
from hatch_oci.layers.member import ERRORS, ZipReader, check_sizes, read_member, read_text, shown
from hatch_oci.regular import open_regular

_HASHES = frozenset({"sha256", "sha384", "sha512"})
_MAX_METADATA = 16 * 1024 * 1024
_LEAST_PACKED = 64 * 1024
"""Bytes; what is smaller becomes smaller still beside its neighbours."""
_ENTRY_POINT = re.compile(r"([\w.]+)\s*:\s*([\w.]+)\s*(?:\[[^\]]*\])?")
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")


class Member(NamedTuple):
    """A file of a wheel, and what RECORD says of its content."""

    path: str
    size: int
    executable: bool
    record_hash: str


class Wheel(NamedTuple):
    """A wheel whose structure has been checked; its files' hashes are checked as they are read."""

    filename: str
    name: str
    """As in its metadata, not normalised."""

    version: Version
    tags: frozenset[Tag]
    requires_python: SpecifierSet
    sha256: str
    dist_info: str
    members: tuple[Member, ...]
    """Its files without RECORD and the signatures of RECORD."""

    console_scripts: Mapping[str, tuple[str, str]]
    """Names, each with a module and an attribute in it."""

    gui_scripts: Mapping[str, tuple[str, str]]
    archive: zipfile.ZipFile
    file: BinaryIO
    """What the archive is in."""

    @property
    def module_paths(self) -> Iterator[str]:
        """The paths of its files as they will be in site-packages."""
        data_folder = self.dist_info.removesuffix(".dist-info") + ".data"
        for member in self.members:
            top, _, rest = member.path.partition("/")
            scheme, _, below = rest.partition("/")
            if top != data_folder:
                yield member.path
            elif scheme in ("purelib", "platlib"):
                yield below

    def text(self, name: str) -> str:
        """Return a file of its `.dist-info`."""
        path = f"{self.dist_info}/{name}"
        with _reading(self.filename, path):
            return read_text(self.file, self.archive.getinfo(path))

    def read(self, member: Member) -> Iterator[bytes]:
        """Yield a member's bytes; a `WheelError` at the end if they are not the ones RECORD has the hash of."""
        return (plain for _, plain in self.read_packed(member))

    def packed(self, member: Member) -> Packed | None:
        """Return a member as it is in the wheel, if it is deflated, and large enough to be passed on as it is."""
        info = self.archive.getinfo(member.path)
        if info.compress_type != zipfile.ZIP_DEFLATED or info.compress_size < _LEAST_PACKED:
            return None
        return Packed(info.CRC, partial(self.read_packed, member))

    def read_packed(self, member: Member) -> Iterator[tuple[bytes, bytes]]:
        """Yield a member as it is in the wheel, each piece with what it unpacks to; otherwise as `read`."""
        algorithm, _, expected = member.record_hash.partition("=")
        hasher = hashlib.new(algorithm)
        with _reading(self.filename, member.path):
            for packed, plain in read_member(self.file, self.archive.getinfo(member.path)):
                hasher.update(plain)
                yield packed, plain
        if _encode_hash(hasher.digest()) != expected:
            message = f"{self.filename}: {shown(member.path)} is not the file that RECORD describes"
            raise WheelError(message)


@contextmanager
def open_wheel(path: Path, filename: str | None = None, sha256: str | None = None) -> Iterator[Wheel]:
    """Open and check a wheel; a `WheelError` naming wheel and member for whatever is wrong with it.

    `filename` is the wheel's own, where `path` ends with another; `sha256` is what it is known to hash to.
    """
    filename = filename or path.name
    try:
        _, version, _, tags = parse_wheel_filename(filename)
    except ValueError as error:  # also of a version that is too long for Python
        message = f"{printable(filename, 100)}: {error}"
        raise WheelError(message) from None
    # The tags in it may be of any characters, and messages begin with it.
    if not filename.isprintable():
        message = f"{printable(filename, 100)}: no wheel has such a name"
        raise WheelError(message)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(ZipReader(open_regular(path).detach()))
            sha256 = sha256 or hashlib.file_digest(file, "sha256").hexdigest()
            archive = stack.enter_context(zipfile.ZipFile(file))
            check_sizes(archive)
            wheel = _read_wheel(filename, version, tags, sha256, archive, file)
        except OSError as error:
            message = f"cannot read the wheel {path}: {error.strerror or error}"
            raise WheelError(message) from error
        except ERRORS as error:
            message = f"{filename} is not a wheel: {error}"
            raise WheelError(message) from error
        yield wheel


def _read_wheel(
    filename: str, version: Version, tags: frozenset[Tag], sha256: str, archive: zipfile.ZipFile, file: BinaryIO
) -> Wheel:
    infos = _checked_infos(filename, archive)
    dist_info = _find_dist_info(filename, infos)

    def text(name: str, *, optional: bool = False) -> str:
        path = f"{dist_info}/{name}"
        if path not in infos:
            if optional:
                return ""
            message = f"{filename} has no {shown(path)}"
            raise WheelError(message)
        if infos[path].file_size > _MAX_METADATA:
            message = f"{filename}: {shown(path)} is larger than any honest one"
            raise WheelError(message)
        with _reading(filename, path):
            return read_text(file, infos[path])

    major = str(HeaderParser().parsestr(text("WHEEL")).get("Wheel-Version", "")).partition(".")[0]
    if major != "1":
        message = f"{filename} is of Wheel-Version {printable(major) or '(none)'}, only 1 is known"
        raise WheelError(message)
    name, requires_python = _read_metadata(filename, version, text("METADATA"))
    hashes = _read_record(filename, text("RECORD"))
    scripts = _read_entry_points(filename, text("entry_points.txt", optional=True))
    unhashed = {f"{dist_info}/{entry}" for entry in ("RECORD", *_SIGNATURES)}
    members = []
    for path, info in infos.items():
        if path in unhashed:
            continue
        if hashes.get(path, "").partition("=")[0] not in _HASHES:
            message = f"{filename}: {shown(path)} has no sha256 hash in RECORD"
            raise WheelError(message)
        executable = bool(info.external_attr >> 16 & 0o111)
        members.append(Member(path, info.file_size, executable, hashes[path]))
    return Wheel(
        filename=filename,
        name=name,
        version=version,
        tags=tags,
        requires_python=requires_python,
        sha256=sha256,
        dist_info=dist_info,
        members=tuple(members),
        console_scripts=scripts.get("console_scripts", {}),
        gui_scripts=scripts.get("gui_scripts", {}),
        archive=archive,
        file=file,
    )


def _checked_infos(filename: str, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the archive's files by their paths, all of which stay below the folder they are put into."""
    infos: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        # Not `is_dir()`, which some versions of zipfile cannot ask of an empty name.
        is_folder = info.filename.endswith("/")
        path = info.filename.removesuffix("/")
        parts = path.split("/")
        # zipfile itself cuts names at a NUL and, on Windows, turns backslashes.
        if info.orig_filename != info.filename or "\\" in path or any(part in ("", ".", "..") for part in parts):
            message = f"{filename}: the name of {info.orig_filename[:200]!r} leads out of the wheel"
            raise WheelError(message)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            message = f"{filename}: {shown(path)} is a symlink or a special file, which a wheel cannot hold"
            raise WheelError(message)
        if is_folder:
            continue
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            message = (
                f"{filename}: {shown(path)} is compressed in a way that wheels are not (method {info.compress_type})"
            )
            raise WheelError(message)
        if path in infos:
            message = f"{filename} holds {shown(path)} twice"
            raise WheelError(message)
        infos[path] = info
    return infos


def _find_dist_info(filename: str, infos: Collection[str]) -> str:
    found = {top for path in infos if (top := path.partition("/")[0]).endswith(".dist-info") and top != path}
    project = canonicalize_name(filename.partition("-")[0])
    if len(found) != 1 or canonicalize_name(next(iter(found)).partition("-")[0]) != project:
        message = f"{filename} must hold one folder {project}-VERSION.dist-info, it has: {sorted(found)}"
        raise WheelError(message)
    return found.pop()


def _read_metadata(filename: str, version: Version, text: str) -> tuple[str, SpecifierSet]:
    metadata = HeaderParser().parsestr(text)
    name = str(metadata.get("Name", ""))
    try:
        same = Version(str(metadata.get("Version", ""))) == version
        requires_python = SpecifierSet(str(metadata.get("Requires-Python", "")))
    except (InvalidVersion, InvalidSpecifier) as error:
        message = f"{filename}: METADATA: {error}"
        raise WheelError(message) from None
    if not same or canonicalize_name(name) != canonicalize_name(filename.partition("-")[0]):
        message = f"{filename}: METADATA is that of {printable(name)} {printable(str(metadata.get('Version')))}"
        raise WheelError(message)
    return name, requires_python


def _read_record(filename: str, text: str) -> dict[str, str]:
    """Return the hash of each path in RECORD."""
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error as error:
        message = f"{filename}: RECORD: {error}"
        raise WheelError(message) from error
    hashes: dict[str, str] = {}
    for row in rows:
        if len(row) != 3 or row[0] in hashes:
            message = f"{filename}: RECORD has a malformed or repeated row: {','.join(row)[:200]!r}"
            raise WheelError(message)
        hashes[row[0]] = row[1]
    return hashes


def _read_entry_points(filename: str, text: str) -> dict[str, dict[str, tuple[str, str]]]:
    """Return the groups of scripts; their names are safe as file names."""
    parser = ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[method-assign,assignment]  # names keep their case
    try:
        parser.read_string(text)
    except ConfigParserError as error:
        message = f"{filename}: entry_points.txt: {str(error).splitlines()[0]}"
        raise WheelError(message) from None
    scripts: dict[str, dict[str, tuple[str, str]]] = {}
    for group in {"console_scripts", "gui_scripts"}.intersection(parser.sections()):
        scripts[group] = {}
        for name, value in parser.items(group):
            match = _ENTRY_POINT.fullmatch(value.strip())
            if match is None or not re.fullmatch(r"[^/\\\x00-\x1f]+", name) or name in (".", ".."):
                message = f"{filename}: the script {name[:100]!r} = {value[:100]!r} cannot be made"
                raise WheelError(message)
            scripts[group][name] = (match[1], match[2])
    return scripts


def _encode_hash(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def record_hash(data: bytes) -> str:
    """Return a hash as RECORD has it."""
    return f"sha256={_encode_hash(hashlib.sha256(data).digest())}"


@contextmanager
def _reading(filename: str, path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, *ERRORS) as error:
        message = f"{filename}: cannot read {shown(path)}: {error}"
        raise WheelError(message) from error
