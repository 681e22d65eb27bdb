"""Archives that are no bases: whatever is wrong with one, it is said in one clear line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hatch_oci.store.blobs import BlobStore
from tests.unit.archives import oci_archive, refusal, saved
from tests.unit.bases import small_image
from tests.unit.filesystems import file, tar_of


def broken(change: Callable[[dict[str, Any], dict[str, bytes]], object]) -> bytes:
    """Return a Docker archive, its list and its members by their names changed before they are packed."""
    entry, members = saved(small_image(), ["app:1"])
    files = {info.name: data for info, data in members}
    change(entry, files)
    listed = {"manifest.json": json.dumps([entry]).encode()} | files
    return tar_of([file(name, data) for name, data in listed.items()])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda entry, _: entry.update(Config="../../etc/passwd"), ": '../../etc/passwd' is missing in the archive"),
        (lambda entry, _: entry.update(Layers=["/etc/passwd", "x"]), ": '/etc/passwd' is missing in the archive"),
        (lambda entry, _: entry["Layers"].pop(), " has 1 layer, but its config lists 2"),
        (lambda entry, _: entry.pop("Config"), "[0] → Config: is missing"),
        (lambda entry, _: entry.update(Config=["x"]), "[0] → Config: must be a string"),
        (lambda entry, _: entry.update(Layers="x"), "[0] → Layers: must be an array"),
        (lambda entry, _: entry.update(Layers=[5]), "[0] → Layers[0]: must be a string"),
        (lambda entry, _: entry.update(Layers=["x"] * 513), "[0] → Layers: has 513 entries, more than the 512"),
        (lambda entry, _: entry.update(RepoTags={}), "[0] → RepoTags: must be an array"),
        (lambda _, files: files.pop("1/layer.tar"), ": '1/layer.tar' is missing in the archive; is it cut short?"),
        (lambda _, files: files.update({"1/layer.tar": b"BZh91"}), " is compressed with bzip2, not gzip or zstd"),
        (lambda _, files: files.update({"config.json": b"{"}), "the config of docker-archive:base.tar: not valid JSON"),
        (lambda _, files: files.update({"config.json": b" " * 4194305}), "has more than the 4194304 bytes that are"),
        (lambda _, files: files.update({"manifest.json": b"[]"}), " holds no image; it has: none"),
        (lambda _, files: files.update({"manifest.json": b"{}"}), "manifest.json of docker-archive:base.tar: must be"),
        (lambda _, files: files.update({"manifest.json": b"[" * 9999}), "the JSON is nested too deeply"),
        (lambda _, files: files.update({"manifest.json": b" " * 4194305}), "has more than the 4194304 bytes that are"),
        (lambda _, files: files.update({"manifest.json": b'[{"Config":"a","Config":"b"}]'}), "the same key twice"),
        (lambda _, files: files.update({"oci-layout": b"", "index.json": b"x"}), "index.json of docker-archive:base"),
    ],
)
def test_a_docker_archive_that_lies_is_one_clear_error(
    change: Callable[[dict[str, Any], dict[str, bytes]], object], message: str, tmp_path: Path, store: BlobStore
) -> None:
    (tmp_path / "base.tar").write_bytes(broken(change))
    assert message in refusal("docker-archive:base.tar", tmp_path, store)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"oci-layout": b"{}"}, "oci-archive:base.tar: 'index.json' is missing in the archive; is it cut short?"),
        ({"oci-layout": b"{}", "index.json": b"nonsense"}, "index.json of oci-archive:base.tar: not valid JSON: "),
        ({"oci-layout": b"{}", "index.json": b" " * 4194305}, "index.json of oci-archive:base.tar has more than the"),
        ({"other": b""}, "oci-archive:base.tar is no archive of an OCI image layout"),
        (
            {"manifest.json": b"[]"},
            (
                "oci-archive:base.tar is no archive of an OCI image layout, but a Docker archive: "
                "write docker-archive:PATH"
            ),
        ),
    ],
)
def test_an_oci_archive_that_is_none_is_one_clear_error(
    files: Mapping[str, bytes], message: str, tmp_path: Path, store: BlobStore
) -> None:
    (tmp_path / "base.tar").write_bytes(tar_of([file(name, data) for name, data in files.items()]))
    assert refusal("oci-archive:base.tar", tmp_path, store).startswith(message)


def test_a_manifest_of_any_size_is_not_read(tmp_path: Path, store: BlobStore) -> None:
    large = b" " * 5_000_000
    oci_archive(tmp_path, (large, "1"), images=())
    message = "the manifest of oci-archive:base.tar has more than the 4194304 bytes that are read"
    assert refusal("oci-archive:base.tar", tmp_path, store) == message


def test_a_docker_archive_of_a_layout_is_to_be_named_so(tmp_path: Path, store: BlobStore) -> None:
    small = small_image()
    oci_archive(tmp_path, (small.manifest, "1"), images=(small,))
    assert refusal("docker-archive:base.tar", tmp_path, store) == (
        "docker-archive:base.tar is no archive of Docker images, but an OCI archive: write oci-archive:PATH"
    )
