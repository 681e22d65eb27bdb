"""SIGKILL at any moment: the old or the new result is whole, and the next run succeeds."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from demo.base import Image, digest, image
from tests.e2e.pushes import pull
from tests.e2e.registries import OPENER, serve
from tests.e2e.requirements import require
from tests.faults import forks
from tests.faults.sample import (
    BUILD,
    LAYOUT,
    Results,
    check_old_or_new,
    environment_of,
    results,
    set_content,
    temporaries,
    write_project,
)
from tests.unit.bases import AMD64, layer
from tests.unit.layouts import write_layout

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGKILL")

TAG = "1.0"


class Moments:
    """Random moments of something that takes about as long each time, though a busy machine may slow it down."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._chance = random.Random(7)

    def choose(self) -> float:
        """Return after how many seconds to end it."""
        return self._chance.uniform(0, self._longest)

    def learn(self, took: float | None) -> None:
        """Take into account how many seconds it took to its end, None where it was killed before."""
        self._longest = took or self._longest * 1.02


@dataclass
class Builds:
    """Builds of one project, some of which are killed, and what came of two contents that were left alone."""

    project: Path
    env: dict[str, str]
    known: dict[int, Results] = field(default_factory=dict)
    longest: float = 0.0
    killed: int = 0

    @property
    def cache(self) -> Path:
        return Path(self.env["HATCH_OCI_CACHE_DIR"])

    @property
    def dist(self) -> Path:
        return self.project / "dist"

    def learn(self) -> None:
        """Build both contents, each with an empty cache."""
        for number in (0, 1):
            self.empty()
            self.succeed(number)
            self.known[number] = results(self.dist)

    def empty(self) -> None:
        """Take all results and all that is cached away, but not what is under way."""
        for path in (self.cache / "v1" / "blobs", self.cache / "v1" / "facts"):
            shutil.rmtree(path, ignore_errors=True)
        for path in self.dist.glob("[!.]*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def succeed(self, number: int) -> None:
        set_content(self.project, number)
        done = forks.run(*BUILD, folder=self.project, env=self.env)
        assert done.code == 0, done.said
        self.longest = max(self.longest, done.seconds)

    def kill(self, number: int, first: Callable[[], None] = forks.nothing, after: float = 60.0) -> float | None:
        """Begin a build, and kill it after so many seconds, unless `first` does; return what it took if it ended first.

        Whatever the moment, old and new results are whole, and the next build makes those that it should.
        """
        before = results(self.dist)
        set_content(self.project, number)
        log = self.cache.with_name("said")
        with forks.started(*BUILD, folder=self.project, env=self.env, log=log, first=first) as process:
            begun = time.monotonic()
            process.join(after)
            took = time.monotonic() - begun
            process.kill()
            process.join()
        assert process.exitcode in (0, -signal.SIGKILL), log.read_text()
        check_old_or_new(self.dist, before, self.known[number])
        record = self.dist / f"{LAYOUT}.json"
        if record.exists():
            assert json.loads(record.read_bytes())["digest"] in {digest for digest, _ in self.known.values()}
        self.succeed(number)
        assert results(self.dist) == self.known[number]
        self.killed += process.exitcode == -signal.SIGKILL
        return took if process.exitcode == 0 else None

    def under_way(self) -> list[Path]:
        return temporaries(self.cache, self.dist)

    def check_swept(self) -> None:
        """See that what the killed ones left under way goes, once it is old enough to be nobody's."""
        for path in self.under_way():
            os.utime(path, (time.time() - 61,) * 2)
        self.succeed(0)
        assert self.under_way() == []


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    builds = Builds(write_project(tmp_path / "project"), environment_of(tmp_path / "home"))
    builds.learn()
    return builds


def test_sigkill_at_random_moments_of_a_build(
    builds: Builds, amount: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    moments = [Moments(builds.longest) for _ in ("warm", "cold")]
    wanted = amount(6, 200)
    for number in range(3 * wanted):
        chosen = moments[number % 2]
        if number % 2:
            builds.empty()
        chosen.learn(builds.kill(number // 2 % 2, after=chosen.choose()))
        if builds.killed == wanted:
            break
    record_property("cases", builds.killed)
    assert builds.killed == wanted
    builds.check_swept()


@pytest.mark.parametrize("cache", ["cold", "warm"])
def test_sigkill_between_two_accesses_of_a_build_to_files(
    builds: Builds, cache: str, amount: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    """As a build goes on: chance alone would hit few of those that matter."""
    for step in range(0, 10_000, amount(60, 8)):
        if cache == "cold":
            builds.empty()
        if builds.kill(builds.killed % 2, forks.killed_before_access(step)):
            break
    record_property("cases", builds.killed)
    assert builds.killed >= amount(1, 30)
    assert len(builds.under_way()) >= amount(0, 3)
    builds.check_swept()


def an_image(number: int) -> Image:
    noise = random.Random(number)
    layers = [layer({f"noise/{size}": noise.randbytes(size * 30_000)}) for size in (1, 2, 3)]
    return image(layers, {}, AMD64)


def ask(address: str, path: str) -> tuple[int, bytes]:
    """Return a registry's answer: status and body."""
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    try:
        with OPENER.open(urllib.request.Request(f"http://{address}/v2/app/{path}", headers=accept)) as response:
            return response.status, response.read()
    except urllib.request.HTTPError as error:
        with error:
            return error.code, error.read()


def tagged(address: str) -> str | None:
    """Return the digest that the tag stands for, after a look at every byte of it; None where there is no tag."""
    status, manifest = ask(address, f"manifests/{TAG}")
    end = time.monotonic() + 5
    # This registry writes a tag in two steps, and knows not what to say between them.
    while status == 500 and time.monotonic() < end:
        time.sleep(0.05)
        status, manifest = ask(address, f"manifests/{TAG}")
    if status == 404:
        return None
    assert status == 200, manifest
    document = json.loads(manifest)
    for descriptor in (document["config"], *document["layers"]):
        assert digest(ask(address, f"blobs/{descriptor['digest']}")[1]) == descriptor["digest"]
    return digest(manifest)


def test_sigkill_at_random_moments_of_a_push(
    tmp_path: Path, amount: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    require("docker-registry", "skopeo")
    env = environment_of(tmp_path / "home")
    moments = Moments(0)
    wanted, killed, before = amount(6, 200), 0, None
    with serve(tmp_path / "storage", tmp_path / "registry") as address:
        for number in range(3 * wanted):
            new = an_image(number)
            layout = write_layout(tmp_path / "layouts" / str(number), [new])
            push = ("hatch_oci", "push", layout, "--to", f"{address}/app", "--tag", TAG)
            # The first ones are left alone, to see how long it takes.
            if number > 1:
                with forks.started(*push, folder=tmp_path, env=env, log=tmp_path / "said") as process:
                    begun = time.monotonic()
                    process.join(moments.choose())
                    took = time.monotonic() - begun
                    process.kill()
                    process.join()
                killed += process.exitcode == -signal.SIGKILL
                moments.learn(None if process.exitcode else took)
                assert tagged(address) in (before, digest(new.manifest))
            done = forks.run(*push, folder=tmp_path, env=env)
            assert done.code == 0, done.said
            assert tagged(address) == digest(new.manifest)
            before = tagged(address)
            if number == 1:
                moments.learn(done.seconds)
            shutil.rmtree(layout)
            if killed == wanted:
                break
        assert pull(f"{address}/app:{TAG}", tmp_path / "pulled", env) == before
    record_property("cases", killed)
    assert killed == wanted
