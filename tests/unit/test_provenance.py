"""How an image came to be, as a build says it: a statement by the specifications, and nothing of this machine in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from hatchling.builders.wheel import WheelBuilder
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as Message

from demo.base import digest
from hatch_oci.trust.revision import find_revision
from tests.unit.attached import IN_TOTO, documents, raw
from tests.unit.locked import BOTH, ONE, made, record
from tests.unit.repositories import committed, git


def statement_of(result: Path, platform: str = "linux/amd64") -> dict[str, Any]:
    """Return the provenance, after a look at whether it is one."""
    found: dict[str, Any] = documents(result, platform)[IN_TOTO]
    # These know all fields that the specifications have, and refuse all others.
    message = ParseDict(found, Message())
    Statement.copy_from_pb(message).validate()
    ParseDict(found["predicate"], Provenance())
    return found


def resolved(result: Path) -> dict[str, dict[str, Any]]:
    predicate = statement_of(result)["predicate"]
    return {one["name"]: one for one in predicate["buildDefinition"]["resolvedDependencies"]}


def test_it_says_of_which_image_and_who_built_it(locked: Path) -> None:
    result = made(locked, ONE)
    found = statement_of(result)
    said = record(result)["platforms"]["linux/amd64"]
    assert found["subject"] == [{"name": "my-app", "digest": {"sha256": said["digest"].removeprefix("sha256:")}}]
    run = found["predicate"]["runDetails"]
    assert run["builder"]["id"] == "pkg:pypi/hatch-oci-image"
    assert set(run["builder"]["version"]) == {"hatch-oci-image", "hatchling"}
    assert run["byproducts"] == [{"name": said["wheel"]["filename"], "digest": {"sha256": said["wheel"]["sha256"]}}]


def test_it_names_all_that_went_in_by_its_hash(locked: Path) -> None:
    result = made(locked, ONE)
    found = resolved(result)
    said = record(result)
    assert set(found) == {"base", "index of the base", *(name for name in found if name.endswith(".whl"))}
    assert found["base"]["digest"]["sha256"] == said["platforms"]["linux/amd64"]["base-digest"].removeprefix("sha256:")
    assert found["index of the base"]["digest"]["sha256"] == said["base"]["digest"].removeprefix("sha256:")
    web = found["web-1.0-py3-none-any.whl"]
    assert web["uri"] == "pkg:pypi/web@1.0"
    assert len(web["digest"]["sha256"]) == 64
    assert len(found) == 4


def test_the_configuration_is_what_stands_in_the_file(locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    result = made(locked, f'{ONE}\nenv = {{ TOKEN = "{{env:TOKEN}}" }}\nports = [80]')
    definition = statement_of(result)["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["configuration"] == {
        "base-image": "oci:base",
        "env": {"TOKEN": "{env:TOKEN}"},
        "ports": [80],
    }
    assert definition["internalParameters"] == {"platform": "linux/amd64", "created": "2020-02-02T00:00:00Z"}


def test_a_prebuilt_wheel_is_what_went_in(locked: Path) -> None:
    made(locked, ONE)
    (wheel,) = WheelBuilder(str(locked)).build(directory=str(locked / "given"), versions=["standard"])
    result = made(locked, f'{ONE}\nwheel = "given/*.whl"')
    assert resolved(result)[Path(wheel).name]["digest"]["sha256"] == digest(Path(wheel).read_bytes()).removeprefix(
        "sha256:"
    )
    assert "byproducts" not in statement_of(result)["predicate"]["runDetails"]


def test_it_is_labelled_as_unsigned(locked: Path) -> None:
    result = made(locked, ONE)
    listed = json.loads((result / "referrers.json").read_bytes())["manifests"]
    (entry,) = [one for one in listed if one["artifactType"] == IN_TOTO]
    assert entry["annotations"]["hatch-oci-image.signed"] == "false"
    assert entry["annotations"]["in-toto.io/predicate-type"] == "https://slsa.dev/provenance/v1"
    assert json.loads(raw(result, entry["digest"]))["annotations"] == entry["annotations"]


def test_each_platform_has_its_own(locked: Path) -> None:
    result = made(locked, BOTH)
    platforms = ("linux/amd64", "linux/arm64")
    found = [statement_of(result, one) for one in platforms]
    assert [one["predicate"]["buildDefinition"]["internalParameters"]["platform"] for one in found] == list(platforms)


def test_none_is_made_where_none_is_wanted(locked: Path) -> None:
    result = made(locked, f"{ONE}\nattestations = false")
    assert IN_TOTO not in documents(result)
    assert record(result)["digest"] == record(made(locked, ONE))["digest"]


def test_the_commit_is_told_of_sources_that_are_as_it_has_them(locked: Path) -> None:
    urls = '[project.urls]\nSource = "https://example.com/app"\n'
    made(locked, ONE, project=urls)
    commit = committed(locked)
    expected = {"name": "source", "uri": "git+https://example.com/app", "digest": {"gitCommit": commit}}
    assert resolved(made(locked, ONE, project=urls))["source"] == expected
    (locked / "src" / "my_app" / "__init__.py").write_text("changed = True\n")
    assert "source" not in resolved(made(locked, ONE, project=urls))


def test_a_commit_is_that_of_a_clean_tree_only(tmp_path: Path) -> None:
    app = tmp_path / "repository" / "app"
    app.mkdir(parents=True)
    (tmp_path / "repository" / "other.txt").write_text("1")
    dist = app / "dist"
    assert find_revision(app, dist) is None
    git(tmp_path / "repository", "init", "-q")
    assert find_revision(app, dist) is None
    commit = committed(tmp_path / "repository")
    assert find_revision(app, dist) == commit
    # What a build writes is no source.
    dist.mkdir()
    (dist / "app.oci.json").write_text("{}")
    assert find_revision(app, dist) == commit
    assert find_revision(app, tmp_path / "elsewhere") is None
    (app / "new.txt").write_text("new")
    assert find_revision(app, dist) is None
    (app / "new.txt").unlink()
    (tmp_path / "repository" / "other.txt").write_text("2")
    assert find_revision(app, dist) is None


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_revision(tmp_path, tmp_path / "dist") is None
