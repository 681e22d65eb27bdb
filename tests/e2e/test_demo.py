"""The demonstration, which is the first thing that many do with this repository."""

import sys
from pathlib import Path

import pytest

from .projects import REPOSITORY, environment
from .requirements import missing, require, require_root
from .shell import Finished, run

pytestmark = pytest.mark.e2e

DEMO = (sys.executable, "-m", "demo")


@pytest.mark.usefixtures("package_index")
def test_it_shows_the_page_and_the_layers(tmp_path: Path) -> None:
    """It leaves nothing behind, neither in the repository nor among temporary files."""
    env = environment(tmp_path / "home")
    before = _files()
    done = _demonstrate(env)
    assert "<h1>Hello from a container</h1>" in done.stdout
    assert f"<dd>{sys.version.split()[0]}</dd>" in done.stdout
    assert "/static/style.css answers with" in done.stdout
    for layer in ("venv /app/.venv", "wheel msgspec", "wheels anyio, click, h11", "files /srv/static"):
        assert f"hatch-oci-image: {layer}" in done.stdout
    assert _files() == before
    assert not list(Path(env["TMPDIR"]).glob("hatch-oci-*"))


def test_without_a_network_it_says_what_it_needs(tmp_path: Path) -> None:
    require_root()
    require("unshare", "ip")
    if run("unshare", "--net", "ip", "link", "set", "lo", "up", expect=None).code != 0:
        missing("network namespaces")
    env = environment(tmp_path / "home", UV_HTTP_RETRIES="0")
    done = _demonstrate(env, "unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", expect=1)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("demo: hatch build -t oci ended with status ")
    assert "package index" in last
    assert "example_project/requirements.txt" in last


def _demonstrate(env: dict[str, str], *before: str, expect: int = 0) -> Finished:
    env = {key: value for key, value in env.items() if not key.startswith("COVERAGE_")}
    return run(*before, *DEMO, cwd=REPOSITORY, env=env, expect=expect, timeout=600)


def _files() -> set[Path]:
    example = REPOSITORY / "example_project"
    return {path for path in example.rglob("*") if "__pycache__" not in path.parts}
