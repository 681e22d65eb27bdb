"""What a build tells of its work: in its record, and with `-v`."""

from __future__ import annotations

import gzip
import os
import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from demo.base import digest
from demo.registry import Answer, Handler, Registry, serve
from hatch_oci.counts import Counts
from hatch_oci.layers.entry import file_entry
from hatch_oci.layers.layer import write_layer
from hatch_oci.lock.index import read_url
from hatch_oci.lock.layers import dependency_layer
from hatch_oci.registry.remote import Remote
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import AMD64, QUICK, served, wanted_start
from tests.unit.building import SCRIPT, WHEEL, blob, build
from tests.unit.dependencies import dependency, package_wheel
from tests.unit.locked import BOTH, MAJOR, MINOR, base_image, made, record
from tests.unit.projects import builder_of
from tests.unit.test_reuse import FILES, NOISE, WORDS
from tests.unit.wheels import VENV

NOTHING = {"downloaded": 0, "hashed": 0, "compressed": 0, "linked": 0}
STEPS = ["base", "dependencies", "wheel", "layers", "documents", "output"]
CONTENT = b"some text of a page\n" * 5000


def sizes(result: Path) -> Mapping[str, int]:
    return dict(record(result)["work"]["bytes"])


def seconds(result: Path) -> Mapping[str, float]:
    return dict(record(result)["work"]["seconds"])


def own_layers(result: Path) -> list[dict[str, Any]]:
    (platform,) = record(result)["platforms"].values()
    return [layer for layer in platform["layers"] if layer["holds"] != "base"]


@pytest.fixture
def remote_project(locked: Path) -> Iterator[tuple[Path, Registry]]:
    """Yield the project, with one of its wheels on a server that has the base, too, and the server."""
    wheel = locked / "wheels" / "web-1.0-py3-none-any.whl"
    data = wheel.read_bytes()
    with served(base_image(AMD64, (), f"{MAJOR}.{MINOR}.2")) as registry:
        registry.answers["GET", f"/{wheel.name}"] = lambda request: request.reply(200, data)
        lock = locked / "pylock.toml"
        pinned = f'path = "wheels/{wheel.name}"'
        assert pinned in lock.read_text()
        lock.write_text(lock.read_text().replace(pinned, f'url = "http://{registry.address}/{wheel.name}"'))
        wheel.unlink()
        yield locked, registry


def make(project: Path, registry: Registry) -> Path:
    manifest = registry.repositories["app"].manifests["1"].content
    return made(project, f'base-image = "{registry.address}/app@{digest(manifest)}"')


def counted(registry: Registry) -> list[int]:
    """Have the bodies that are sent counted, and return the list that their lengths are put into."""
    sent: list[int] = []

    def count(answer: Answer, request: Handler) -> None:
        def reply(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
            sent.append(len(body))
            Handler.reply(request, status, body, headers)

        request.reply = reply  # type: ignore[method-assign]
        answer(request)

    answers = {("GET", "*"): Handler.answer, **registry.answers}
    registry.answers.update({key: partial(count, answer) for key, answer in answers.items()})
    return sent


def test_a_first_build_tells_all_that_it_did(remote_project: tuple[Path, Registry], build_cache: Path) -> None:
    sent = counted(remote_project[1])
    begun = time.perf_counter()
    result = make(*remote_project)
    took = time.perf_counter() - begun
    layers = [blob(result, layer).read_bytes() for layer in own_layers(result)]
    assert len(sent) >= 4
    assert sizes(result) == {
        "downloaded": sum(sent),
        "hashed": sum(path.stat().st_size for path in (build_cache / "v1" / "blobs").rglob("*") if path.is_file()),
        "compressed": sum(len(gzip.decompress(layer)) for layer in layers),
        # Also where blocks are shared instead of inodes.
        "linked": sum(layer["size"] for layer in record(result)["platforms"]["linux/amd64"]["layers"]),
    }
    assert list(seconds(result)) == STEPS
    assert all(seconds(result).values())
    assert sum(seconds(result).values()) < took


def test_a_build_that_finds_all_there_did_nothing(remote_project: tuple[Path, Registry]) -> None:
    first = make(*remote_project)
    shared = any(path.stat().st_nlink > 1 for path in (first / "blobs").rglob("*") if path.is_file())
    again = sizes(make(*remote_project))
    # A layout of shared blocks cannot be told from another, and is made again.
    assert again == {**NOTHING, "linked": 0 if shared else again["linked"]}


def test_what_may_have_changed_in_the_cache_is_hashed_again(
    remote_project: tuple[Path, Registry], build_cache: Path
) -> None:
    base = record(make(*remote_project))["platforms"]["linux/amd64"]["layers"][0]
    os.utime(build_cache / "v1" / "blobs" / base["digest"].replace(":", "/"), (1, 1))
    assert sizes(make(*remote_project))["hashed"] == base["size"]


def copied(project: Path, more: str = "") -> Path:
    (project / "static" / "page.html").write_bytes(CONTENT)
    copy = 'copy = [{from = "static", to = "/srv"}]'
    return build(builder_of(project, f'base-image = "scratch"\nwheel = false\n{copy}\n{more}'))


@pytest.mark.usefixtures("build_cache")
def test_a_folder_is_compressed_as_its_tar(project: Path) -> None:
    result = copied(project)
    (layer,) = own_layers(result)
    tar = gzip.decompress(blob(result, layer).read_bytes())
    assert CONTENT in tar
    assert sizes(result) == {"downloaded": 0, "hashed": layer["size"], "compressed": len(tar), "linked": layer["size"]}
    assert {step for step, taken in seconds(result).items() if taken} <= {"base", "layers", "documents", "output"}


@pytest.mark.usefixtures("build_cache")
def test_what_is_not_compressed_does_not_count_as_such(project: Path) -> None:
    result = copied(project, 'compression = "none"')
    assert sizes(result)["hashed"] > len(CONTENT)
    assert sizes(result)["compressed"] == 0


def test_what_stays_deflated_does_not_count_as_compressed(store: BlobStore, tmp_path: Path) -> None:
    one = dependency(store, package_wheel(tmp_path, "x", FILES))
    dependency_layer("", [one], VENV, "gzip", store)
    compressed = store.counts.bytes["compressed"]
    dependency_layer("", [one], VENV, "gzip-reuse", store)
    assert store.counts.bytes["compressed"] == 2 * compressed - len(WORDS) - len(NOISE)


def test_blocks_on_several_cores_are_all_counted(store: BlobStore) -> None:
    layer = write_layer([file_entry("noise", NOISE * 20)], "", "gzip", store)
    plain = gzip.decompress(store.path(layer.descriptor.digest).read_bytes())
    assert store.counts.bytes == {**NOTHING, "hashed": layer.descriptor.size, "compressed": len(plain)}


@pytest.mark.usefixtures("build_cache")
def test_an_archive_holds_copies(project: Path) -> None:
    assert list(builder_of(project, 'base-image = "scratch"\nwheel = false').build(versions=["oci-archive"]))
    result = copied(project)
    assert sizes(result)["linked"] > 0
    assert list(builder_of(project, 'base-image = "scratch"\nwheel = false').build(versions=["oci-archive"]))
    assert sizes(result) == NOTHING


def test_platforms_add_up(locked: Path) -> None:
    result = made(locked, BOTH)
    held = {layer["digest"]: layer["size"] for one in record(result)["platforms"].values() for layer in one["layers"]}
    assert sizes(result)["linked"] == sum(held.values())
    assert list(seconds(result)) == STEPS


def test_all_that_came_counts_also_before_a_failure() -> None:
    def broken(request: Handler) -> None:
        start = wanted_start(request)
        request.close_connection = True
        request.send_response(206 if start else 200)
        request.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        request.send_header("Content-Length", str(len(CONTENT) - start))
        request.end_headers()
        request.wfile.write(CONTENT[start : start + 40_000])

    counts = Counts()
    with serve({}, {("GET", "/file"): broken}) as server, closing(Remote(patience=QUICK, counts=counts)) as remote:
        got = b"".join(read_url(f"http://{server.address}/file", "file", len(CONTENT), remote.transport))
    assert got == CONTENT
    assert server.log == [("GET", "/file")] * 3
    assert counts.bytes["downloaded"] == len(CONTENT)


class Slow(int):
    """A number that lets other threads go first while it is added."""

    def __radd__(self, other: int) -> int:
        time.sleep(0.0001)
        return other + int(self)


def test_threads_that_add_at_once_lose_nothing() -> None:
    counts = Counts()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda size: counts.add("hashed", Slow(size)), range(200)))
    assert counts.bytes == {**NOTHING, "hashed": sum(range(200))}


def test_a_step_that_is_taken_again_adds_up() -> None:
    counts = Counts()
    for _ in range(2):
        with counts.step("layers"):
            time.sleep(0.02)
    assert counts.seconds["layers"] >= 0.04
    assert {step for step, taken in counts.seconds.items() if taken} == {"layers"}
    written = counts.to_json()["seconds"]["layers"]
    assert written == round(written, 3) == pytest.approx(counts.seconds["layers"], abs=0.0006)


@pytest.mark.parametrize(("quiet", "verbose", "told"), [("0", "0", False), ("1", "0", False), ("0", "1", True)])
def test_it_is_told_with_v_alone(
    quiet: str,
    verbose: str,
    told: bool,
    locked: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HATCH_QUIET", quiet)
    monkeypatch.setenv("HATCH_VERBOSE", verbose)
    build(builder_of(locked, 'base-image = "oci:base"', 'dependencies = ["web"]', f"{SCRIPT}\n{WHEEL}"))
    output = capsys.readouterr()
    assert "Work:" not in output.out
    lines = output.err.splitlines()
    assert any(line.startswith(("Work:", "Seconds:")) for line in lines) is told
    if told:
        size = r"\d+(\.\d)? (B|kB)"
        assert re.fullmatch(f"Work: downloaded 0 B, hashed {size}, compressed {size}, linked {size}", lines[-2])
        steps = ", ".join(rf"{step} \d+\.\d\d" for step in STEPS)
        assert re.fullmatch(f"Seconds: {steps}", lines[-1])
