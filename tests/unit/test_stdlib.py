"""The sources of the standard library in a base, and the layer with their bytecode."""

from __future__ import annotations

import marshal
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from hatch_oci.base.look import look_into
from hatch_oci.base.python import Python
from hatch_oci.base.stdlib import read_stdlib
from hatch_oci.layers.layer import Layer
from hatch_oci.platform_image import stdlib_layers
from hatch_oci.store.blobs import BlobStore
from tests.unit.dependencies import contents, members, snapshot
from tests.unit.filesystems import Member, debian, file, folder, link, opaque, whiteout
from tests.unit.locks import GLIBC
from tests.unit.projects import read_table
from tests.unit.test_look import base_of

PYTHON = Python("/usr/local/bin/python3.13", "3.13.1", False, GLIBC)
LIBRARY = "usr/local/lib/python3.13"
MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
OWN = f"python{MINOR}"
TAG = f"cpython-{sys.version_info[0]}{sys.version_info[1]}"


def sources(store: BlobStore, *layers: Sequence[Member], python: Python = PYTHON) -> dict[str, bytes]:
    base, blobs = base_of(store, layers)
    found = list(read_stdlib(base, blobs, python))
    assert [path for path, _ in found] == sorted(path for path, _ in found)
    return dict(found)


@pytest.mark.parametrize(
    ("executable", "library"),
    [
        ("/usr/local/bin/python3.13", "usr/local/lib/python3.13"),
        ("/usr/bin/python3.13", "usr/lib/python3.13"),
        ("/bin/python3.13", "lib/python3.13"),
        ("/opt/bin/python3.13t", "opt/lib/python3.13t"),
    ],
)
def test_the_library_lies_beside_the_binary(executable: str, library: str, store: BlobStore) -> None:
    python = PYTHON._replace(executable=executable, free_threaded=executable.endswith("t"))
    assert sources(store, [file(f"{library}/x.py", b"x")], python=python) == {f"{library}/x.py": b"x"}


def test_modules_are_read_and_nothing_else(store: BlobStore) -> None:
    found = sources(
        store,
        [
            file(f"{LIBRARY}/os.py", b"os"),
            file(f"{LIBRARY}/json/__init__.py", b"json"),
            file(f"{LIBRARY}/lib-dynload/x.so", b""),
            file(f"{LIBRARY}/LICENSE.txt", b""),
            file(f"{LIBRARY}/site-packages/pip/__init__.py", b""),
            file(f"{LIBRARY}/dist-packages/x.py", b""),
            file(f"{LIBRARY}/site-packages.py", b"a module"),
            file("usr/local/lib/python3.12/os.py", b""),
            file("usr/local/lib/python3.13t/os.py", b""),
            file("srv/app.py", b""),
            link(f"{LIBRARY}/link.py", "os.py"),
            folder(f"{LIBRARY}/folder.py"),
        ],
    )
    assert found == {
        f"{LIBRARY}/json/__init__.py": b"json",
        f"{LIBRARY}/os.py": b"os",
        f"{LIBRARY}/site-packages.py": b"a module",
    }


def test_what_has_bytecode_is_left_alone(store: BlobStore) -> None:
    lower = [
        file(f"{LIBRARY}/os.py", b"os"),
        file(f"{LIBRARY}/re.py", b"re"),
        file(f"{LIBRARY}/io.py", b"io"),
        file(f"{LIBRARY}/__pycache__/os.cpython-313.pyc"),
        file(f"{LIBRARY}/__pycache__/re.cpython-312.pyc"),
        file(f"{LIBRARY}/__pycache__/io.cpython-313.opt-1.pyc"),
    ]
    assert set(sources(store, lower)) == {f"{LIBRARY}/re.py", f"{LIBRARY}/io.py"}
    assert set(sources(store, lower, [opaque(f"{LIBRARY}/__pycache__")])) == {
        *(f"{LIBRARY}/{name}.py" for name in ("os", "re", "io"))
    }


def test_the_last_layer_has_the_last_word(store: BlobStore) -> None:
    lower = [file(f"{LIBRARY}/os.py", b"old"), file(f"{LIBRARY}/gone.py")]
    upper = [file(f"{LIBRARY}/os.py", b"new"), whiteout(f"{LIBRARY}/gone.py")]
    assert sources(store, lower, upper) == {f"{LIBRARY}/os.py": b"new"}


def test_a_base_without_a_library_has_no_sources(store: BlobStore) -> None:
    assert sources(store, [file("bin/sh")]) == {}


def test_fedora_has_its_library_elsewhere(store: BlobStore) -> None:
    python = PYTHON._replace(executable="/usr/bin/python3.13")
    members = [file("usr/lib64/python3.13/os.py", b"os"), file("usr/lib/python3.13/site-packages/x.py")]
    assert sources(store, members, python=python) == {"usr/lib64/python3.13/os.py": b"os"}


LAYERS = [
    [
        *debian(OWN),
        file(f"usr/local/lib/{OWN}/os.py", b"def name(): return 'posix'\n"),
        file(f"usr/local/lib/{OWN}/bad.py", b"def (:\n"),
        file(f"usr/local/lib/{OWN}/json/__init__.py", b""),
    ]
]


def planned(store: BlobStore, layers: Sequence[Sequence[Member]] = LAYERS, **values: Any) -> list[Layer]:
    base, blobs = base_of(store, layers, {"PYTHON_VERSION": f"{MINOR}.1", "PATH": "/usr/local/bin"})
    seen = look_into(base, blobs, store, None, None)
    settings = read_table({"bytecode": ["stdlib"], **values})
    return [layer.write(store) for layer in stdlib_layers(base, blobs, seen, settings)]


def test_the_layer_holds_the_bytecode_of_what_compiles(store: BlobStore) -> None:
    (layer,) = planned(store)
    assert layer.summary == f"bytecode of {OWN}"
    library = f"usr/local/lib/{OWN}"
    assert list(members(layer, store)) == [
        f"{library}/__pycache__",
        f"{library}/__pycache__/os.{TAG}.pyc",
        f"{library}/json/__pycache__",
        f"{library}/json/__pycache__/__init__.{TAG}.pyc",
    ]
    code = marshal.loads(contents(layer, store)[f"{library}/__pycache__/os.{TAG}.pyc"][16:])
    assert code.co_filename == f"/{library}/os.py"


def test_without_python_or_the_wish_there_is_no_layer(store: BlobStore) -> None:
    assert planned(store, [[file("bin/sh")]]) == []
    assert planned(store, bytecode=["dependencies", "app"]) == []
    assert len(planned(store, bytecode=True)) == 1


def test_a_second_time_the_base_is_not_read(store: BlobStore) -> None:
    (first,) = planned(store)
    base, blobs = base_of(store, LAYERS, {"PYTHON_VERSION": f"{MINOR}.1", "PATH": "/usr/local/bin"})
    seen = look_into(base, blobs, store, None, None)
    before = snapshot(store.folder)
    for blob in blobs:
        blob.path.unlink()
    (layer,) = stdlib_layers(base, blobs, seen, read_table({"bytecode": ["stdlib"]}))
    assert layer.write(store) == first
    after = snapshot(store.folder)
    assert after == {name: stat for name, stat in before.items() if name in after}


def test_another_base_gets_another_layer(store: BlobStore) -> None:
    (first,) = planned(store)
    (second,) = planned(store, [*LAYERS, [file(f"usr/local/lib/{OWN}/os.py", b"def name(): return 'nt'\n")]])
    assert first.diff_id != second.diff_id


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_the_layer_is_compressed_as_asked_for(compression: str, store: BlobStore) -> None:
    (layer,) = planned(store, compression=compression)
    data = store.path(layer.descriptor.digest).read_bytes()
    assert (data[:2] == b"\x1f\x8b") is (compression == "gzip")
