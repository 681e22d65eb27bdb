"""Other Pythons of this machine, and venvs of them with the plugin."""

import os
import shutil
import sys
from pathlib import Path

from .projects import REPOSITORY
from .shell import run


def find_python(minor: str) -> Path | None:
    """Answer a Python of that minor: on PATH, beside the running one, or one of pyenv's."""
    name = f"python{minor}"
    on_path = shutil.which(name)
    # The folder of the running one: pyenv, uv and others keep one version beside the other.
    roots = [Path(sys.base_prefix).parent, Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")]
    elsewhere = [found for root in roots for found in sorted(root.glob(f"*{minor}*/bin/{name}"))]
    candidates = [Path(on_path)] if on_path else []
    return next((path for path in [*candidates, *elsewhere] if _works(path)), None)


def venv_with_plugin(python: Path, folder: Path) -> Path:
    """Make a venv of `python`, install this repository into it as a user would, and answer its Python."""
    run(python, "-m", "venv", folder)
    inside = folder / "bin" / "python"
    run(inside, "-m", "pip", "install", "--quiet", f"{REPOSITORY}[uv]", timeout=600)
    return inside


def _works(python: Path) -> bool:
    # A shim may stand for a version that isn't there; Debian's Python may come without venv.
    return run(python, "-c", "import ensurepip, venv", expect=None).code == 0
