"""Which lock a project has, and how it is read, with uv itself."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from hatch_oci.errors import LockError
from hatch_oci.lock.find import AUTOMATIC, find_lock
from hatch_oci.lock.lockfile import Lock, read_lock
from hatch_oci.lock.needs import Wanted
from hatch_oci.lock.uv import run_uv
from hatch_oci.store.blobs import BlobStore
from tests.unit.facts import write_fact
from tests.unit.wheels import write_wheel

PROJECT = """\
[project]
name = "svc"
version = "1"
requires-python = ">=3.11"
dependencies = ["demo"]

[project.optional-dependencies]
web = ["demo>=1"]

[dependency-groups]
docs = ["demo"]

[tool.uv]
no-index = true
find-links = ["wheels"]
"""
PYLOCK = 'lock-version = "1.0"\ncreated-by = "x"\npackages = []\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project that uv can lock without a network."""
    root = tmp_path / "project"
    write_wheel(root / "wheels")
    (root / "pyproject.toml").write_text(PROJECT)
    return root


def locked(root: Path) -> Path:
    run_uv(["lock"], root, offline=True)
    return root / "uv.lock"


def read(path: Path, root: Path, store: BlobStore, wanted: Wanted | None = None) -> Lock:
    return read_lock(path, root, wanted or Wanted(), "3.12", store, offline=False)


def test_the_strongest_lock_is_found(tmp_path: Path) -> None:
    assert find_lock(tmp_path, "auto") is None
    for name in reversed(AUTOMATIC):
        (tmp_path / name).write_text("x==1 --hash=sha256:00\n")
        assert find_lock(tmp_path, "auto") == tmp_path / name


def test_requirements_without_hashes_are_no_lock(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("x==1\n")
    assert find_lock(tmp_path, "auto") is None


def test_a_path_is_taken_at_its_word(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks/pylock.web.toml").write_text(PYLOCK)
    assert find_lock(tmp_path, "locks/pylock.web.toml") == tmp_path / "locks/pylock.web.toml"
    with pytest.raises(LockError, match=r"^lock = 'nowhere': there is no such file$"):
        find_lock(tmp_path, "nowhere")


def test_a_lock_of_uv_is_read_with_its_hashes(project: Path, store: BlobStore) -> None:
    lock = read(locked(project), project, store)
    (package,) = lock.content.packages
    (wheel,) = package.wheels or ()
    content = (project / "wheels/demo-1.0-py3-none-any.whl").read_bytes()
    assert (lock.name, package.name, wheel.hashes["sha256"]) == ("uv.lock", "demo", hashlib.sha256(content).hexdigest())


def test_uv_is_not_asked_twice_for_the_same_lock(
    project: Path, store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = locked(project)
    first = read(path, project, store)
    # uv would stumble over it.
    monkeypatch.setenv("UV_CACHE_DIR", str(project / "pyproject.toml" / "cache"))
    with pytest.raises(LockError, match="uv lock fails"):
        locked(project)
    assert read(path, project, store) == first


def test_extras_and_groups_are_asked_of_uv(project: Path, store: BlobStore) -> None:
    path = locked(project)
    assert read(path, project, store, Wanted(("web",), ("docs",))).content.packages
    with pytest.raises(LockError, match=r"^uv export fails: Extra `nope` is not defined"):
        read(path, project, store, Wanted(("nope",)))


def test_a_stale_lock_of_uv_says_what_to_run(project: Path, store: BlobStore) -> None:
    path = locked(project)
    write_wheel(
        project / "wheels",
        filename="more-1.0-py3-none-any.whl",
        info="more-1.0.dist-info",
        metadata="Metadata-Version: 2.1\nName: more\nVersion: 1.0\n",
    )
    (project / "pyproject.toml").write_text(PROJECT.replace('["demo"]\n\n', '["demo", "more"]\n\n', 1))
    with pytest.raises(LockError, match=r"^uv\.lock is stale: run `uv lock`$"):
        read(path, project, store)


def test_a_member_of_a_workspace_has_its_lock(project: Path, store: BlobStore) -> None:
    member = project / "packages/member"
    member.mkdir(parents=True)
    (project / "pyproject.toml").write_text(PROJECT + '\n[tool.uv.workspace]\nmembers = ["packages/*"]\n')
    (member / "pyproject.toml").write_text('[project]\nname = "member"\nversion = "1"\nrequires-python = ">=3.11"\n')
    locked(project)
    assert find_lock(member, "auto") == project / "uv.lock"
    assert read(project / "uv.lock", member, store).content.packages == []


def test_hashed_requirements_pin_those_files_alone(project: Path, store: BlobStore) -> None:
    content = (project / "wheels/demo-1.0-py3-none-any.whl").read_bytes()
    path = project / "requirements.txt"
    path.write_text(
        f"# made by uv\ndemo==1.0 ; python_version > '3' \\\n  --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"
    )
    (package,) = read(path, project, store).content.packages
    assert [wheel.filename for wheel in package.wheels or ()] == ["demo-1.0-py3-none-any.whl"]
    path.write_text(f"demo==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(LockError, match=r"^requirements\.txt: no file of demo 1\.0 has one of its hashes$"):
        read(path, project, store)


@pytest.mark.parametrize("name", ["pyproject.toml", "uv.toml"])
def test_what_uv_made_of_requirements_is_not_kept_for_other_indexes(name: str, project: Path, store: BlobStore) -> None:
    paths = [write_wheel(project / folder, filename=f"demo-1.0-{folder}-none-any.whl") for folder in ("py3", "py2.py3")]
    hashes = " ".join(f"--hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in paths)
    (project / "requirements.txt").write_text(f"demo==1.0 {hashes}\n")
    for path in paths:
        table = "[tool.uv]\n" if name == "pyproject.toml" else ""
        (project / name).write_text(f'{table}no-index = true\nfind-links = ["{path.parent.name}"]\n')
        (package,) = read(project / "requirements.txt", project, store).content.packages
        assert [wheel.filename for wheel in package.wheels or ()] == [path.name]


def test_a_requirement_without_a_hash_is_named(project: Path, store: BlobStore) -> None:
    path = project / "requirements.txt"
    path.write_text(f"other==2 --hash=sha256:{'0' * 64}\ndemo==1.0\n")
    with pytest.raises(LockError, match=r"^requirements\.txt: demo has no hash: "):
        read(path, project, store)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lock-version", "is no lock: "),
        ('lock-version = "1.0"\n', "is no lock: Missing required value in 'created-by'"),
        ('lock-version = "9.0"\ncreated-by = "x"\npackages = []\n', "is no lock: pylock version 9.0 is not supported"),
        ("\xff", "is no lock: "),
    ],
)
def test_what_is_no_lock_is_refused(text: str, message: str, tmp_path: Path, store: BlobStore) -> None:
    path = tmp_path / "pylock.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(LockError) as caught:
        read(path, tmp_path, store)
    assert str(caught.value).startswith(f"pylock.toml {message}")


def test_an_extra_or_group_that_a_lock_lacks_is_named(tmp_path: Path, store: BlobStore) -> None:
    path = tmp_path / "pylock.toml"
    path.write_text('lock-version = "1.0"\ncreated-by = "x"\nextras = ["web"]\npackages = []\n')
    assert read(path, tmp_path, store, Wanted(("Web",))).extras == {"Web"}
    with pytest.raises(LockError, match=r"^pylock\.toml has no extra cli; it has: web$"):
        read(path, tmp_path, store, Wanted(("cli", "web")))
    with pytest.raises(LockError, match=r"^pylock\.toml has no dependency group docs; it has: none$"):
        read(path, tmp_path, store, Wanted((), ("docs",)))
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"x==1 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(LockError, match=r"requirements\.txt cannot tell extras and groups apart"):
        read(requirements, tmp_path, store, Wanted(("web",)))


def test_without_uv_it_is_said_how_to_get_it(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = locked(project)
    # A package of that name that finds no program, as where only some of it was installed.
    package = tmp_path / "empty/uv"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("def find_uv_bin():\n    raise FileNotFoundError\n")
    code = (
        "import sys, pathlib\n"
        "from hatch_oci.lock.lockfile import read_lock\n"
        "from hatch_oci.lock.needs import Wanted\n"
        "from hatch_oci.store.blobs import BlobStore\n"
        "path, root, cache = map(pathlib.Path, sys.argv[1:])\n"
        "try:\n"
        "    read_lock(path, root, Wanted(), '3.12', BlobStore(cache), offline=False)\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = [sys.executable, "-c", code, str(path), str(project), str(tmp_path / "cache2")]
    result = subprocess.run(arguments, check=False, capture_output=True, text=True)
    assert result.stdout == (
        'uv is needed to read this lock, and not installed: write dependencies = ["hatch-oci-image[uv]"]\n'
    )


def test_a_remembered_lock_of_another_shape_is_read_anew(project: Path, store: BlobStore) -> None:
    path = locked(project)
    first = read(path, project, store)
    (remembered,) = (store.folder / "facts/locks").iterdir()
    write_fact(remembered, b'{"not": "a text"}')
    assert read(path, project, store) == first
