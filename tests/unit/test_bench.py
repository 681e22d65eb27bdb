"""What the measurements are made with: they would print nonsense in silence."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bench import layers
from bench.bump import bump
from bench.stack import PLATFORMS
from bench.watch import Watch
from hatch_oci.errors import OCIError
from hatch_oci.image.platform import Platform
from hatch_oci.lock.dependencies import Dependency
from hatch_oci.lock.layers import dependency_layer
from hatch_oci.store.blobs import BlobStore
from tests.alone import alone
from tests.unit.dependencies import contents, dependency, package_wheel
from tests.unit.wheels import SITE, VENV


def test_a_bump_changes_one_byte_and_leaves_a_wheel_that_installs(tmp_path: Path, store: BlobStore) -> None:
    files = {"x/small.py": b"1\n", "x/large.py": b"a = 12345\n", "x/data": b"larger than any module"}
    old = dependency(store, package_wheel(tmp_path / "old", "x", files, executable=["x/data"]))
    new = bump(old, tmp_path, store)
    assert (new.facts, new.filename) == (old.facts, old.filename)
    assert new.blob.digest != old.blob.digest
    # Installing checks every hash of RECORD.
    before, after = (contents(dependency_layer("", [one], VENV, "gzip", store), store) for one in (old, new))
    assert {path for path in before if before[path] != after[path]} == {
        *(f"{SITE}/x/large.py", f"{SITE}/x-1.0.dist-info/RECORD")
    }
    assert after[f"{SITE}/x/large.py"] == b"a = 12345 "
    with zipfile.ZipFile(new.blob.path) as archive:
        assert archive.getinfo("x/data").external_attr >> 16 & 0o777 == 0o755
    assert not (tmp_path / old.filename).exists()


def test_a_watch_sees_what_is_opened_and_written_while_it_watches(tmp_path: Path) -> None:
    alone(watch_a_folder, tmp_path)


def watch_a_folder(folder: Path) -> None:
    watch = Watch(folder)
    kept, changed, fresh = (folder / name for name in ("kept", "changed", "fresh"))
    kept.write_bytes(b"kept")
    changed.write_bytes(b"old")
    with watch.seeing() as seen:
        kept.read_bytes()
        kept.read_bytes()
        changed.write_bytes(b"newer")
        fresh.write_bytes(b"0123456789")
    kept.read_bytes()
    assert seen.written == {str(changed): 5, str(fresh): 10}
    assert seen.times([kept]) == 2
    assert seen.times([kept, fresh]) == 3
    with watch.seeing() as nothing:
        pass
    assert (nothing.written, nothing.times([kept, changed, fresh])) == ({}, 0)


def test_a_second_build_that_does_nothing_is_measured(several: list[Dependency], tmp_path: Path) -> None:
    heads, first, second = alone(build_twice, several, tmp_path, forgetful=False)
    assert heads[:4] == ["Build", "seconds", "wheels unpacked", "layers written"]
    assert (first[0], first[2:4], first[5:]) == ("first", ["3", "2"], ["0", "0"])
    assert (second[0], second[2:]) == ("second", ["0"] * 5)


def test_a_second_build_that_does_the_work_again_fails(several: list[Dependency], tmp_path: Path) -> None:
    with pytest.raises(OCIError) as caught:
        alone(build_twice, several, tmp_path, forgetful=True)
    assert re.fullmatch(
        "the second build, which changes nothing, was not idle: wheels unpacked: 3; layers written: 2; "
        r"bytes written to the cache: [\d,]+; wheels read to check their hashes: 1",
        str(caught.value),
    )


def build_twice(several: list[Dependency], folder: Path, *, forgetful: bool) -> list[list[str]]:
    """Return the rows about two builds with these wheels; what is `forgetful` does not know its layers any more."""

    def gather(*_: object) -> dict[Platform, list[Dependency]]:
        if forgetful:
            shutil.rmtree(folder / "builds/v1/facts/layers", ignore_errors=True)
            several[0].blob.path.read_bytes()
        return {PLATFORMS[0]: several}

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(layers, "gather", gather)
        return list(layers._twice(folder, BlobStore(folder / "cache")))


def test_what_is_measured_has_to_be_named() -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "bench", "x"]
    result = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    assert result.returncode == 2
    assert "invalid choice: 'x'" in result.stderr
