"""A build that finds all in the cache: it asks nobody, and takes no time for what it does not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from demo.base import digest
from tests.unit.bases import AMD64, served
from tests.unit.dependencies import snapshot
from tests.unit.locked import MAJOR, MINOR, SITE, base_image, contents_of, layers, made

ROOT = Path(__file__).parents[2]
APP = "wheel My.App 1.2.3+local.1"
# What fetches, what reads a base's layers, what reads a lock, what compiles, and what lists all that is in an
# image: each takes longer to import than its absence may cost.
NEEDLESS = (
    *("httpx", "httpcore", "h11", "anyio", "ssl", "certifi", "concurrent.futures", "hatch_oci.registry.transport"),
    *("backports.zstd", "zstandard", "hatch_oci.base.tree", "hatch_oci.base.tarball"),
    *("packaging.pylock", "hatch_oci.lock.lockfile", "hatch_oci.lock.fetch", "hatch_oci.layers.marshalled"),
    *("cyclonedx", "packageurl", "license_expression", "hatch_oci.trust.inventory", "hatch_oci.base.system"),
)
BUILD = """
import sys
from hatch_oci.builder import OCIBuilder
root, *needless = sys.argv[1:]
(artifact,) = OCIBuilder(root).build()
print(artifact, *(name for name in needless if name in sys.modules), sep="\\n")
"""


@pytest.fixture
def built(locked: Path) -> Path:
    """Return a project that was built once on a pinned base, from a registry that is gone."""
    base = base_image(AMD64, (), f"{MAJOR}.{MINOR}.2")
    with served(base) as registry:
        made(locked, f'base-image = "{registry.address}/app@{digest(base.manifest)}"')
    return locked


def build_again(project: Path) -> tuple[Path, list[str]]:
    """Build in a process of its own; return the layout, and what was imported without need."""
    command = [sys.executable, "-c", BUILD, str(project), *NEEDLESS]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    layout, *imported = done.stdout.splitlines()
    return Path(layout), imported


def inodes(folder: Path) -> dict[Path, int]:
    """Return what changes when a file is written, but for the record, which is one of each build."""
    return {path: path.stat().st_ino for path in folder.rglob("*") if not path.name.endswith(".oci.json")}


def test_nothing_is_asked_nor_imported_for_it_where_only_the_app_changed(built: Path) -> None:
    (built / "src" / "my_app" / "__init__.py").write_text("changed = True\n")
    layout, imported = build_again(built)
    assert imported == []
    path = layout / "blobs" / layers(layout)[APP].replace(":", "/")
    assert contents_of(path)[f"{SITE}/my_app/__init__.py"] == b"changed = True\n"


def test_nothing_is_written_where_nothing_changed(built: Path, build_cache: Path) -> None:
    results = inodes(built / "dist")
    cache = snapshot(build_cache)
    layout, imported = build_again(built)
    assert imported == []
    assert snapshot(build_cache) == cache
    if (layout / "blobs" / layers(layout)[APP].replace(":", "/")).stat().st_nlink > 1:
        assert inodes(built / "dist") == results


def test_what_is_not_in_the_cache_is_asked_for(locked: Path) -> None:
    (locked / "pyproject.toml").write_text("")
    base = base_image(AMD64, (), f"{MAJOR}.{MINOR}.3")
    with served(base) as registry:
        made(locked, f'base-image = "{registry.address}/app:1"')
        # A tag may stand for another image by now.
        _, imported = build_again(locked)
        assert [method for method, _ in registry.log].count("HEAD") == 1
    assert "httpcore" in imported
    assert "httpx" not in imported
