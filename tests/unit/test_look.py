from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from demo.registry import Handler
from hatch_oci.base.look import Contents, fetch_and_look, look_into
from hatch_oci.base.outline import Outline
from hatch_oci.base.python import Libc, Python
from hatch_oci.base.resolve import Base, resolve
from hatch_oci.base.tree import Allowance, list_layer
from hatch_oci.errors import ContentError
from hatch_oci.image.config import AddedLayer, ConfigEdit, edit_config, empty_config
from hatch_oci.image.digest import Digest
from hatch_oci.image.platform import Platform
from hatch_oci.registry.remote import Remote
from hatch_oci.report import QUIET
from hatch_oci.store.blobs import BlobStore, StoredBlob
from tests.unit.bases import QUICK, served, small_image
from tests.unit.facts import read_fact, write_fact
from tests.unit.filesystems import (
    GLIBC_LOADER,
    Member,
    debian,
    elf,
    fifo,
    file,
    folder,
    hard_link,
    link,
    tar_of,
    whiteout,
)

AMD64 = Platform("linux", "amd64")


def base_of(
    store: BlobStore, layers: Sequence[Sequence[Member]], env: Mapping[str, str] | None = None
) -> tuple[Base, tuple[StoredBlob, ...]]:
    tars = [tar_of(members) for members in layers]
    added = tuple(AddedLayer(Digest.of(data), "test") for data in tars)
    config = edit_config(empty_config(AMD64), ConfigEdit("2024-01-01T00:00:00Z", added, env=env or {}))
    blobs = tuple(store.add(gzip.compress(data, mtime=0)) for data in tars)
    return Base("the base", None, None, None, config, (), lambda _: iter(())), blobs


def look(
    store: BlobStore,
    layers: Sequence[Sequence[Member]],
    env: Mapping[str, str] | None = None,
    python: str | None = None,
    libc: Libc | None = None,
) -> Contents:
    base, blobs = base_of(store, layers, env)
    return look_into(base, blobs, store, python, libc)


def test_folders_and_python_are_found_in_all_layers(store: BlobStore) -> None:
    env = {"PATH": "/usr/local/bin", "PYTHON_VERSION": "3.13.2", "LANG": "C"}
    contents = look(store, [debian(), [file("srv/www/a")]], env)
    assert contents.python == Python("/usr/local/bin/python3.13", "3.13.2", False, Libc("glibc", 2, 36))
    assert contents.outline.is_folder("usr/local/bin")
    assert contents.outline.is_folder("srv/www")


def test_the_outline_knows_folders_links_and_files(store: BlobStore) -> None:
    members = [
        file("usr/lib/x/file"),
        file("gone/file"),
        link("lib", "usr/lib"),
        link("abs", "/usr/lib"),
        link("etc/dangling", "../nowhere"),
        file("file"),
        fifo("pipe"),
        hard_link("hard", "file"),
    ]
    for _ in ("read", "remembered"):
        outline = look(store, [members, [whiteout("gone")]]).outline
        assert outline == Outline(
            {
                "": {"lib": "usr/lib", "abs": "/usr/lib", "file": None, "pipe": None, "hard": None},
                "usr": {},
                "usr/lib": {},
                "usr/lib/x": {"file": None},
                "etc": {"dangling": "../nowhere"},
            }
        )
        assert [outline.is_folder(path) for path in ("", "usr/lib/x", "lib", "file", "gone", "usr/l")] == [
            *(True, True, False, False, False, False)
        ]
        assert [outline.is_file(path) for path in ("file", "pipe", "usr/lib/x/file", "lib", "usr", "", "no/no")] == [
            *(True, True, True, False, False, False, False)
        ]
        assert [outline.link(path) for path in ("lib", "etc/dangling", "file", "usr", "")] == [
            *("usr/lib", "../nowhere", None, None, None)
        ]


def test_a_base_without_layers_has_but_its_root(store: BlobStore) -> None:
    contents = look(store, [])
    assert contents.outline == Outline() == Outline({"": {}})
    assert contents.python is None
    assert contents.problem.startswith("the base: no Python found on PATH (looked in /usr/local/sbin, ")


def test_a_base_without_python_tells_why_when_it_is_needed(store: BlobStore) -> None:
    for _ in ("read", "remembered"):
        contents = look(store, [[file("bin/sh")]], {"PATH": "/bin"})
        assert contents.python is None
        assert contents.problem.startswith("the base: no Python found on PATH (looked in /bin): ")
        assert contents.outline.is_folder("bin")


def test_what_was_seen_is_remembered_and_no_layer_is_read_again(store: BlobStore) -> None:
    base, blobs = base_of(store, [debian()])
    first = look_into(base, blobs, store, None, None)
    for blob in blobs:
        blob.path.unlink()
    assert look_into(base, blobs, store, None, None) == first
    with pytest.raises(OSError, match="No such file"):
        look_into(base, blobs, store, "/usr/local/bin/python3.13", None)


@pytest.mark.parametrize(
    ("env", "python", "libc", "expected"),
    [
        ({}, None, None, "CPython 3.13.? with glibc 2.36"),
        ({"PYTHON_VERSION": "3.13.9"}, None, None, "CPython 3.13.9 with glibc 2.36"),
        ({"PATH": "/opt"}, None, None, "CPython 3.12.? with glibc 2.36"),
        ({}, "/opt/python3", None, "CPython 3.12.? with glibc 2.36"),
        ({}, None, Libc("musl", 1, 2), "CPython 3.13.? with musl 1.2"),
        ({}, "/nowhere", None, "the base: there is no file /nowhere; correct `python`"),
    ],
)
def test_another_question_gets_another_answer(
    env: dict[str, str], python: str | None, libc: Libc | None, expected: str, store: BlobStore
) -> None:
    layers = [debian(), [file("opt/python3.12", elf(GLIBC_LOADER)), link("opt/python3", "python3.12")]]
    look(store, layers)
    contents = look(store, layers, env, python, libc)
    assert (str(contents.python) if contents.python else contents.problem) == expected


def test_other_layers_are_another_base(store: BlobStore) -> None:
    assert look(store, [debian()]).python
    assert not look(store, [debian(), [whiteout("usr/local/bin/python3")], [whiteout("usr/local/bin/python")]]).python


def test_a_layer_that_is_not_what_the_config_says_is_refused_and_nothing_remembered(store: BlobStore) -> None:
    base, _ = base_of(store, [debian()])
    wrong = (store.add(gzip.compress(tar_of([folder("usr")]))),)
    for _ in range(2):
        with pytest.raises(ContentError, match="unpacks to other bytes than its diff_id"):
            look_into(base, wrong, store, None, None)


def test_names_that_are_not_utf8_do_not_matter(store: BlobStore) -> None:
    name = os.fsdecode(b"caf\xe9")
    members = [*debian(), folder(name), file(f"{name}/x"), link("to", name), link(f"l{name}", "usr"), file(f"f{name}")]
    assert b"caf\xe9" in tar_of(members)
    for _ in ("read", "remembered"):
        contents = look(store, [members])
        assert contents.python is not None
        assert contents.outline.is_folder("usr/local")
        assert contents.outline.link("to") == name


def test_a_layer_that_lies_is_refused_though_an_honest_one_was_seen(store: BlobStore) -> None:
    base, blobs = base_of(store, [debian()])
    look_into(base, blobs, store, None, None)
    lie = (store.add(gzip.compress(tar_of([folder("usr")]))),)
    with pytest.raises(ContentError, match="unpacks to other bytes than its diff_id"):
        look_into(base, lie, store, None, None)


@pytest.mark.parametrize(
    "damaged",
    [
        *(b"", b'{"outline": [', b"null", bytes(100), b"\xff", b"5", b"[]", b"{}", b'"text"'),
        b'{"outline": {"": {"a": 5}}, "python": null, "problem": ""}',
        b'{"outline": {"": ["a"]}, "python": null, "problem": ""}',
        b'{"outline": 5, "python": null, "problem": ""}',
        b'{"outline": {"": {}}, "python": {"version": "3.13.1"}, "problem": ""}',
        b'{"outline": {"": {}}, "python": 5, "problem": ""}',
        b'{"outline": {"": {}}, "python": null}',
        b"[" * 100_000,
    ],
)
def test_a_memory_that_is_damaged_is_made_anew(damaged: bytes, store: BlobStore) -> None:
    first = look(store, [debian()])
    (fact,) = store.folder.glob("facts/contents/*")
    assert read_fact(fact)
    write_fact(fact, damaged)
    assert look(store, [debian()]) == first
    assert read_fact(fact)


def test_a_layer_is_read_while_another_still_comes(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    read = threading.Event()

    def note(path: Path, diff_id: Digest, allowance: Allowance) -> object:
        members = list_layer(path, diff_id, allowance)
        read.set()
        return members

    def late(request: Handler) -> None:
        assert read.wait(10)
        request.answer()

    monkeypatch.setattr("hatch_oci.base.tree.list_layer", note)
    image = small_image()
    late_layer = json.loads(image.manifest)["layers"][0]["digest"]
    with served(image) as registry, closing(Remote(patience=replace(QUICK, stall=20, answer=20))) as remote:
        registry.answers["GET", f"/v2/app/blobs/{late_layer}"] = late
        base = resolve(f"{registry.address}/app:1", AMD64, Path(), store, remote)
        blobs, contents = fetch_and_look(base, store, QUIET, None, None)
    assert [str(blob.digest) for blob in blobs] == [str(layer.digest) for layer in base.layers]
    assert contents.outline.is_file("etc/name")
    assert contents.outline.is_file("etc/second")


def test_a_layer_that_lies_is_refused_as_often_as_it_is_fetched_or_found(store: BlobStore) -> None:
    with served(small_image()) as registry, closing(Remote(patience=QUICK)) as remote:
        base = resolve(f"{registry.address}/app:1", AMD64, Path(), store, remote)
        lies = replace(base, layers=base.layers[::-1])
        for _ in ("fetched", "found"):
            with pytest.raises(ContentError, match=r"^the layer [0-9a-f]{64} of the base unpacks to other bytes than"):
                fetch_and_look(lies, store, QUIET, None, None)
        assert fetch_and_look(base, store, QUIET, None, None)[1].outline.is_file("etc/name")
