"""What a user reads who made mistakes in the table, or chose a base that can't serve."""

from pathlib import Path

import pytest

from . import bases
from .conftest import Registry
from .projects import environment, hatchling_build, layout_of, record_of, set_table

pytestmark = pytest.mark.e2e

# A misspelt key, a wrong type, and a missing part of a table within.
MISTAKES = """
base-image = "127.0.0.1:9/never/asked"
prots = [8000]
user = 10001
copy = [{ from = "static" }]
"""
FIELDS = ("prots", "user", "copy")


@pytest.fixture
def broken(project: Path) -> Path:
    """Answer a copy of the example with three mistakes in its table."""
    set_table(project, MISTAKES)
    return project


def test_a_line_for_every_mistake(broken: Path, tmp_path: Path) -> None:
    """All three are told at once, each in a line that names the field, and without a traceback."""
    done = hatchling_build(broken, environment(tmp_path / "home"), expect=1)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 3, done.stderr
    for field in FIELDS:
        [line] = [line for line in lines if f"tool.hatch.build.targets.oci.{field}" in line]
        assert "Traceback" not in line
    assert any("prots" in line and "ports" in line for line in lines)
    assert not done.stdout.strip()


def test_nothing_is_written(broken: Path, tmp_path: Path) -> None:
    """Neither an image nor a record, and nobody was asked for the base."""
    hatchling_build(broken, environment(tmp_path / "home"), expect=1)
    assert not layout_of(broken).exists()
    assert not record_of(broken).exists()


def test_verbose_shows_where(broken: Path, tmp_path: Path) -> None:
    """With `-v`, which Hatch passes on as a variable, the lines come with a traceback."""
    done = hatchling_build(broken, environment(tmp_path / "home", HATCH_VERBOSE="1"), expect=1)
    assert "Traceback (most recent call last)" in done.stderr
    for field in FIELDS:
        assert f"tool.hatch.build.targets.oci.{field}" in done.stderr


def test_a_base_without_python(project: Path, env: dict[str, str], registry: Registry) -> None:
    """A wheel can't go there: the line says where Python was looked for, and how to help."""
    base = f"{registry.address}/{bases.SEED}:{bases.SEED_TAG}"
    done = hatchling_build(project, env | {"BASE_IMAGE": base}, expect=1)
    [line] = [line for line in done.stderr.splitlines() if "no Python found" in line]
    assert base in line
    for looked_in in bases.PATH.split(":"):
        assert looked_in in line
    assert 'python = "/' in line
    assert "Traceback" not in done.stderr
    assert not layout_of(project).exists()
