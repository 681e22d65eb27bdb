"""The real `hatch`, which installs this plugin into a build environment of its own."""

import json
from pathlib import Path

import pytest

from .images import read_image
from .projects import TAG, hatch, layout_of, record_of
from .requirements import require
from .shell import run

pytestmark = pytest.mark.e2e


def test_build_and_clean(project: Path, env: dict[str, str]) -> None:
    """The image and its record appear, and both ways to clean remove them and nothing else."""
    require("skopeo", "umoci")
    others = [project / "dist" / name for name in ("notes.txt", "hello_service-1.0.0-py3-none-any.whl")]
    built = hatch(project, env, "build", "-t", "oci")
    assert layout_of(project).name in built.stderr
    _judge(project)
    for other in others:
        other.write_text("somebody else's")

    hatch(project, env, "clean", "-t", "oci")
    assert sorted((project / "dist").iterdir()) == sorted(others)

    hatch(project, env, "build", "-t", "oci")
    hatch(project, env, "build", "-t", "oci", "--clean-only")
    assert sorted((project / "dist").iterdir()) == sorted(others)


def test_what_a_global_hook_depends_on_is_installed(project: Path, env: dict[str, str]) -> None:
    """Hatch installs the dependencies of a hook of all targets, though only the wheel's build runs it."""
    (project / "hatch_build.py").write_text(HOOK)
    with (project / "pyproject.toml").open("a") as file:
        file.write('\n[tool.hatch.build.hooks.custom]\ndependencies = ["iniconfig"]\n')
    hatch(project, env, "build", "-t", "oci")
    assert (project / "hook.txt").read_text() == "iniconfig for wheel"


HOOK = """
import iniconfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        with open("hook.txt", "a") as file:
            file.write(f"{iniconfig.__name__} for {self.target_name}")
"""


def _judge(project: Path) -> None:
    image = read_image(layout_of(project))
    assert image.descriptor["digest"] in record_of(project).read_text()
    assert json.loads(record_of(project).read_text())
    inspected = run("skopeo", "--insecure-policy", "inspect", f"oci:{layout_of(project)}:{TAG}").stdout
    assert json.loads(inspected)["Digest"] == image.descriptor["digest"]
    assert [path.name for path in sorted((project / "dist").iterdir())] == [
        layout_of(project).name,
        record_of(project).name,
    ]
