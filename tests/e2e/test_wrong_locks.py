"""What a user reads whose lock can't serve: a line for each thing that is wrong, and no image."""

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ..unit.wheels import write_wheel
from .conftest import Registry
from .projects import environment, hatchling_build
from .shell import run

pytestmark = pytest.mark.e2e

# A lock of wheels that uv finds in a folder needs no network.
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "svc"
version = "1"
requires-python = ">=3.11"
dependencies = ["demo"]

[project.optional-dependencies]
web = []

[tool.hatch.build.targets.wheel]
packages = ["svc"]

[tool.uv]
no-index = true
find-links = ["wheels"]

[tool.hatch.build.targets.oci]
base-image = "{env:BASE_IMAGE}"
"""

HASH = "0" * 64
DEMO = "demo-1.0-py3-none-any.whl"
# Nobody asks for these: what is wrong is told before anything is fetched.
URL = "https://files.example.com"


@pytest.fixture
def env(tmp_path: Path, registry: Registry, shared_cache: Path) -> dict[str, str]:
    """Answer an environment in which the project builds on the OCI form of the base, without a package index."""
    return environment(tmp_path / "home", BASE_IMAGE=registry.base("oci"), HATCH_OCI_CACHE_DIR=str(shared_cache))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Answer a small project that depends on one package."""
    root = tmp_path / "svc"
    write_wheel(root / "wheels")
    (root / "svc").mkdir()
    (root / "svc" / "__init__.py").write_text("")
    (root / "svc" / "__main__.py").write_text("import demo\n")
    (root / "pyproject.toml").write_text(PROJECT)
    return root


def test_a_right_lock_serves(project: Path, env: dict[str, str]) -> None:
    """The project of these tests is no mistake by itself, neither with uv's lock nor with the standard's."""
    _uv_lock(project, env)
    hatchling_build(project, env)
    (project / "uv.lock").unlink()
    wheel = project / "wheels" / DEMO
    _write_pylock(project, _demo({"path": f"wheels/{DEMO}", "hashes": {"sha256": _sha256(wheel)}}))
    hatchling_build(project, env)


def test_an_extra_that_the_project_does_not_have(project: Path, env: dict[str, str]) -> None:
    _set(project, 'extras = ["wbe"]')
    _uv_lock(project, env)
    line = _error(project, env)
    assert "tool.hatch.build.targets.oci.extras" in line
    assert "wbe" in line


def test_an_extra_that_the_lock_does_not_have(project: Path, env: dict[str, str]) -> None:
    """The project has got it since."""
    _set(project, 'extras = ["web"]')
    _write_pylock(project, _demo({"url": f"{URL}/{DEMO}"}), extras=["docs"])
    line = _error(project, env)
    assert "pylock.toml has no extra web" in line
    assert "docs" in line


def test_a_stale_lock(project: Path, env: dict[str, str]) -> None:
    """The project wants more than it did when its lock was made."""
    _uv_lock(project, env)
    write_wheel(
        project / "wheels",
        {"other/__init__.py": b""},
        filename="other-1.0-py3-none-any.whl",
        info="other-1.0.dist-info",
        metadata="Metadata-Version: 2.1\nName: other\nVersion: 1.0\n",
    )
    file = project / "pyproject.toml"
    file.write_text(file.read_text().replace('["demo"]', '["demo", "other"]'))
    line = _error(project, env)
    assert "uv.lock is stale" in line
    assert "`uv lock`" in line


def test_a_package_that_is_not_in_the_lock(project: Path, env: dict[str, str]) -> None:
    _write_pylock(project)
    line = _error(project, env)
    assert "the project requires demo" in line
    assert "not in pylock.toml" in line


def test_no_wheel_for_the_platform(project: Path, env: dict[str, str]) -> None:
    """The line names what there is, the nearest first."""
    names = [f"demo-1.0-py3-none-{tag}.whl" for tag in ("win_amd64", "macosx_11_0_arm64", "manylinux_2_17_aarch64")]
    _write_pylock(project, _demo(*({"url": f"{URL}/{name}"} for name in names)))
    line = _error(project, env)
    assert line.startswith("demo 1.0 has no wheel for linux/amd64")
    assert "the lock offers 3: manylinux_2_17_aarch64, " in line


def test_a_hash_that_is_wrong(project: Path, env: dict[str, str]) -> None:
    _write_pylock(project, _demo({"path": f"wheels/{DEMO}"}))
    line = _error(project, env)
    assert DEMO in line
    assert f"sha256:{HASH}" in line


def test_nothing_but_a_source_distribution(project: Path, env: dict[str, str]) -> None:
    _write_pylock(project, {"name": "demo", "version": "1.0", "sdist": _file({"url": f"{URL}/demo-1.0.tar.gz"})})
    line = _error(project, env)
    assert "demo 1.0 has no wheel" in line
    assert 'allow-sdist = ["demo"]' in line


def test_a_wheel_whose_own_requirement_is_not_met(project: Path, env: dict[str, str]) -> None:
    metadata = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Dist: other>=2\n"
    wheel = write_wheel(project / "wheels", metadata=metadata)
    _write_pylock(project, _demo({"path": f"wheels/{DEMO}", "hashes": {"sha256": _sha256(wheel)}}))
    line = _error(project, env)
    assert "demo 1.0 requires other>=2" in line
    assert "not in pylock.toml" in line


def test_a_base_with_another_c_library(project: Path, env: dict[str, str]) -> None:
    _set(project, 'libc = "musl 1.2"')
    _write_pylock(project, _demo({"url": f"{URL}/demo-1.0-py3-none-manylinux_2_17_x86_64.whl"}))
    line = _error(project, env)
    assert "demo 1.0 has no wheel for linux/amd64" in line
    assert "musl 1.2" in line
    assert "manylinux_2_17_x86_64" in line


def test_a_base_with_too_old_a_c_library(project: Path, env: dict[str, str]) -> None:
    _set(project, 'libc = "glibc 2.17"')
    _write_pylock(project, _demo({"url": f"{URL}/demo-1.0-py3-none-manylinux_2_28_x86_64.whl"}))
    assert _error(project, env) == "demo 1.0 needs glibc ≥ 2.28, the base has 2.17"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"vcs": {"type": "git", "url": f"{URL}/demo.git", "commit-id": "0" * 40}}, "version control"),
        ({"archive": {"path": "demo.tar.gz", "hashes": {"sha256": HASH}}}, "archive"),
    ],
    ids=["vcs", "archive"],
)
def test_a_package_without_a_release(source: Mapping[str, Any], told: str, project: Path, env: dict[str, str]) -> None:
    """Nothing pins what comes of it."""
    _write_pylock(project, {"name": "demo", **source})
    line = _error(project, env)
    assert "demo" in line
    assert told in line


def test_a_folder_that_is_not_there(project: Path, env: dict[str, str]) -> None:
    """A folder may belong to the workspace, if it is there."""
    _write_pylock(project, {"name": "demo", "directory": {"path": "../other"}})
    line = _error(project, env)
    assert "pylock.toml" in line
    assert "demo" in line
    assert "../other" in line


def test_a_lock_for_another_platform(project: Path, env: dict[str, str]) -> None:
    """Hatch's own locker, for one, looks at the machine on which it runs."""
    _write_pylock(project, _demo({"url": f"{URL}/{DEMO}"}), environments=["sys_platform == 'darwin'"])
    line = _error(project, env)
    assert "pylock.toml was made for" in line
    assert "darwin" in line
    assert "linux/amd64" in line


def test_all_packages_are_told_at_once(project: Path, env: dict[str, str]) -> None:
    """A line each."""
    other = {"name": "other", "version": "2", "wheels": [_file({"url": f"{URL}/other-2-py3-none-win32.whl"})]}
    _write_pylock(project, _demo({"url": f"{URL}/demo-1.0-py3-none-win32.whl"}), other)
    lines = _errors(project, env)
    assert [line.split()[0] for line in lines] == ["demo", "other"]


def _error(project: Path, env: Mapping[str, str]) -> str:
    lines = _errors(project, env)
    assert len(lines) == 1, lines
    return lines[0]


def _errors(project: Path, env: Mapping[str, str]) -> Sequence[str]:
    """Let the build fail, and answer all that it says, what it is doing apart."""
    done = hatchling_build(project, {**env, "HATCH_QUIET": "1"}, expect=1)
    assert "Traceback" not in done.stderr
    assert not done.stdout.strip()
    assert not list((project / "dist").glob("*"))
    return done.stderr.splitlines()


def _set(project: Path, text: str) -> None:
    with (project / "pyproject.toml").open("a") as file:
        file.write(f"{text}\n")


def _uv_lock(project: Path, env: Mapping[str, str]) -> None:
    run(sys.executable, "-m", "uv", "lock", "--quiet", cwd=project, env=env)
    shutil.rmtree(project / ".venv", ignore_errors=True)


def _demo(*wheels: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": "demo", "version": "1.0", "wheels": [_file(wheel) for wheel in wheels]}


def _file(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"hashes": {"sha256": HASH}, **fields}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_pylock(project: Path, *packages: Mapping[str, Any], **fields: Any) -> None:
    document = {"lock-version": "1.0", "created-by": "a test", **fields, "packages": list(packages)}
    (project / "pylock.toml").write_text("".join(f"{key} = {_toml(value)}\n" for key, value in document.items()))


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_toml(part)}' for key, part in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)
