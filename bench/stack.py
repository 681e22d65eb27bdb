"""The dependencies that are measured: a web service with a database, locked on the day, for two platforms."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import NormalizedName

from hatch_oci.base.python import Libc, Python
from hatch_oci.errors import LockError
from hatch_oci.image.platform import Platform
from hatch_oci.layers.venv import Venv
from hatch_oci.lock.needs import Choices, Needs, Wanted
from hatch_oci.lock.provide import provide
from hatch_oci.lock.target import Target
from hatch_oci.lock.uv import run_uv
from hatch_oci.registry.remote import Remote
from hatch_oci.report import Reporter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hatch_oci.lock.dependencies import Dependency
    from hatch_oci.store.blobs import BlobStore

PACKAGES = ("fastapi", "uvicorn[standard]", "sqlalchemy", "pandas", "boto3", "psycopg[binary]")
PYTHON = Python("/usr/local/bin/python3.11", "3.11.9", free_threaded=False, libc=Libc("glibc", 2, 36))
PLATFORMS = (Platform("linux", "amd64"), Platform("linux", "arm64"))
VENV = Venv("/app/.venv", PYTHON.executable, PYTHON.binary_name, PYTHON.version)

_PROJECT = """\
[project]
name = "stack"
version = "1"
requires-python = ">=3.11"
dependencies = [{dependencies}]
"""


def lock(folder: Path) -> None:
    """Let uv lock the packages in a folder, at what their newest versions are."""
    dependencies = ", ".join(f'"{package}"' for package in PACKAGES)
    (folder / "pyproject.toml").write_text(_PROJECT.format(dependencies=dependencies), "utf-8")
    run_uv(["lock"], folder, offline=False)


def gather(folder: Path, store: BlobStore) -> Mapping[Platform, tuple[Dependency, ...]]:
    """Return what the lock in a folder gives for each platform, as a build asks for it."""
    needs = Needs(NormalizedName("stack"), tuple(map(Requirement, PACKAGES)), Wanted())
    choices = Choices("uv.lock", frozenset(), frozenset())
    with closing(Remote(reporter=Reporter(info=say, warn=say))) as remote:
        return {
            platform: provide(
                needs, choices, folder, Target(PYTHON, platform), None, _no_member, store, remote
            ).dependencies
            for platform in PLATFORMS
        }


def say(text: str) -> None:
    """Tell how far it is, beside the tables."""
    print(text, file=sys.stderr, flush=True)


def _no_member(folder: Path) -> Dependency:
    message = f"{folder} is a member of a workspace, and there is none"
    raise LockError(message)
