"""Projects to be built, and the commands that do it, ours and hatchling's."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from bench.timing import Command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PYTHON_LINES = ('python = "/usr/local/bin/python3.11"', 'libc = "glibc 2.36"')
"""What is to be known of the Python of the bases; its version stands in their environment."""

_TEXT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "app"
version = "1"
requires-python = ">=3.11"
dependencies = [{dependencies}]

[tool.hatch.build.targets.oci]
{table}
"""


class Project:
    """A project named `app` in a folder, which has a cache of its own beside it."""

    def __init__(self, folder: Path, *table: str, dependencies: Sequence[str] = ()) -> None:
        """Write it, with these lines in the target's table."""
        self.folder = folder / "project"
        self.cache = folder / "cache"
        self.image = self.folder / "dist" / "app-1.oci"
        self._module = self.folder / "app" / "__main__.py"
        self._changes = 0
        self._module.parent.mkdir(parents=True)
        self.change()
        (self._module.parent / "__init__.py").touch()
        quoted = ", ".join(f'"{one}"' for one in dependencies)
        text = _TEXT.format(dependencies=quoted, table="\n".join(table))
        (self.folder / "pyproject.toml").write_text(text, "utf-8")

    def change(self) -> None:
        """Change a line of a module, to what it has not been before."""
        self._changes += 1
        self._module.write_text(f"def main():\n    print({self._changes})\n", "utf-8")

    def cached(self, digest: str) -> Path:
        """Return where the cache has a blob, if it has it."""
        return self.cache / "v1" / "blobs" / digest.replace(":", "/")

    def forget(self) -> None:
        """Remove what was built, and the cache."""
        self.clean()
        shutil.rmtree(self.cache, ignore_errors=True)

    def clean(self) -> None:
        """Remove what was built."""
        shutil.rmtree(self.folder / "dist", ignore_errors=True)

    def build(self, target: str = "oci") -> Command:
        """Return the command that builds a target, as Hatch's build environment would do it."""
        return self._python("hatchling", "build", "-t", target)

    def push(self) -> Command:
        """Return the command that builds the image and pushes it."""
        return self._python("hatch_oci", "push", "--build")

    def _python(self, *arguments: str) -> Command:
        return Command([sys.executable, "-m", *arguments], self.folder, {"HATCH_OCI_CACHE_DIR": str(self.cache)})
