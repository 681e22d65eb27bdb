"""The layers of dependencies: what is in them, that it is the same everywhere, and that each is made once."""

from __future__ import annotations

import csv
import io
import os
import posixpath
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hatch_oci.errors import LockError
from hatch_oci.image.media_types import OCI_LAYER_GZIP
from hatch_oci.layers.compress import GZIP_IS_REPRODUCIBLE
from hatch_oci.lock.dependencies import Dependency
from hatch_oci.store.blobs import BlobStore
from tests.unit.dependencies import contents, dependency, made, members, package_wheel
from tests.unit.wheels import SITE, VENV, hash_of


def test_a_layer_holds_what_its_wheels_put_into_the_venv(several: list[Dependency], store: BlobStore) -> None:
    layer = made(several, store)
    assert (layer.summary, layer.descriptor.media_type) == ("dependencies", OCI_LAYER_GZIP)
    assert list(members(layer, store)) == [
        *("app/.venv/bin/serve", "app/.venv/bin/web", "app/.venv/include", "app/.venv/include/site"),
        *("app/.venv/include/site/python3.13", "app/.venv/include/site/python3.13/web"),
        "app/.venv/include/site/python3.13/web/web.h",
        *(f"{SITE}/fast", f"{SITE}/fast/__init__.py", f"{SITE}/fast/_core.so", f"{SITE}/fast/tool"),
        f"{SITE}/fast-1.0.dist-info",
        *(f"{SITE}/fast-1.0.dist-info/{name}" for name in ("INSTALLER", "METADATA", "RECORD", "WHEEL")),
        *(f"{SITE}/plain", f"{SITE}/plain/__init__.py", f"{SITE}/plain-1.0.dist-info"),
        *(f"{SITE}/plain-1.0.dist-info/{name}" for name in ("INSTALLER", "METADATA", "RECORD", "WHEEL")),
        *(f"{SITE}/web", f"{SITE}/web/__init__.py", f"{SITE}/web/pure.py", f"{SITE}/web/sub"),
        *(f"{SITE}/web/sub/__init__.py", f"{SITE}/web-1.0.dist-info"),
        *(f"{SITE}/web-1.0.dist-info/{name}" for name in ("INSTALLER", "METADATA", "RECORD", "WHEEL")),
        f"{SITE}/web-1.0.dist-info/entry_points.txt",
        *("app/.venv/share", "app/.venv/share/man", "app/.venv/share/man/web.1"),
    ]


def test_modes_owners_and_dates_are_those_of_every_machine(several: list[Dependency], store: BlobStore) -> None:
    found = members(made(several, store), store)
    executable = {name for name, (info, _) in found.items() if info.isfile() and info.mode == 0o755}
    assert executable == {"app/.venv/bin/serve", "app/.venv/bin/web", f"{SITE}/fast/tool"}
    infos = [info for info, _ in found.values()]
    assert {info.mode for info in infos if info.isfile() and info.name not in executable} == {0o644}
    assert {info.mode for info in infos if info.isdir()} == {0o755}
    assert {(info.uid, info.gid, info.uname, info.gname, info.mtime) for info in infos} == {(0, 0, "", "", 315532800)}


def test_every_row_of_record_fits_its_file(several: list[Dependency], store: BlobStore) -> None:
    found = contents(made(several, store), store)
    described = set()
    for name in ("fast", "plain", "web"):
        record = f"{SITE}/{name}-1.0.dist-info/RECORD"
        rows = list(csv.reader(io.StringIO(found[record].decode())))
        assert [row for row in rows if row[1:] == ["", ""]] == [[f"{name}-1.0.dist-info/RECORD", "", ""]]
        for row in rows:
            path = posixpath.normpath(f"{SITE}/{row[0]}")
            described.add(path)
            if path != record:
                assert row[1:] == [hash_of(found[path]), str(len(found[path]))]
    assert described == set(found)


def test_nobody_is_said_to_have_asked_for_a_dependency(tmp_path: Path, store: BlobStore) -> None:
    info = "x-1.0.dist-info"
    files = {f"{info}/{name}": b"a wheel's own" for name in ("INSTALLER", "REQUESTED", "direct_url.json")}
    found = contents(made([dependency(store, package_wheel(tmp_path, "x", files))], store), store)
    assert set(found) == {f"{SITE}/{info}/{name}" for name in ("INSTALLER", "METADATA", "RECORD", "WHEEL")}
    assert found[f"{SITE}/{info}/INSTALLER"] == b"hatch-oci-image\n"
    assert b"REQUESTED" not in found[f"{SITE}/{info}/RECORD"]


def test_scripts_run_with_the_python_of_the_venv(several: list[Dependency], store: BlobStore) -> None:
    found = contents(made(several, store), store)
    assert found["app/.venv/bin/serve"] == b"#!/app/.venv/bin/python\nprint(1)\n"
    assert found["app/.venv/bin/web"].startswith(b"#!/app/.venv/bin/python\nimport sys\n\nfrom web import main\n")


@pytest.mark.parametrize("prefix", ["/app/.venv", "/venv", "/a/deep/place/for/it"])
def test_nothing_above_the_prefix_and_nothing_of_the_venv_itself_is_written(
    prefix: str, several: list[Dependency], store: BlobStore
) -> None:
    root = prefix.strip("/")
    venv = replace(VENV, prefix=prefix)
    paths = list(members(made(several, store, venv), store))
    assert all(path.startswith(f"{root}/") for path in paths)
    own = ("bin", "lib", "lib64", "lib/python3.13", "lib/python3.13/site-packages", "pyvenv.cfg", "bin/python")
    assert {f"{root}/{path}" for path in own}.isdisjoint(paths)


def test_the_order_of_the_wheels_and_the_base_change_nothing(several: list[Dependency], tmp_path: Path) -> None:
    bases = [
        VENV,
        replace(VENV, python="/usr/bin/python3.13"),
        replace(VENV, python_version="3.13.9"),
        replace(VENV, system_site_packages=True),
    ]
    made_for = set()
    for number, venv in enumerate(bases):
        # A store of its own, so that each is made.
        layer = made(several[number % 3 :] + several[: number % 3], BlobStore(tmp_path / str(number)), venv)
        made_for.add((layer.descriptor.digest, layer.diff_id))
    assert len(made_for) == 1


ROOT = Path(__file__).parents[2]
PROGRAM = """
import os, sys
from pathlib import Path
from hatch_oci.store.blobs import BlobStore
from tests.unit.dependencies import dependency
from tests.unit.wheels import VENV
from hatch_oci.lock.layers import dependency_layer
os.umask(int(sys.argv[1], 8))
store = BlobStore(Path(sys.argv[2]))
layer = dependency_layer("x", [dependency(store, Path(path)) for path in sys.argv[3:]], VENV, "gzip", store)
print(layer.descriptor.digest, layer.diff_id)
"""


def test_this_machine_leaves_no_trace(tmp_path: Path) -> None:
    paths = [str(package_wheel(tmp_path, name, {f"{name}/größe.py": b"", f"{name}/a.py": b""})) for name in "abc"]
    hosts = [
        ("022", {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"}),
        ("077", {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2", "SOURCE_DATE_EPOCH": "1700000000"}),
    ]
    answers = []
    for mask, variables in hosts:
        arguments = [sys.executable, "-c", PROGRAM, mask, str(tmp_path / mask), *paths]
        environment = os.environ | variables
        result = subprocess.run(arguments, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
        answers.append(result.stdout)
    assert answers[0] == answers[1]
    digest, diff_id = answers[0].split()
    # Golden ones: a change here is a change for every user.
    assert diff_id == "sha256:77707e5cf2a23f522470d3df071f5e6881494c9e5738fe59cb7cb1c6acc44342"
    assert (
        not GZIP_IS_REPRODUCIBLE or digest == "sha256:bcdb49e49b1e7da31a20bfe6743e763e5a202bedcf3c84280e9688dd27cf6039"
    )


SPACE = {"space/__init__.py": b"# shared\n"}


def test_what_two_wheels_have_in_common_is_written_once(tmp_path: Path, store: BlobStore) -> None:
    one = dependency(store, package_wheel(tmp_path, "one", {**SPACE, "space/one.py": b"1"}))
    two = dependency(store, package_wheel(tmp_path, "two", {**SPACE, "space/two.py": b"2"}))
    layer = made([one, two], store)
    # `members` asserts that no path is there twice.
    found = contents(layer, store)
    assert {found[f"{SITE}/space/{name}.py"] for name in ("__init__", "one", "two")} == {b"# shared\n", b"1", b"2"}
    for name in ("one", "two"):
        assert b"space/__init__.py" in found[f"{SITE}/{name}-1.0.dist-info/RECORD"]


def test_different_files_of_two_wheels_at_one_path_name_both(tmp_path: Path, store: BlobStore) -> None:
    one = dependency(store, package_wheel(tmp_path, "one", SPACE))
    two = dependency(store, package_wheel(tmp_path, "two", {"space/__init__.py": b"# mine\n"}))
    for order in ([one, two], [two, one]):
        with pytest.raises(LockError) as caught:
            made(order, store)
        assert str(caught.value) == (
            f"one-1.0-py3-none-any.whl and two-1.0-py3-none-any.whl put different files at /{SITE}/space/__init__.py: "
            "exclude one of them"
        )
    assert not (store.folder / "facts" / "layers").exists()


def test_files_are_compared_whatever_algorithm_record_uses(tmp_path: Path, store: BlobStore) -> None:
    def with_sha512(record: str) -> str:
        return record.replace(hash_of(SPACE["space/__init__.py"]), hash_of(SPACE["space/__init__.py"], "sha512"))

    one = dependency(store, package_wheel(tmp_path, "one", SPACE))
    two = dependency(store, package_wheel(tmp_path, "two", SPACE, record=with_sha512))
    assert contents(made([one, two], store), store)[f"{SITE}/space/__init__.py"] == b"# shared\n"


def test_a_file_and_a_folder_at_one_path_name_both_wheels(tmp_path: Path, store: BlobStore) -> None:
    one = dependency(store, package_wheel(tmp_path, "one", {"space": b"a file"}))
    two = dependency(store, package_wheel(tmp_path, "two", {"space/__init__.py": b""}))
    with pytest.raises(LockError, match=rf"one-1\.0-py3-none-any\.whl and two-1\.0-.*/{SITE}/space"):
        made([one, two], store)


def test_no_folder_takes_the_place_of_a_symlink_of_the_venv(tmp_path: Path, store: BlobStore) -> None:
    one = dependency(store, package_wheel(tmp_path, "one", {"one-1.0.data/data/lib64/one.txt": b"1"}))
    found = members(made([one], store), store)
    assert "app/.venv/lib64" not in found
    assert "app/.venv/lib/one.txt" in found


def test_a_wheel_that_would_replace_a_part_of_the_venv_is_refused(tmp_path: Path, store: BlobStore) -> None:
    one = dependency(store, package_wheel(tmp_path, "one", {"one-1.0.data/data/pyvenv.cfg": b"home = /\n"}))
    with pytest.raises(Exception, match=r"^one-1\.0-py3-none-any\.whl would replace /app/\.venv/pyvenv\.cfg"):
        made([one], store)


def test_no_wheels_make_an_empty_layer(store: BlobStore) -> None:
    assert members(made([], store), store) == {}
