"""`verify` and `diff` on the example: another clone gives the same image, and what is changed is named."""

import hashlib
import json
import os
import re
import shutil
import stat
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from . import containers
from .conftest import Registry
from .images import blob_path, read_image, read_top
from .projects import TAG, copy_example, environment, hatchling_build, layout_of, record_of
from .requirements import require
from .shell import Finished, run

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("package_index")]


@pytest.fixture
def layout(project: Path, env: dict[str, str]) -> Path:
    """Answer the example's image."""
    hatchling_build(project, env)
    return layout_of(project)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Answer another clone of the example, which lies otherwise on disk."""
    return copy_example(tmp_path / "another place" / "clone", umask=0o077, mtime=1_234_567_890, backwards=True)


def test_another_clone_says_same(layout: Path, clone: Path, registry: Registry, tmp_path: Path) -> None:
    """With its own home, cache, time zone and locale, also of what was pushed; nothing is left in the clone."""
    env = environment(tmp_path / "another-home", BASE_IMAGE=registry.base("oci"), TZ="Pacific/Auckland", LC_ALL="C")
    assert _verify(clone, env, layout).stdout == f"same {_digest(layout)}\n"
    repository = f"{registry.address}/verified-{uuid.uuid4()}"
    run(sys.executable, "-m", "hatch_oci", "push", layout, "--to", repository, cwd=clone, env=env)
    assert _verify(clone, env, f"{repository}:1.0.0").stdout == f"same {_digest(layout)}\n"
    assert not (clone / "dist").exists()


def test_a_byte_is_named(layout: Path, clone: Path, env: dict[str, str]) -> None:
    """The layer, the file, the byte in the blob, and that no sources made it."""
    [layer] = [one for one in _layers(layout) if one["holds"] == "wheel hello-service 1.0.0"]
    path = blob_path(layout, layer["digest"])
    data = bytearray(path.read_bytes())
    at = len(data) // 2
    data[at] ^= 0xFF
    # A file of its own: the cache may have the same one.
    path.unlink()
    path.write_bytes(data)
    verdict, found, cause = _verify(clone, env, layout, expect=1).stdout.splitlines()
    assert verdict == f"oci:{layout} {_digest(layout)} is damaged"
    assert re.match(r"layer \d+ \(wheel hello-service 1\.0\.0\): /app/\.venv/\S+: ", found)
    assert f"{layer['digest']} says: byte {at}: " in found
    assert "was changed after it was built" in cause


def test_a_package_is_named(layout: Path, clone: Path, env: dict[str, str]) -> None:
    """The layer, the first file of it, and the package in both versions."""
    old, new = _downgrade(clone, env)
    _, found, cause = _verify(clone, env, layout, expect=1).stdout.splitlines()
    assert re.match(r"layer \d+ \(wheels anyio, .*\): /app/\.venv/lib/\S+", found)
    assert cause == f"Likely cause: another lock: ~ python idna: {old} → {new}"


def test_a_mode_is_named(layout: Path, clone: Path, env: dict[str, str]) -> None:
    """The layer, the file and both modes."""
    page = min((clone / "static").iterdir())
    page.chmod(0o755)
    found = _verify(clone, env, layout, expect=1).stdout.splitlines()[1]
    assert found.endswith(f"(files /srv/static): /srv/static/{page.name}: mode 0644 in the image, 0755 built now")


def test_what_differs_is_what_differs_when_unpacked(
    layout: Path, clone: Path, env: dict[str, str], tmp_path: Path
) -> None:
    """Each file, by umoci's unpacking of both images."""
    require("umoci")
    old, new = _downgrade(clone, env)
    page = min((clone / "static").iterdir())
    page.write_text("another page\n")
    page.chmod(0o755)
    (clone / "static" / "new.txt").write_text("new\n")
    hatchling_build(clone, env | {"PLATFORM": "linux/amd64"})
    done = run(sys.executable, "-m", "hatch_oci", "diff", layout, layout_of(clone), "--json", cwd=clone, env=env)
    changes = json.loads(done.stdout)["platforms"]["linux/amd64"]
    assert changes["packages"] == {"python idna": {"old": old, "new": new}}
    assert changes["configuration"].keys() <= {f"history[{n}].created_by" for n in range(30)}
    assert changes["files"][f"/srv/static/{page.name}"]["attributes"].keys() == {"mode", "size", "content"}
    told = {path: one["state"] for path, one in changes["files"].items() if one["attributes"].keys() != {"date"}}
    assert told == _unpacked_differences(layout, layout_of(clone), tmp_path)


def _verify(project: Path, env: dict[str, str], image: Path | str, expect: int = 0) -> Finished:
    return run(sys.executable, "-m", "hatch_oci", "verify", image, cwd=project, env=env, expect=expect)


def _digest(layout: Path) -> str:
    return str(read_top(layout)["digest"])


def _layers(layout: Path) -> list[dict[str, Any]]:
    record = json.loads(record_of(layout.parents[1]).read_text())
    layers: list[dict[str, Any]] = record["platforms"]["linux/amd64"]["layers"]
    assert [layer["digest"] for layer in layers] == read_image(layout).layer_digests
    return layers


def _downgrade(project: Path, env: dict[str, str]) -> tuple[str, str]:
    """Lock an older idna, with its hashes; answer its versions before and after."""
    lock = project / "requirements.txt"
    text = lock.read_text()
    block = re.search(r"(?m)^idna==(\S+) \\\n( +--hash=\S+( \\)?\n)+", text)
    assert block
    (project / "older.in").write_text(f"idna<{block[1]}\n")
    compiling = (sys.executable, "-m", "uv", "pip", "compile", "--no-deps", "--no-header", "--no-annotate")
    compiled = run(*compiling, "--generate-hashes", "older.in", cwd=project, env=env).stdout
    (project / "older.in").unlink()
    lock.write_text(text.replace(block[0], compiled))
    older = re.search(r"idna==(\S+)", compiled)
    assert older
    return block[1], older[1]


def _unpacked_differences(old: Path, new: Path, scratch: Path) -> dict[str, str]:
    trees = []
    for name, layout in (("old", old), ("new", new)):
        with containers.unpacked(layout, TAG, scratch / name) as bundle:
            trees.append(_list(bundle / "rootfs"))
    was, now = trees
    return {
        path: "changed" if path in was and path in now else "added" if path in now else "removed"
        for path in was.keys() | now.keys()
        if was.get(path) != now.get(path)
    }


def _list(root: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder) / name
            status = path.lstat()
            content: object = None
            if stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            elif stat.S_ISLNK(status.st_mode):
                content = path.readlink()
            found[f"/{path.relative_to(root)}"] = (status.st_mode, status.st_uid, status.st_gid, content)
    shutil.rmtree(root, ignore_errors=True)
    return found
