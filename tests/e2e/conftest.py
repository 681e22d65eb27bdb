"""Fixtures: registry and bases once a session, a project and an environment for every test."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from . import bases, containers, debian, samples
from .debian import ARCHITECTURES, PLATFORMS
from .logins import login
from .projects import (
    EXAMPLE,
    TAG,
    copy_example,
    environment,
    hatchling_build,
    layout_of,
    set_platforms,
    without_proxies,
)
from .registries import serve
from .requirements import missing, require, require_amd64, require_root
from .sharing import locked, made_once, shared_folder
from .shell import run
from .trees import Tree
from .vaults import Vault, serve_vault, users


class Registry(NamedTuple):
    """A running registry with every base in it."""

    address: str

    def base(self, form: str) -> str:
        """Answer the reference of the Python base in one of its forms."""
        return f"{self.address}/{bases.PYTHON}:{bases.FORMS[form]}"


@pytest.fixture(scope="session", autouse=True)
def uv_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let all tests and workers share what uv fetches, which no test is about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_CACHE_DIR", str(shared_folder(tmp_path_factory) / "uv"))
        yield


@pytest.fixture(scope="session")
def package_index(uv_cache: None, tmp_path_factory: pytest.TempPathFactory) -> None:  # noqa: ARG001 - sets a variable
    """Go on only if there is a package index with what the example depends on."""
    folder = shared_folder(tmp_path_factory)
    answered = folder / "index-answered"
    with locked(folder / "index.lock"):
        if not answered.exists():
            compiling = (sys.executable, "-m", "uv", "pip", "compile", "--universal", "--no-deps", "--no-header")
            done = run(*compiling, "--format=pylock.toml", "requirements.txt", cwd=EXAMPLE, expect=None)
            if done.code != 0:
                missing(f"a package index with the example's dependencies: {done.stderr[-500:]}")
            answered.touch()


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answer a cache for all tests that are not about what is fetched and made, so that it is only once."""
    return shared_folder(tmp_path_factory) / "cache"


@pytest.fixture(scope="session")
def registry_storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answer a registry's storage with every base in it, made once by whichever worker comes first.

    Workers share the storage but no process, so each can stop its own registry without asking the others.
    """
    require("docker-registry", "skopeo", "debootstrap", "tar", "gzip")
    require_root()
    require_amd64()

    def make(storage: Path) -> None:
        with serve(storage, storage.with_name("registry")) as address:
            bases.push_all(address, storage.parent)

    return made_once(tmp_path_factory, "registry-storage", make)


@pytest.fixture(scope="session")
def registry(registry_storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Serve the bases from a registry of this worker's own."""
    with serve(registry_storage, tmp_path_factory.mktemp("registry")) as address:
        yield Registry(address)


@pytest.fixture(scope="session")
def debian_base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Answer the reference of Debian's own Python for two platforms, in a registry of this worker's own."""
    require("docker-registry", "skopeo", "debootstrap", "dpkg-deb", "bash", "tar", "gzip")
    require_root()
    require_amd64()

    def make(storage: Path) -> None:
        with serve(storage, storage.with_name("registry")) as address:
            debian.push_debian(address, storage.parent)

    storage = made_once(tmp_path_factory, "debian-storage", make)
    with serve(storage, tmp_path_factory.mktemp("registry")) as address:
        yield f"{address}/{debian.REPOSITORY}:{debian.TAG}"


@pytest.fixture(scope="module")
def built(
    debian_base: str,
    shared_cache: Path,
    package_index: None,  # noqa: ARG001 - the example's dependencies come from there
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Answer the example, built for both platforms."""

    def make(project: Path) -> None:
        copy_example(project)
        set_platforms(project, *PLATFORMS)
        home = project.with_name("home")
        hatchling_build(project, environment(home, BASE_IMAGE=debian_base, HATCH_OCI_CACHE_DIR=str(shared_cache)))

    return made_once(tmp_path_factory, "both-platforms", make)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def tree(request: pytest.FixtureRequest, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """Let skopeo copy one of the images out of the index, verifying digests, and umoci unpack it."""
    require("skopeo", "umoci")
    scratch = tmp_path_factory.mktemp("tree")
    choice = ("--override-arch", request.param, "copy")
    run("skopeo", "--insecure-policy", *choice, f"oci:{layout_of(built)}:{TAG}", f"oci:{scratch / 'one'}:x")
    with containers.unpacked(scratch / "one", "x", scratch / "bundle") as bundle:
        shutil.rmtree(scratch / "one")
        yield Tree(request.param, bundle)


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
def env(
    tmp_path: Path,
    registry: Registry,
    shared_cache: Path,
    package_index: None,  # noqa: ARG001 - the example's dependencies come from there
) -> dict[str, str]:
    """Answer an environment with a fresh home, in which the example builds on the OCI form of the base."""
    return environment(tmp_path / "home", BASE_IMAGE=registry.base("oci"), HATCH_OCI_CACHE_DIR=str(shared_cache))


@pytest.fixture
def vault(sample_storage: Path, tmp_path: Path) -> Iterator[Vault]:
    """Serve the sample, public and private."""
    with serve_vault(sample_storage, tmp_path / "vault", users()) as vault:
        yield vault


@pytest.fixture
def stranger(user: dict[str, str], vault: Vault) -> dict[str, str]:
    """Answer the environment of one who trusts the registry, but has no account there."""
    return user | {"SSL_CERT_FILE": str(vault.authority.ca)}


@pytest.fixture
def member(stranger: dict[str, str], vault: Vault, tmp_path: Path) -> dict[str, str]:
    """Answer the environment of one who has logged in."""
    login(vault.address, tmp_path / "auth.json", stranger)
    vault.tokens.log.clear()
    vault.tokens.scopes.clear()
    return stranger | {"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
