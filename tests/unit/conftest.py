"""Every unit test has a home of its own, and knows nothing of the registries that its developer logged in to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from demo.registry import Handler
from hatch_oci.image.reference import Reference
from hatch_oci.registry.options import RegistryOptions
from hatch_oci.registry.pull import Repository
from hatch_oci.registry.transport import Transport
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import QUICK, served, small_image
from tests.unit.guards import Guard
from tests.unit.programs import Programs

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
def guard() -> Iterator[Guard]:
    with served(small_image()) as registry:
        guard = Guard(registry)
        for method in ("GET", "HEAD", "POST"):
            registry.answers[method, "*"] = guard.answer
        registry.answers["GET", "/v2/"] = Handler.answer
        yield guard


@pytest.fixture
def told() -> list[str]:
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
