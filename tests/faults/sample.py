"""A project with all that a build deals with, small enough to be built hundreds of times, and what came of it."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatch_oci.builder import OCIBuilder
from tests.e2e.projects import environment, without_proxies
from tests.unit.building import SCRIPT, WHEEL
from tests.unit.locked import ONE, locked_project
from tests.unit.projects import builder_of

Results = tuple[str | None, bytes]

LAYOUT = "my_app-1.2.3+local.1.oci"
COPY = 'copy = [{ from = "static/1", to = "/srv/1" }, { from = "static/2", to = "/srv/2" }]'
BUILD = ("hatchling", "build", "-t", "oci:layout,oci-archive")


def write_project(root: Path, base: str = ONE) -> Path:
    """Write a project with a base, two locked wheels, two folders to copy, and a package."""
    locked_project(root)
    for number in (1, 2):
        (root / "static" / str(number)).mkdir(parents=True)
    set_content(root, 0)
    builder_on(root, base)
    return root


def builder_on(project: Path, base: str) -> OCIBuilder:
    """Let a project have another base; return its builder."""
    return builder_of(project, f"{base}\n{COPY}", 'dependencies = ["web"]', f"{SCRIPT}\n{WHEEL}")


def set_content(project: Path, number: int, size: int = 200_000) -> None:
    """Change what is copied, and the package; the same number and size is the same content."""
    # Noise stays as large as it is: its writing takes a while.
    noise = random.Random(number)
    for folder in (project / "static" / "1", project / "static" / "2", project / "src" / "my_app"):
        (folder / "noise").write_bytes(noise.randbytes(size))
    (project / "src" / "my_app" / "__init__.py").write_text(f"def main(): return {number}\n")


def environment_of(home: Path) -> dict[str, str]:
    """Return an environment with a home, a cache and temporary files of its own, in which only errors are told."""
    return without_proxies(environment(home, HATCH_QUIET="1"))


def results(dist: Path) -> Results:
    """Return what lies in a build directory after a look at every byte of it: the layout's digest, and the archive."""
    archive = dist / f"{LAYOUT}.tar"
    return digest_of(dist / LAYOUT), archive.read_bytes() if archive.exists() else b""


def digest_of(layout: Path) -> str | None:
    """Return the digest of a layout's image after a look at every byte of it; None where there is no layout."""
    if not os.path.lexists(layout):
        return None
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (top,) = json.loads((layout / "index.json").read_text())["manifests"]
    referring = json.loads((layout / "referrers.json").read_text())["manifests"]
    tops = (top, *referring)
    named = {found["digest"]: found["size"] for one in tops for found in _descriptors(layout, one)}
    lying = [path for path in layout.rglob("*") if not path.is_dir()]
    assert {path.relative_to(layout).as_posix() for path in lying} == {
        "oci-layout",
        "index.json",
        "referrers.json",
        *(f"blobs/{digest.replace(':', '/')}" for digest in named),
    }
    for digest, size in named.items():
        content = _blob(layout, digest)
        assert (len(content), f"sha256:{hashlib.sha256(content).hexdigest()}") == (size, digest)
    return str(top["digest"])


def check_old_or_new(dist: Path, old: Results, new: Results) -> None:
    """See that each result in a build directory is whole, and one of these."""
    for now, before, after in zip(results(dist), old, new, strict=True):
        assert now in (before, after)


def temporaries(cache: Path, dist: Path) -> list[Path]:
    """Return what builds have under way in a cache and in a build directory."""
    return [*(cache / "v1" / "incoming").glob("*"), *dist.glob(".*")]


def _descriptors(layout: Path, top: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield top
    document = json.loads(_blob(layout, top["digest"]))
    for child in document.get("manifests", ()):
        yield from _descriptors(layout, child)
    yield from filter(None, [document.get("config"), *document.get("layers", ())])


def _blob(layout: Path, digest: str) -> bytes:
    return (layout / "blobs" / digest.replace(":", "/")).read_bytes()
