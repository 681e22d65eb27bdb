"""Wheels for tests, written by hand: good ones, and ones that no tool would make."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import stat
import warnings
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from hatch_oci.layers.entry import Entry, Kind, complete
from hatch_oci.layers.venv import Venv, wheel_entries
from hatch_oci.layers.wheel import open_wheel

FILENAME = "demo-1.0-py3-none-any.whl"
INFO = "demo-1.0.dist-info"
METADATA = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
MODULE = {"demo/__init__.py": b"answer = 42\n"}

VENV = Venv("/app/.venv", "/usr/local/bin/python3.13", "python3.13", "3.13.1")
SITE = "app/.venv/lib/python3.13/site-packages"

RawMember = tuple[zipfile.ZipInfo, bytes]


def hash_of(data: bytes, algorithm: str = "sha256") -> str:
    """Return a hash as RECORD has it."""
    encoded = base64.urlsafe_b64encode(hashlib.new(algorithm, data).digest())
    return f"{algorithm}={encoded.rstrip(b'=').decode()}"


def write_wheel(
    folder: Path,
    files: Mapping[str, bytes] = MODULE,
    *,
    filename: str = FILENAME,
    info: str = INFO,
    metadata: str = METADATA,
    wheel: str = WHEEL,
    entry_points: str = "",
    without: Collection[str] = (),
    record: Callable[[str], str] = str,
    executable: Collection[str] = (),
    raw: Sequence[RawMember] = (),
) -> Path:
    """Write a wheel and return its path.

    `without` names files of the dist-info to leave out, `record` edits RECORD's right text, and `raw` are members
    that are written as they are, with neither a check nor a row in RECORD.
    """
    texts = {"METADATA": metadata, "WHEEL": wheel} | ({"entry_points.txt": entry_points} if entry_points else {})
    members = {**files, **{f"{info}/{name}": text.encode() for name, text in texts.items() if name not in without}}
    if "RECORD" not in without:
        members[f"{info}/RECORD"] = record(_record(members, f"{info}/RECORD")).encode()
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), zipfile.ZipFile(folder / filename, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.filterwarnings("ignore", "Duplicate name")
        for name, data in members.items():
            archive.writestr(member(name, 0o755 if name in executable else 0o644), data, zipfile.ZIP_DEFLATED)
        for zip_info, data in raw:
            archive.writestr(zip_info, data)
    return folder / filename


def member(name: str, mode: int = 0o644, kind: int = stat.S_IFREG) -> zipfile.ZipInfo:
    """Return a member's header, with a name that zipfile itself would tidy up."""
    zip_info = zipfile.ZipInfo("name")
    zip_info.filename = name
    zip_info.external_attr = (kind | mode) << 16
    return zip_info


def _record(members: Mapping[str, bytes], own_path: str) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerows((path, hash_of(data), len(data)) for path, data in members.items())
    rows.writerow((own_path, "", ""))
    return text.getvalue()


def install(path: Path, venv: Venv = VENV, *, requested: bool = True) -> dict[str, Entry]:
    """Return the entries of a wheel by their paths, after reading all their content."""
    with open_wheel(path) as wheel:
        entries = complete(wheel_entries(wheel, venv, requested=requested), lambda _path: False)
        read = [file_with(entry) if entry.kind is Kind.FILE else entry for entry in entries]
    return {entry.path: entry for entry in read}


def file_with(entry: Entry) -> Entry:
    """Return a file's entry, its content read once for all."""
    data = content_of(entry)
    assert len(data) == entry.size
    return Entry(entry.path, entry.kind, entry.mode, entry.size, content=lambda: (data,))


def content_of(entry: Entry) -> bytes:
    """Return a file's content."""
    assert entry.content is not None
    return b"".join(entry.content())
