"""Layers of dependencies are made once, and made anew where what makes them up, or the cache, has changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hatch_oci.image.media_types import OCI_LAYER
from hatch_oci.lock.dependencies import Dependency
from hatch_oci.lock.layers import dependency_layer
from hatch_oci.store.blobs import BlobStore
from tests.unit.dependencies import compiling_to, contents, dependency, made, package_wheel, snapshot
from tests.unit.facts import write_fact
from tests.unit.wheels import SITE, VENV, hash_of

OTHER_SITE = SITE.replace("app/.venv", "srv/venv")


def test_a_second_time_no_wheel_is_read_and_nothing_is_written(several: list[Dependency], store: BlobStore) -> None:
    first = made(several, store)
    for one in several:
        one.blob.path.unlink()
    before = snapshot(store.folder)
    again = dependency_layer("another name", several, VENV, "gzip", store)
    assert (again.descriptor, again.diff_id, again.summary) == (first.descriptor, first.diff_id, "another name")
    assert snapshot(store.folder) == before


def test_a_layer_that_is_not_known_reads_its_wheels(several: list[Dependency], store: BlobStore) -> None:
    made(several, store)
    several[0].blob.path.unlink()
    with pytest.raises(Exception, match=r"cannot read the wheel .*: No such file or directory"):
        made(several[:1], store)


def test_other_parts_make_another_layer(several: list[Dependency], store: BlobStore, tmp_path: Path) -> None:
    newer = dependency(store, package_wheel(tmp_path, "plain", version="1.1"))
    venvs = [
        VENV,
        replace(VENV, prefix="/srv/venv"),
        replace(VENV, python_name="python3.12"),
        replace(VENV, python_name="python3.13t"),
    ]
    layers = [made(several, store, venv) for venv in venvs]
    layers += [made([newer, *several[1:]], store), made(several[1:], store)]
    layers += [made(several, store, compiler=(name, compiling_to(name.encode()))) for name in ("one", "other")]
    assert len({layer.diff_id for layer in layers}) == len(layers)
    plain = made(several, store, compression="none")
    assert plain.descriptor.media_type == OCI_LAYER
    assert plain.descriptor.digest == plain.diff_id == layers[0].diff_id
    assert layers[0].descriptor.digest != plain.diff_id
    assert f"{OTHER_SITE}/plain/__init__.py" in contents(layers[1], store)
    assert "app/.venv/lib/python3.13t/site-packages/plain/__init__.py" in contents(layers[3], store)


def test_what_a_compiler_is_called_tells_its_layers_apart(several: list[Dependency], store: BlobStore) -> None:
    first, second, again = (
        made(several, store, compiler=(name, compiling_to(data)))
        for name, data in (("3.13.1", b"old"), ("3.13.2", b"new"), ("3.13.1", b"not asked"))
    )
    assert contents(first, store)[f"{SITE}/plain/__pycache__/__init__.pyc"] == b"old"
    assert contents(second, store)[f"{SITE}/plain/__pycache__/__init__.pyc"] == b"new"
    assert first == again


def test_bytecode_stands_in_record(several: list[Dependency], store: BlobStore) -> None:
    found = contents(made(several, store, compiler=("3.13.1", compiling_to(b"code"))), store)
    record = found[f"{SITE}/plain-1.0.dist-info/RECORD"].decode()
    assert f"plain/__pycache__/__init__.pyc,{hash_of(b'code')},4\n" in record
    assert f"{SITE}/fast/__pycache__/tool.pyc" not in found


@pytest.mark.parametrize("damage", ["truncated", "changed", "gone"])
def test_a_layer_that_was_damaged_in_the_cache_is_made_anew(
    damage: str, several: list[Dependency], store: BlobStore
) -> None:
    first = made(several, store)
    path = store.path(first.descriptor.digest)
    whole = path.read_bytes()
    path.chmod(0o644)
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(whole[:100] if damage == "truncated" else whole[:-1] + b"?")
    assert made(several, store) == first
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "memory",
    [
        *(b"", b"null", b"5", b"[]", b"{}", b'"text"', b"\xff", b"[" * 100_000),
        b'{"digest": "sha256:00", "diff-id": "sha256:00", "media-type": "x"}',
        b'{"digest": 5, "diff-id": null, "media-type": []}',
        b'{"digest": "sha256:%s", "media-type": "x"}' % (b"0" * 64),
    ],
)
def test_a_memory_of_layers_that_is_damaged_is_none(memory: bytes, several: list[Dependency], store: BlobStore) -> None:
    first = made(several, store)
    (fact,) = (store.folder / "facts" / "layers").iterdir()
    good = fact.read_bytes()
    write_fact(fact, memory)
    assert made(several, store) == first
    assert fact.read_bytes() == good
