from __future__ import annotations

import json
import os
import stat
import sys
import time
from pathlib import Path

import pytest

from hatch_oci.counts import Counts
from hatch_oci.errors import OutputError
from hatch_oci.image import media_types
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.manifest import make_manifest
from hatch_oci.image.platform import Platform
from hatch_oci.output.record import ImageRecord, LayerRecord, Record, write_record
from tests.unit.documents import FIRST, SECOND, SHA512

BASE_LAYER = Descriptor(media_types.OCI_LAYER, SHA512, 7)
OWN_LAYER = Descriptor(media_types.OCI_LAYER_GZIP, FIRST, 5)
MANIFEST = make_manifest(Descriptor(media_types.OCI_CONFIG, SECOND, 6), [BASE_LAYER, OWN_LAYER], {})
BASE, INDEX = Digest.of(b"base"), Digest.of(b"index")
IMAGE = ImageRecord(
    platform=Platform("linux", "arm", "v7"),
    manifest=MANIFEST,
    layers=[LayerRecord(BASE_LAYER, SECOND, "base"), LayerRecord(OWN_LAYER, BASE, "files /srv/ü")],
    base_digest=BASE,
    wheel="app-1.0-py3-none-any.whl",
    wheel_sha256="ab" * 32,
    packages={"h11": "0.16.0", "app": "1.0"},
)
RECORD = Record(
    repository="ghcr.io/acme/app",
    tags=("1.0", "latest"),
    top=MANIFEST.descriptor,
    images=[IMAGE],
    base_reference="docker.io/library/python:3.13-slim",
    base_digest=INDEX,
    lock="uv.lock",
)
COUNTS = Counts()
COUNTS.add("downloaded", 7)
COUNTS.add("hashed", 5)
COUNTS.add("hashed", 7)
COUNTS.seconds["layers"] = 1.23456


def test_the_record_says_what_was_built_out_of_what(tmp_path: Path) -> None:
    write_record(tmp_path / "app.oci.json", RECORD, COUNTS)
    assert json.loads((tmp_path / "app.oci.json").read_bytes()) == {
        "repository": "ghcr.io/acme/app",
        "tags": ["1.0", "latest"],
        "digest": str(Digest.of(MANIFEST.raw)),
        "media-type": "application/vnd.oci.image.manifest.v1+json",
        "platforms": {
            "linux/arm/v7": {
                "digest": str(Digest.of(MANIFEST.raw)),
                "config-digest": str(SECOND),
                "base-digest": str(BASE),
                "missing": [],
                "packages": {"app": "1.0", "h11": "0.16.0"},
                "wheel": {"filename": "app-1.0-py3-none-any.whl", "sha256": "ab" * 32},
                "referrers": [],
                "layers": [
                    {"digest": str(SHA512), "diff-id": str(SECOND), "size": 7, "holds": "base"},
                    {"digest": str(FIRST), "diff-id": str(BASE), "size": 5, "holds": "files /srv/ü"},
                ],
            }
        },
        "base": {
            "reference": "docker.io/library/python:3.13-slim",
            "digest": str(INDEX),
        },
        "lock": "uv.lock",
        "work": {
            "bytes": {"downloaded": 7, "hashed": 12, "compressed": 0, "linked": 0},
            "seconds": {
                "base": 0.0,
                "dependencies": 0.0,
                "wheel": 0.0,
                "layers": 1.235,
                "documents": 0.0,
                "output": 0.0,
            },
        },
    }


def test_the_record_is_written_for_people_too(tmp_path: Path) -> None:
    write_record(tmp_path / "record", RECORD, COUNTS)
    text = (tmp_path / "record").read_text("utf-8")
    assert text.startswith('{\n  "repository": "ghcr.io/acme/app",\n  "tags": [\n    "1.0",\n')
    assert '"holds": "files /srv/ü"' in text
    assert text.endswith("}\n")


def test_what_there_is_not_is_null(tmp_path: Path) -> None:
    image = IMAGE._replace(base_digest=None, wheel=None, wheel_sha256=None, layers=())
    nothing = RECORD._replace(images=[image], base_reference="scratch", base_digest=None, lock=None)
    write_record(tmp_path / "record", nothing, Counts())
    found = json.loads((tmp_path / "record").read_bytes())
    assert found["base"] == {"reference": "scratch", "digest": None}
    assert found["lock"] is None
    assert found["platforms"]["linux/arm/v7"]["base-digest"] is None
    assert found["platforms"]["linux/arm/v7"]["wheel"] is None
    assert found["platforms"]["linux/arm/v7"]["layers"] == []


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX")
def test_everybody_may_read_the_record(tmp_path: Path) -> None:
    write_record(tmp_path / "record", RECORD, COUNTS)
    assert stat.S_IMODE((tmp_path / "record").stat().st_mode) == 0o644


def test_an_old_record_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    target = tmp_path / "record"
    target.write_text("old and longer than the new one" * 1000)
    write_record(target, RECORD, COUNTS)
    assert json.loads(target.read_bytes()) == {**RECORD.to_json(), "work": COUNTS.to_json()}
    assert list(tmp_path.iterdir()) == [target]


def test_a_record_that_is_open_stays_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "record"
    target.write_text("old")
    with target.open() as reader:
        write_record(target, RECORD, COUNTS)
        assert reader.read() == "old"


@pytest.mark.skipif(sys.platform == "win32", reason="locks are POSIX")
def test_what_a_killed_build_left_is_removed(tmp_path: Path) -> None:
    stale, other = tmp_path / ".record.abc", tmp_path / ".other.abc"
    for path in (stale, other):
        path.write_text("part")
        os.utime(path, (time.time() - 3600,) * 2)
    write_record(tmp_path / "record", RECORD, COUNTS)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.abc", "record"]


def test_a_record_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    target = tmp_path / "absent" / "record"
    with pytest.raises(OutputError) as caught:
        write_record(target, RECORD, COUNTS)
    assert str(caught.value) == f"cannot write {target}: No such file or directory"


def test_a_record_that_cannot_be_put_into_place_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "record"
    target.mkdir()
    (target / "file").write_text("old")
    with pytest.raises(OutputError) as caught:
        write_record(target, RECORD, COUNTS)
    assert str(caught.value).startswith(f"cannot write {target}: ")
    assert list(tmp_path.iterdir()) == [target]
    assert (target / "file").read_text() == "old"
