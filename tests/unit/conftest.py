"""Every unit test has a home of its own, and knows nothing of the registries that its developer logged in to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hatch_oci.lock.dependencies import Dependency
from hatch_oci.store.blobs import BlobStore
from tests.unit.dependencies import dependency, package_wheel
from tests.unit.locked import locked_project
from tests.unit.programs import Programs

_OURS = ("HATCH_OCI_", "DOCKER_", "REGISTRY_", "XDG_", "SSL_CERT_")


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the empty home."""
    folder = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(_OURS) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Return a folder of the PATH, for credential helpers."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return Programs(folder)


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    """Return an empty store."""
    return BlobStore(tmp_path / "cache")


@pytest.fixture
def several(tmp_path: Path, store: BlobStore) -> list[Dependency]:
    """Return a pure wheel, one with scripts and data, and a native one."""
    folder = tmp_path / "wheels"
    rich = {
        "web/__init__.py": b"x = 1\n",
        "web/sub/__init__.py": b"",
        "web-1.0.data/scripts/serve": b"#!python -I\nprint(1)\n",
        "web-1.0.data/data/share/man/web.1": b"WEB\n",
        "web-1.0.data/headers/web.h": b"int x;\n",
        "web-1.0.data/purelib/web/pure.py": b"y = 2\n",
    }
    native = {"fast/__init__.py": b"", "fast/_core.so": b"\x7fELF", "fast/tool": b"#!/bin/sh\n"}
    paths = [
        package_wheel(folder, "plain"),
        package_wheel(folder, "web", rich, entry_points="[console_scripts]\nweb = web:main\n"),
        package_wheel(folder, "fast", native, tag="cp313-cp313-linux_x86_64", executable=["fast/tool"]),
    ]
    return [dependency(store, path) for path in paths]


@pytest.fixture
def build_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which builds keep their cache; they say nothing but what goes wrong."""
    monkeypatch.setenv("HATCH_OCI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HATCH_QUIET", "1")
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def locked(tmp_path: Path, build_cache: Path) -> Path:  # noqa: ARG001 - builds of it must not use the user's own
    """Return a project with a lock of a pure wheel and a compiled one, and bases for two platforms."""
    return locked_project(tmp_path / "work" / "project")
