"""Fixtures: registry and bases once a session, a project and an environment for every test."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from . import bases, samples
from .projects import copy_example, environment, without_proxies
from .registries import serve
from .requirements import require, require_amd64, require_root


class Registry(NamedTuple):
    """A running registry with every base in it."""

    address: str

    def base(self, form: str) -> str:
        """Answer the reference of the Python base in one of its forms."""
        return f"{self.address}/{bases.PYTHON}:{bases.FORMS[form]}"


@pytest.fixture(scope="session")
def registry_storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answer a registry's storage with every base in it, made once by whichever worker comes first.

    Workers share the storage but no process, so each can stop its own registry without asking the others.
    """
    require("docker-registry", "skopeo", "debootstrap", "tar", "gzip")
    require_root()
    require_amd64()
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    storage = folder / "registry-storage"
    with _locked(folder / "registry-storage.lock"):
        if not storage.exists():
            scratch = tmp_path_factory.mktemp("bases")
            with serve(scratch / "storage", scratch / "registry") as address:
                bases.push_all(address, scratch)
            (scratch / "storage").rename(storage)
    return storage


@pytest.fixture(scope="session")
def registry(registry_storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Serve the bases from a registry of this worker's own."""
    with serve(registry_storage, tmp_path_factory.mktemp("registry")) as address:
        yield Registry(address)


@pytest.fixture(scope="session")
def sample_storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answer a registry's storage with nothing but the sample, public and private, for registries that only read."""
    require("docker-registry", "skopeo")
    scratch = tmp_path_factory.mktemp("sample")
    with serve(scratch / "storage", scratch / "registry") as address:
        for repository in (samples.PUBLIC, samples.PRIVATE):
            samples.push_sample(address, repository)
    return scratch / "storage"


@pytest.fixture
def user(tmp_path: Path) -> dict[str, str]:
    """Answer the environment of a user with a fresh home, who knows no registry and no proxy."""
    return without_proxies(environment(tmp_path / "home"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Answer a fresh copy of the example."""
    return copy_example(tmp_path / "project")


@pytest.fixture
def env(tmp_path: Path, registry: Registry) -> dict[str, str]:
    """Answer an environment with a fresh home, in which the example builds on the OCI form of the base."""
    return environment(tmp_path / "home", BASE_IMAGE=registry.base("oci"))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # Imported here: Windows has no fcntl, and got no further than require() above.
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
