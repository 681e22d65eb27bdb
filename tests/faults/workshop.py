"""Bases, projects and homes of the tests of hostile inputs, and the commands that are tried on them."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from demo.base import Image, Layer, digest, image
from tests.faults.trial import Trial
from tests.unit.bases import AMD64
from tests.unit.filesystems import Member, elf, file, glibc, link, tar_of
from tests.unit.layouts import write_layout
from tests.unit.locked import MAJOR, MINOR, NAME
from tests.unit.projects import PROJECT, TABLE

if TYPE_CHECKING:
    from tests.faults.conftest import Try

BASE = [
    *(link("lib", "usr/lib"), link("lib64", "usr/lib")),
    *(file("usr/lib/ld-linux-x86-64.so.2", b"loader"), file("usr/lib/libc.so.6", glibc("2.36"))),
    *(file(f"usr/local/bin/{NAME}", elf("/lib/ld-linux-x86-64.so.2")), link("usr/local/bin/python3", NAME)),
]
"""What a build looks for in a base with Python."""

SETTINGS = {"Env": ["PATH=/usr/local/bin:/usr/bin", f"PYTHON_VERSION={MAJOR}.{MINOR}.2"], "Cmd": ["python3"]}
LAST = gzip.compress(tar_of([file("etc/last")]), mtime=0)


def layer_of(blob: bytes) -> Layer:
    """Return a layer whose diff_id is that of what `blob` unpacks to."""
    return Layer(blob, digest(gzip.decompress(blob)))


def base_of(*layers: Layer) -> Image:
    """Return an image of these layers."""
    return image(layers, SETTINGS, AMD64)


@dataclass(frozen=True)
class Workshop:
    """A project in a folder, a user with a home and a cache, and what they type."""

    folder: Path
    attempt: Try
    env: dict[str, str]

    @classmethod
    def at(cls, folder: Path, attempt: Try) -> Workshop:
        (folder / "home").mkdir()
        (folder / "project").mkdir()
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "COVERAGE_PROCESS_START")}
        own = {"HOME": str(folder / "home"), "HATCH_OCI_CACHE_DIR": str(folder / "cache"), "TMPDIR": str(folder)}
        return cls(folder, attempt, kept | own)

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def inspect(self, reference: str, *options: str, deadline: float = 30) -> Trial:
        """Look into an image."""
        command = (sys.executable, "-m", "hatch_oci", "inspect", *options, reference)
        return self.attempt(*command, folder=self.project, env=self.env, deadline=deadline)

    def push(self, layout: str, repository: str, *options: str) -> Trial:
        """Push what lies in a layout."""
        command = (sys.executable, "-m", "hatch_oci", "push", *options, "--to", repository, layout)
        return self.attempt(*command, folder=self.project, env=self.env, deadline=30)

    def build(self, deadline: float = 30) -> Trial:
        """Build the project."""
        command = (sys.executable, "-m", "hatchling", "build", "-t", "oci")
        return self.attempt(*command, folder=self.project, env=self.env, deadline=deadline)

    def refuse_build(self, *words: str, deadline: float = 30) -> None:
        """See that a build is refused in a moment, and that nothing is made."""
        done = self.build(deadline)
        lines = done.said.splitlines(keepends=True)
        # Hatch prints errors as they are; what was told before is no part of them.
        error = "".join(line for line in lines if not line.startswith(("Fetching ", "Base ", "Layer ", "Warning: ")))
        replace(done, said=error).check_refusal(*words)
        left = [path.name for path in (self.project / "dist").glob("*")]
        assert not left, left
        assert not list(self.cache.glob("v1/incoming/*"))

    def write_project(self, table: str, more: str = "", needs: Sequence[str] = ()) -> None:
        """Write the project's file, with these lines in the target's table and below it."""
        needed = ", ".join(f'"{need}"' for need in needs)
        text = f"{PROJECT}dependencies = [{needed}]\n[{TABLE}]\n{table}\n{more}\n"
        (self.project / "pyproject.toml").write_text(text, "utf-8")

    def write_base(self, members: Sequence[Member] = BASE) -> None:
        """Write a base into the project, `oci:base`."""
        write_layout(self.project / "base", [base_of(layer_of(gzip.compress(tar_of(members))))])

    def write_files(self, files: Mapping[str, bytes | Callable[[Path], object]]) -> None:
        """Write files of the project, or let what is more than a file be made at its path."""
        for name, content in files.items():
            path = self.project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                content(path)


def in_pieces(*parts: tuple[bytes, int]) -> bytes:
    """Return a gzip stream, of a member for each part, which it repeats; no bomb is ever whole in memory."""
    packed = [(gzip.compress(part, 9), count) for part, count in parts]
    return b"".join(one * count for one, count in packed)
