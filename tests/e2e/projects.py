"""Copies of the example project, built by the commands that a user types."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from .requirements import missing
from .shell import Finished, run

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "example_project"
NAME, VERSION, TAG = "hello_service", "1.0.0", "1.0.0"

# What a developer's shell, Hatch or pytest set must not reach the build.
FOREIGN = re.compile(
    r"HATCH_.*|XDG_.*|PYTEST_.*|COV_.*|PYTHON(PATH|HASHSEED|UTF8|COERCECLOCALE|VERBOSE)|TZ|LC_.*|LANG(UAGE)?"
    r"|VIRTUAL_ENV|SOURCE_DATE_EPOCH|BASE_IMAGE|FORCE_COLOR|CLICOLOR_FORCE|DOCKER_(AUTH_)?CONFIG|REGISTRY_AUTH_FILE|GITHUB_OUTPUT"
)


def copy_example(target: Path, *, umask: int = 0o022, mtime: int | None = None, backwards: bool = False) -> Path:
    """Copy the example as a clone under `umask` would lie there, its plugin being this repository."""
    target.mkdir(parents=True)
    # Creation order is the order in which many file systems list a folder.
    for source in sorted(_sources(EXAMPLE), reverse=backwards):
        copy = target / source.relative_to(EXAMPLE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())
        copy.chmod((0o777 if os.access(source, os.X_OK) else 0o666) & ~umask)
    project_file = target / "pyproject.toml"
    project_file.write_text(project_file.read_text().replace("{root:parent:uri}", REPOSITORY.as_uri()))
    for path in [target, *target.rglob("*")]:
        if path.is_dir():
            path.chmod(0o777 & ~umask)
        if mtime is not None:
            os.utime(path, (mtime, mtime))
    return target


def set_table(project: Path, table: str) -> None:
    """Make `table` the project's whole `[tool.hatch.build.targets.oci]`."""
    project_file = project / "pyproject.toml"
    sections = re.split(r"(?m)^(?=\[)", project_file.read_text())
    others = [section for section in sections if not re.match(r"\[+tool\.hatch\.build\.targets\.oci\b", section)]
    project_file.write_text(f"{''.join(others)}\n[tool.hatch.build.targets.oci]\n{table}")


def set_platforms(project: Path, *platforms: str) -> None:
    """Let a copy of the example be built for `platforms`."""
    project_file = project / "pyproject.toml"
    text, count = re.subn(r"(?m)^platforms = .*$", f"platforms = {list(platforms)}", project_file.read_text())
    assert count == 1
    project_file.write_text(text)


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Answer an environment with a home, caches and temporary files of its own, and with `variables`."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if not FOREIGN.fullmatch(key)}
    folders = {"HOME": home, "HATCH_OCI_CACHE_DIR": home / "cache", "TMPDIR": temporary}
    return kept | {key: str(folder) for key, folder in folders.items()} | variables


def without_proxies(env: Mapping[str, str]) -> dict[str, str]:
    """Answer an environment that reaches only this machine; what asks a package index may not take it."""
    return {key: value for key, value in env.items() if not re.fullmatch(r"(?i)(http|https|all|no)_proxy", key)}


def hatchling_build(
    project: Path,
    env: Mapping[str, str],
    *,
    python: Path | None = None,
    output: str = "dist",
    forms: Sequence[str] = (),
    umask: int = -1,
    expect: int = 0,
) -> Finished:
    """Build with `PYTHON -m hatchling`, by default this Python, which must have the plugin; `forms` are asked for."""
    if python is None:
        _require_plugin()
        # Coverage, where it is measured, goes to the repository and not into the project.
        env = {"COVERAGE_FILE": str(REPOSITORY / ".coverage"), **env}
    command = (
        python or sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        ":".join(["oci", *filter(None, [",".join(forms)])]),
        "-d",
        output,
    )
    return run(*command, cwd=project, env=env, umask=umask, expect=expect)


def hatch(project: Path, env: Mapping[str, str], *arguments: str) -> Finished:
    """Run the real `hatch` with `arguments` in the project; it makes the build environment on its own."""
    env = {key: value for key, value in env.items() if not key.startswith("COVERAGE_")}
    return run(sys.executable, "-m", "hatch", *arguments, cwd=project, env=env, timeout=600)


def layout_of(project: Path) -> Path:
    """Answer where the build puts the image."""
    return project / "dist" / f"{NAME}-{VERSION}.oci"


def record_of(project: Path) -> Path:
    """Answer where the build puts its record."""
    return project / "dist" / f"{NAME}-{VERSION}.oci.json"


def _sources(folder: Path) -> list[Path]:
    ignored = {"dist", "__pycache__"}
    return [path for path in folder.rglob("*") if path.is_file() and not ignored & set(path.parts)]


def _require_plugin() -> None:
    if not any(point.name == "oci-image" for point in entry_points(group="hatch")):
        missing("the plugin in this Python (pip install -e .)")
