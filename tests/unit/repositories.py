"""Repositories of git that tests make, and programs that these name."""

from __future__ import annotations

import subprocess
from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=me", "-c", "user.email=me@example.com", "-c", "init.defaultBranch=main")
    command = ["git", *who, "-c", "commit.gpgsign=false", "-c", "protocol.file.allow=always", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def committed(folder: Path) -> str:
    """Make a repository of a folder; return its commit."""
    (folder / "pyproject.toml").touch()
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all of it")
    return git(folder, "rev-parse", "HEAD")


def name_programs(folder: Path, trace: Path) -> None:
    """Have the repository at `folder` name a monitor and a hook, which leave a line in `trace` when they start."""
    hooks = Path(git(folder, "rev-parse", "--absolute-git-dir")) / "hooks"
    hook = hooks / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho started >>'{trace}'\nexit 1\n")
    hook.chmod(0o755)
    git(folder, "config", "core.fsmonitor", str(hook))
