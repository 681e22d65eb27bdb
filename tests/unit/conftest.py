"""Every unit test has a home of its own, and knows nothing of the registries that its developer logged in to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from demo.base import Image
from demo.registry import Handler, Registry, serve
from hatch_oci.cli import main
from hatch_oci.image.reference import Reference
from hatch_oci.lock.dependencies import Dependency
from hatch_oci.registry.options import RegistryOptions
from hatch_oci.registry.pull import Repository
from hatch_oci.registry.push import Destination
from hatch_oci.registry.transport import Transport
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import QUICK, served, small_image
from tests.unit.comparisons import Diff
from tests.unit.dependencies import dependency, package_wheel
from tests.unit.guards import Guard
from tests.unit.layouts import write_layout
from tests.unit.locked import locked_project
from tests.unit.programs import Programs
from tests.unit.uploads import BRIEF, Uploads, serve_uploads
from tests.unit.verifying import Verify

_OURS = ("HATCH_OCI_", "DOCKER_", "REGISTRY_", "XDG_", "SSL_CERT_", "GITHUB_OUTPUT")


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the empty home."""
    folder = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(_OURS) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
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
def server() -> Iterator[Registry]:
    """Serve a registry that has nothing."""
    with serve({}) as registry:
        yield registry


@pytest.fixture
def registry() -> Iterator[Uploads]:
    """Serve a registry that takes uploads, and has nothing yet."""
    with serve_uploads() as uploads:
        yield uploads


@pytest.fixture
def to(registry: Uploads) -> str:
    """Return the repository to push to."""
    return f"{registry.address}/acme/app"


@pytest.fixture
def destination(registry: Uploads, told: list[str]) -> Iterator[Destination]:
    """Return where single blobs and manifests are put."""
    with closing(Transport(reporter=Reporter(told.append, told.append), patience=BRIEF)) as transport:
        yield Destination(transport, registry.address, "app")


@pytest.fixture
def guard() -> Iterator[Guard]:
    with served(small_image()) as registry:
        guard = Guard(registry)
        for method in ("GET", "HEAD", "POST"):
            registry.answers[method, "*"] = guard.answer
        registry.answers["GET", "/v2/"] = Handler.answer
        yield guard


@pytest.fixture
def told() -> list[str]:
    """Return what is told while something goes on."""
    return []


@pytest.fixture
def pull(guard: Guard, told: list[str]) -> Callable[..., None]:
    """Return what pulls a manifest, several times over one connection if need be."""

    def pull(times: int = 1, **options: object) -> None:
        reporter = Reporter(info=told.append, warn=told.append)
        known = RegistryOptions(**options)  # type: ignore[arg-type]
        with closing(Transport(known, reporter, QUICK)) as transport:
            repository = Repository(transport, Reference.parse(f"{guard.registry.address}/app:1"))
            for _ in range(times):
                assert repository.manifest("1")[0]

    return pull


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


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project of one package and a folder of static files."""
    root = tmp_path / "project"
    (root / "src" / "my_app").mkdir(parents=True)
    (root / "src" / "my_app" / "__init__.py").write_text("def main(): ...\n")
    (root / "static").mkdir()
    (root / "static" / "page.html").write_text("<p>hello</p>\n")
    return root


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with an empty cache."""
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HATCH_OCI_CACHE_DIR", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def diff(workplace: Path, capsys: pytest.CaptureFixture[str]) -> Diff:
    """Return what compares two images, which it leaves as the layouts `old` and `new`, as programs do it."""

    def compare(old: Image, new: Image) -> dict[str, Any]:
        for name, one in (("old", old), ("new", new)):
            write_layout(workplace / name, [one])
        assert main(["diff", "old", "new", "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return compare


@pytest.fixture
def sources(locked: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a project with a lock and a folder of files."""
    (locked / "static").mkdir()
    (locked / "static" / "page.html").write_text("<p>\nhello\n</p>\n")
    monkeypatch.chdir(locked)
    return locked


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Verify:
    """Return what verifies an image, which must end with this exit code, and returns the lines that are told."""

    def run(*arguments: str | Path, expect: int = 1) -> list[str]:
        capsys.readouterr()
        monkeypatch.setenv("HATCH_QUIET", "0")
        assert main(["verify", "-q", *map(str, arguments)]) == expect
        output, errors = capsys.readouterr()
        assert "Traceback" not in errors
        assert "Layer " not in errors
        return output.splitlines()

    return run
