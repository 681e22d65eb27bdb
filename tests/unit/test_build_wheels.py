"""Wheels that are built on this machine, by uv itself, with a backend that needs nothing but Python."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from hatch_oci.errors import LockError
from hatch_oci.image.digest import Digest
from hatch_oci.lock.build import add_file, build_sdist, build_wheel
from hatch_oci.store.blobs import BlobStore, StoredBlob
from tests.unit.backends import project_files, write_project
from tests.unit.dependencies import snapshot
from tests.unit.facts import write_fact

BROKEN = "raise RuntimeError('this backend is broken')\n"


def sdist(folder: Path, files: Mapping[str, str]) -> Path:
    path = folder / "made-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for member, text in files.items():
            info = tarfile.TarInfo(f"made-1.0/{member}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


def build(path: Path, store: BlobStore) -> tuple[str, StoredBlob]:
    return build_sdist(path.name, add_file(path, store), store, offline=True)


def test_a_source_distribution_becomes_a_wheel_in_the_store(tmp_path: Path, store: BlobStore) -> None:
    filename, blob = build(sdist(tmp_path, project_files("made")), store)
    assert filename == "made-1.0-py3-none-any.whl"
    assert blob.path == store.path(blob.digest)
    assert blob.path.read_bytes()[:2] == b"PK"


def test_it_is_built_once_and_remembered(tmp_path: Path, store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sdist(tmp_path, project_files("made"))
    first = build(path, store)
    # uv would stumble over it.
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "nowhere.toml"))
    before = snapshot(store.folder)
    assert build(path, store) == first
    assert snapshot(store.folder) == before
    with pytest.raises(LockError, match=r"^uv build fails: .*nowhere\.toml"):
        build(sdist(tmp_path, {**project_files("made"), "more": ""}), store)


def test_a_wheel_that_was_damaged_in_the_cache_is_built_again(tmp_path: Path, store: BlobStore) -> None:
    path = sdist(tmp_path, project_files("made"))
    filename, blob = build(path, store)
    whole = blob.path.read_bytes()
    blob.path.chmod(0o644)
    blob.path.write_bytes(whole[:-1])
    assert build(path, store) == (filename, blob)
    assert blob.path.read_bytes() == whole


@pytest.mark.parametrize("memory", [b"{}", b"null", b'{"digest": 5, "filename": "x"}', b'{"digest": "x"}', b"[]", b""])
def test_a_memory_of_a_build_that_is_damaged_is_none(memory: bytes, tmp_path: Path, store: BlobStore) -> None:
    path = sdist(tmp_path, project_files("made"))
    first = build(path, store)
    (fact,) = (store.folder / "facts" / "built").iterdir()
    good = fact.read_bytes()
    write_fact(fact, memory)
    assert build(path, store) == first
    assert fact.read_bytes() == good


def test_the_day_of_the_build_is_in_no_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    built = build_wheel(write_project(tmp_path / "made", "made"), tmp_path / "out", offline=True)
    with zipfile.ZipFile(built) as archive:
        assert {info.date_time for info in archive.infolist()} == {(2020, 2, 2, 0, 0, 0)}


def test_what_the_backend_says_is_in_the_error(tmp_path: Path, store: BlobStore) -> None:
    with pytest.raises(LockError, match=r"^uv build fails: ") as caught:
        build(sdist(tmp_path, {**project_files("made"), "backend.py": BROKEN}), store)
    assert "this backend is broken" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_what_is_no_source_distribution_is_an_error(tmp_path: Path, store: BlobStore) -> None:
    path = tmp_path / "made-1.0.tar.gz"
    path.write_bytes(b"no tar")
    with pytest.raises(LockError, match=r"^uv build fails: "):
        build(path, store)
    assert not (store.folder / "facts" / "built").exists()


def test_a_folder_becomes_a_wheel_beside_which_nothing_is_left(tmp_path: Path) -> None:
    source = write_project(tmp_path / "made", "made")
    before = snapshot(source)
    built = build_wheel(source, tmp_path / "out", offline=True)
    assert built == tmp_path / "out" / "made-1.0-py3-none-any.whl"
    assert {name: stat for name, stat in snapshot(source).items() if "__pycache__" not in name} == before


def test_anything_but_one_wheel_is_an_error(tmp_path: Path) -> None:
    source = write_project(tmp_path / "made", "made")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old-1.0-py3-none-any.whl").touch()
    with pytest.raises(LockError, match=r"^made makes 2 wheels, not one$"):
        build_wheel(source, tmp_path / "out", offline=True)


def test_a_file_is_taken_into_the_store_once(tmp_path: Path, store: BlobStore) -> None:
    data = b"0123456789abcdef" * 100_000
    path = tmp_path / "file"
    path.write_bytes(data)
    blob = add_file(path, store)
    assert (blob.digest, blob.size) == (Digest("sha256", hashlib.sha256(data).hexdigest()), len(data))
    assert blob.path.read_bytes() == data
    before = snapshot(store.folder)
    assert add_file(path, store) == blob
    assert snapshot(store.folder) == before
