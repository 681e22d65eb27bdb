"""Git, asked: it starts nothing that a repository names, and no answer of it is waited for without end."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hatch_oci import git as asked
from hatch_oci.git import git_status
from tests.unit.repositories import committed, git, name_programs


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with another in it."""
    folders = [tmp_path / "inner", tmp_path / "outer"]
    for folder in folders:
        folder.mkdir()
        committed(folder)
    inner, outer = folders
    git(outer, "submodule", "add", str(inner), "inner")
    git(outer, "commit", "-q", "-m", "with another in it")
    return outer


def test_nothing_that_a_repository_names_is_started(repository: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for folder in (repository, repository / "inner"):
        name_programs(folder, trace)
        os.utime(folder / "pyproject.toml", (1, 1))
    assert git_status(repository) == []
    assert not trace.exists()
    # Who asks without care starts both, in both.
    git(repository, "status")
    assert trace.read_text().count("started") >= 4


def test_what_a_partial_clone_lacks_is_not_fetched(tmp_path: Path) -> None:
    committed(tmp_path)
    tree = git(tmp_path, "rev-parse", "HEAD^{tree}")
    (tmp_path / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    settings = {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": "ssh://example.com/app",
        "protocol.ssh.allow": "always",
        "core.sshCommand": "touch trace; false",
    }
    for key, value in settings.items():
        git(tmp_path, "config", key, value)
    assert git_status(tmp_path) is None
    assert not (tmp_path / "trace").exists()
    # Who asks without care starts it.
    with pytest.raises(subprocess.CalledProcessError):
        git(tmp_path, "status")
    assert (tmp_path / "trace").exists()


def test_files_are_told_by_their_very_names(repository: Path) -> None:
    (repository / "two\nlines").touch()
    assert git_status(repository, "--porcelain=v1") == ["?? two\nlines"]


@pytest.mark.parametrize("script", ["sleep 60", "yes", "echo fatal >&2; exit 128"])
def test_a_git_that_gives_no_answer_is_none(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "git"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(asked, "_LONGEST", 0.5)
    assert git_status(tmp_path) is None


def test_where_there_is_no_repository_it_is_none(tmp_path: Path) -> None:
    assert git_status(tmp_path) is None
