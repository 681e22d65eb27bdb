"""Which revision of its sources a project is built from."""

from __future__ import annotations

import os
from pathlib import Path

_LONGEST = 30
"""Seconds that git may take."""


def find_revision(root: Path, build_folder: Path) -> str | None:
    """Return the commit of git's that the project at `root` is, None where it is another than that, if it is any.

    What lies in `build_folder` is what builds write, and no source.
    """
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return None
    # Not above: who has no repository has no use for it.
    import subprocess

    left_out = [f":(exclude,literal){build_folder.relative_to(root)}"] if build_folder.is_relative_to(root) else []
    command = [
        "git",
        "-c",
        "core.fsmonitor=false",
        "status",
        "--porcelain=v2",
        "--branch",
        "--untracked-files=normal",
        "--",
        ":(top)",
        *left_out,
    ]
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and git as the user has it
            command,
            cwd=root,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            timeout=_LONGEST,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    commit = next((line.rpartition(" ")[2] for line in lines if line.startswith("# branch.oid ")), "")
    is_clean = done.returncode == 0 and all(line.startswith("#") for line in lines)
    return commit if is_clean and commit.isalnum() else None
