"""Pushes to docker-registry: what is sent, what is not, and what others pull afterwards."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .images import read_image
from .projects import hatchling_build, layout_of, set_table
from .pushes import ALONE, APP, COPY, build_small, methods, own_storage, pull, push, push_json, tags_of, top_digest
from .registries import requests_of, serve
from .samples import PUBLIC, TAG, sample
from .taps import Tap, serve_tap

pytestmark = pytest.mark.e2e


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Answer where the registry keeps its log."""
    return tmp_path / "registry"


@pytest.fixture
def tap(sample_storage: Path, scratch: Path, tmp_path: Path) -> Iterator[Tap]:
    """Serve a registry with the sample in it by a wire that is tapped."""
    with serve(own_storage(sample_storage, tmp_path / "storage"), scratch) as address, serve_tap(address) as tap:
        yield tap


@pytest.fixture
def builder(user: dict[str, str], tap: Tap) -> dict[str, str]:
    """Answer the environment of one who builds on the sample."""
    return user | {"BASE_IMAGE": f"{tap.address}/{PUBLIC}:{TAG}"}


@pytest.fixture
def layout(project: Path, builder: dict[str, str]) -> Path:
    """Build a small image."""
    return build_small(project, builder)


def since(scratch: Path, start: int) -> list[str]:
    """Answer what the registry was asked since it had been asked `start` times, but for whether it is one."""
    return methods(requests_of(scratch)[start:])


def test_a_first_push_sends_all_but_the_base_once(
    layout: Path, builder: dict[str, str], tap: Tap, scratch: Path, tmp_path: Path
) -> None:
    before = len(requests_of(scratch))
    tap.reset()
    pushed = push_json(builder, layout, "--to", f"{tap.address}/{APP}")
    assert pushed["digest"] == top_digest(layout)
    assert pushed["references"] == [f"{tap.address}/{APP}:1.0.0", f"{tap.address}/{APP}@{top_digest(layout)}"]
    done = since(scratch, before)
    # The config and the layer of the project; the base's two are mounted.
    assert done.count("PUT upload") == 2
    assert done[-1] == "PUT manifest"
    assert done.count("PUT manifest") == 1
    image = read_image(layout)
    own = image.manifest["config"]["size"] + sum(layer["size"] for layer in image.manifest["layers"][2:])
    assert pushed["uploaded-bytes"] == own
    assert tap.up < own + 16 * 1024
    assert pull(f"{tap.address}/{APP}:1.0.0", tmp_path / "pulled", builder) == top_digest(layout)


def test_without_its_base_in_the_registry_all_is_sent_once(
    layout: Path, builder: dict[str, str], tmp_path: Path
) -> None:
    with serve(tmp_path / "empty", tmp_path / "other") as other:
        pushed = push_json(builder, layout, "--to", f"{other}/{APP}")
        done = methods(requests_of(tmp_path / "other"))
        image = read_image(layout)
        sizes = {part["digest"]: part["size"] for part in [image.manifest["config"], *image.manifest["layers"]]}
        assert done.count("POST upload") == done.count("PUT upload") == len(sizes)
        assert pushed["uploaded-bytes"] == sum(sizes.values())
        assert pull(f"{other}/{APP}:1.0.0", tmp_path / "pulled", builder) == top_digest(layout)


def test_a_second_push_is_the_manifest(layout: Path, builder: dict[str, str], tap: Tap, scratch: Path) -> None:
    push(builder, layout, "--to", f"{tap.address}/{APP}")
    before = len(requests_of(scratch))
    pushed = push_json(builder, layout, "--to", f"{tap.address}/{APP}")
    assert since(scratch, before) == ["PUT manifest"]
    assert pushed["uploaded-bytes"] == 0


def test_a_second_push_from_a_fresh_machine_sends_the_manifest_only(
    layout: Path, builder: dict[str, str], tap: Tap, scratch: Path, tmp_path: Path
) -> None:
    push(builder, layout, "--to", f"{tap.address}/{APP}")
    before = len(requests_of(scratch))
    push(builder | {"HATCH_OCI_CACHE_DIR": str(tmp_path / "fresh")}, layout, "--to", f"{tap.address}/{APP}")
    assert sorted(since(scratch, before)) == ["HEAD blob"] * 4 + ["PUT manifest"]


def test_after_a_change_one_layer_one_config_and_one_manifest_are_sent(
    project: Path, layout: Path, builder: dict[str, str], tap: Tap, scratch: Path, tmp_path: Path
) -> None:
    push(builder, layout, "--to", f"{tap.address}/{APP}")
    first = top_digest(layout)
    (project / "static" / "new.txt").write_text("new")
    hatchling_build(project, builder)
    assert top_digest(layout) != first
    before = len(requests_of(scratch))
    tap.reset()
    push(builder, layout, "--to", f"{tap.address}/{APP}")
    asked = requests_of(scratch)[before:]
    # Each begins as a mount that is not made: perhaps the base's repository has it.
    done = sorted(methods(asked))
    assert done == ["HEAD blob"] * 2 + ["POST mount"] * 2 + ["PUT manifest"] + ["PUT upload"] * 2
    assert len(asked) <= 12
    assert tap.up < 64_000
    assert pull(f"{tap.address}/{APP}:1.0.0", tmp_path / "pulled", builder) == top_digest(layout)


def test_to_another_repository_nothing_but_the_manifest_is_sent(
    layout: Path, builder: dict[str, str], tap: Tap, scratch: Path, tmp_path: Path
) -> None:
    push(builder, layout, "--to", f"{tap.address}/{APP}")
    before = len(requests_of(scratch))
    pushed = push_json(builder, layout, "--to", f"{tap.address}/{COPY}")
    assert since(scratch, before) == ["POST mount"] * 4 + ["PUT manifest"]
    assert pushed["uploaded-bytes"] == 0
    assert pull(f"{tap.address}/{COPY}:1.0.0", tmp_path / "pulled", builder) == top_digest(layout)


def test_each_tag_is_one_request(
    layout: Path, builder: dict[str, str], tap: Tap, scratch: Path, tmp_path: Path
) -> None:
    push(builder, layout, "--to", f"{tap.address}/{APP}")
    before = len(requests_of(scratch))
    push(builder, layout, "--to", f"{tap.address}/{APP}", "--tag", "1", "--tag", "1.0", "--tag", "latest")
    assert since(scratch, before) == ["PUT manifest"] * 3
    assert sorted(tags_of(tap.address, APP)) == ["1", "1.0", "1.0.0", "latest"]
    for tag in ("1", "latest"):
        assert pull(f"{tap.address}/{APP}:{tag}", tmp_path / "pulled", builder) == top_digest(layout)


def test_a_registry_that_was_emptied_gets_all_of_it_again(
    layout: Path, builder: dict[str, str], tmp_path: Path
) -> None:
    with serve(tmp_path / "first", tmp_path / "one") as one, serve_tap(one) as tap:
        push(builder, layout, "--to", f"{tap.address}/{APP}")
        with serve(tmp_path / "second", tmp_path / "two") as two:
            # Another registry under the same name, as after a volume that was not kept.
            tap.upstream = two
            push(builder, layout, "--to", f"{tap.address}/{APP}")
            assert pull(f"{two}/{APP}:1.0.0", tmp_path / "pulled", builder) == top_digest(layout)


def test_an_index_of_two_platforms_arrives_with_both(
    project: Path, user: dict[str, str], tap: Tap, scratch: Path, tmp_path: Path
) -> None:
    set_table(project, TWO_PLATFORMS + ALONE)
    hatchling_build(project, user)
    layout = layout_of(project)
    pushed = push_json(user, layout, "--to", f"{tap.address}/{APP}")
    assert pushed["digest"] == top_digest(layout)
    puts = [request for request in requests_of(scratch) if request.startswith("PUT") and "/manifests/" in request]
    children = json.loads((layout / "blobs" / top_digest(layout).replace(":", "/")).read_text())["manifests"]
    names = [child["digest"] for child in children] + ["1.0.0"]
    assert [request.rpartition("/")[2] for request in puts] == names
    assert pull(f"{tap.address}/{APP}:1.0.0", tmp_path / "pulled", user) == top_digest(layout)
    for child in children:
        options = ("--override-arch", child["platform"]["architecture"])
        assert pull(f"{tap.address}/{APP}@{child['digest']}", tmp_path / "one", user, *options) == child["digest"]
    before = len(requests_of(scratch))
    push(user, layout, "--to", f"{tap.address}/{APP}")
    assert since(scratch, before) == ["PUT manifest"] * 3


def test_a_sparse_build_moves_no_byte_of_its_base(
    project: Path, builder: dict[str, str], tap: Tap, scratch: Path, tmp_path: Path
) -> None:
    builder |= {"HATCH_OCI_SPARSE": "1"}
    # The first build looks into the base, once and for all.
    build_small(project, builder)
    for blob in Path(builder["HATCH_OCI_CACHE_DIR"]).glob("v1/blobs/sha256/*"):
        if f"sha256:{blob.name}" in sample().layers:
            blob.unlink()
    before = len(requests_of(scratch))
    tap.reset()
    layout = build_small(project, builder)
    push(builder, layout, "--to", f"{tap.address}/{APP}")
    asked = requests_of(scratch)[before:]
    for digest in sample().layers:
        assert not (layout / "blobs" / digest.replace(":", "/")).exists()
        assert not [request for request in asked if request.startswith("GET") and digest in request]
    assert max(tap.up, tap.down) < len(sample().blobs[sample().layers[0]])
    assert pull(f"{tap.address}/{APP}:1.0.0", tmp_path / "pulled", builder) == top_digest(layout)


def test_build_and_push_in_one_go(project: Path, builder: dict[str, str], tap: Tap, tmp_path: Path) -> None:
    layout = build_small(project, builder)
    digest = top_digest(layout)
    to = f"{tap.address}/{APP}"
    done = push(builder, "--build", "--json", "--to", to, cwd=project)
    # Whatever the build tells, stdout is for other programs.
    assert json.loads(done.stdout)["digest"] == digest
    assert pull(f"{to}:1.0.0", tmp_path / "pulled", builder) == digest


TWO_PLATFORMS = """
base-image = "scratch"
platforms = ["linux/amd64", "linux/arm64"]
wheel = false
lock = false
copy = [{ from = "static", to = "/srv/static" }]
entrypoint = ["/srv/static/index.html"]
"""
