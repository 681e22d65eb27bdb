"""A service with a database and its 32 wheels: a build that changes none of them touches none, by count."""

import json
import os
import re
import sys
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.stack import PACKAGES
from bench.watch import Seen, Watch
from hatch_oci.builder import OCIBuilder
from tests.alone import alone

from .images import blob_path
from .projects import environment
from .requirements import missing
from .shell import Finished, run
from .trees import files_in

pytestmark = pytest.mark.e2e

PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "stack"
version = "1"
requires-python = ">=3.11"
dependencies = {dependencies}

[tool.hatch.build.targets.oci]
base-image = "{base}"
entrypoint = ["python", "-c", "import stack"]
"""

FOR_THE_LAYOUT = 1
"""How often a build opens a layer that it neither makes nor reads: to share its blocks with the layout, if it can."""


class Built(NamedTuple):
    """What a build gave, and what it did in the cache."""

    dependencies: dict[Path, str]
    """What the layers of dependencies hold, by the blobs in the cache that they are."""

    packages: dict[str, str]
    seen: Seen

    def opened(self, blobs: AbstractSet[Path]) -> dict[Path, int]:
        """Answer which of these blobs were opened, and how often."""
        return {blob: times for blob in blobs if (times := self.seen.times([blob]))}

    def written(self, blobs: AbstractSet[Path]) -> set[Path]:
        """Answer which of these blobs are new, or were written again."""
        return {blob for blob in blobs if str(blob) in self.seen.written}


@pytest.fixture
def cache(tmp_path: Path, uv_cache: None, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001 - sets a variable
    """Answer the empty cache of builds in this process."""
    folder = tmp_path / "cache"
    ours = environment(tmp_path / "home", HATCH_OCI_CACHE_DIR=str(folder), HATCH_QUIET="1")
    for name in os.environ.keys() - ours.keys():
        monkeypatch.delenv(name)
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    return folder


@pytest.fixture
def stack(tmp_path: Path, cache: Path, debian_base: str) -> Path:  # noqa: ARG001 - sets uv's environment
    """Answer a project with the packages, locked at what their newest versions are."""
    project = tmp_path / "stack"
    (project / "stack").mkdir(parents=True)
    (project / "stack" / "__init__.py").touch()
    text = PROJECT.format(dependencies=json.dumps(PACKAGES), base=debian_base)
    (project / "pyproject.toml").write_text(text)
    done = lock(project, expect=None)
    if done.code != 0:
        missing(f"a package index with {', '.join(PACKAGES)}: {done.stderr[-500:]}")
    return project


def test_only_the_layer_of_what_changed_is_made_again(stack: Path, cache: Path) -> None:
    alone(build_three_times, stack, cache)


def build_three_times(stack: Path, cache: Path) -> None:
    """Python's audit events tell of every file that is opened, whatever opens it."""
    watch = Watch(cache)
    cold = build(stack, cache, watch)
    layers, wheels = cold.dependencies.keys(), locked_wheels(stack, cache)
    assert len(cold.packages) == len(wheels) + 1 > 25
    assert len(layers) > 5
    assert cold.opened(wheels).keys() == cold.written(wheels) == wheels
    assert cold.written(layers) == layers

    warm = build(stack, cache, watch)
    assert warm.dependencies == cold.dependencies
    assert warm.opened(wheels) == {}
    # Not even that, where the layout's files are links to the store's: it is left as it is.
    assert set(warm.opened(layers).values()) <= {FOR_THE_LAYOUT}
    assert warm.written(wheels | layers) == set()

    with (stack / "pyproject.toml").open("a") as file:
        file.write(f'[tool.uv]\nconstraint-dependencies = ["click!={cold.packages["click"]}"]\n')
    lock(stack)
    bumped = build(stack, cache, watch)
    assert {name for name in bumped.packages if bumped.packages[name] != cold.packages[name]} == {"click"}
    [new], [old] = bumped.dependencies.keys() - layers, layers - bumped.dependencies.keys()
    assert bumped.dependencies[new] == cold.dependencies[old]
    assert any(f"/click-{bumped.packages['click']}.dist-info/" in name for name, _ in files_in(new))
    assert bumped.opened(layers | {new}) == dict.fromkeys(bumped.dependencies, FOR_THE_LAYOUT)
    assert bumped.written(layers | {new}) == {new}
    # The large ones lie in layers of their own.
    assert {wheel.stat().st_size < 1_000_000 for wheel in bumped.opened(wheels)} == {True}


def build(project: Path, cache: Path, watch: Watch) -> Built:
    """Build in this process, whose files can be watched."""
    with watch.seeing() as seen:
        list(OCIBuilder(str(project)).build())
    record = json.loads((project / "dist" / "stack-1.oci.json").read_text())["platforms"]["linux/amd64"]
    dependencies = {
        blob_path(cache / "v1", layer["digest"]): layer["holds"]
        for layer in record["layers"]
        if re.match("wheels? ", layer["holds"]) and layer["holds"] != "wheel stack 1"
    }
    return Built(dependencies, record["packages"], seen)


def lock(project: Path, expect: int | None = 0) -> Finished:
    return run(sys.executable, "-m", "uv", "lock", cwd=project, expect=expect)


def locked_wheels(project: Path, cache: Path) -> set[Path]:
    """Answer those wheels in the cache, of which the lock names many more."""
    hashes = re.findall(r'hash = "(sha256:\w{64})"', (project / "uv.lock").read_text())
    return {blob for one in hashes if (blob := blob_path(cache / "v1", one)).exists()}
