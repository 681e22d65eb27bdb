"""Which revision of its sources a project is built from."""

from __future__ import annotations

from pathlib import Path

_COMMIT = "# branch.oid "


def find_revision(root: Path, build_folder: Path) -> str | None:
    """Return the commit of git's that the project at `root` is, None where it is another than that, if it is any.

    What lies in `build_folder` is what builds write, and no source.
    """
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return None
    # Not above: who has no repository has no use for it.
    from hatch_oci.git import git_status

    left_out = [f":(exclude,literal){build_folder.relative_to(root)}"] if build_folder.is_relative_to(root) else []
    options = ("--porcelain=v2", "--branch", "--untracked-files=normal")
    entries = git_status(root, *options, "--", ":(top)", *left_out) or []
    commit = next((entry.removeprefix(_COMMIT) for entry in entries if entry.startswith(_COMMIT)), "")
    is_clean = all(entry.startswith("# ") for entry in entries)
    return commit if is_clean and commit.isalnum() else None
