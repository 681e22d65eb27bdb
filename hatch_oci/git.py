"""What git says of a project's files, without starting what their repository names."""

from __future__ import annotations

from pathlib import Path

from hatch_oci.errors import ProgramError
from hatch_oci.program import run_program

_LONGEST = 30
"""Seconds that git may take."""

_MOST = 16 * 1024 * 1024
"""Bytes that it may answer with: more than 100,000 files."""


def git_status(folder: Path, *arguments: str) -> list[str] | None:
    """Return the entries of `git status -z` in `folder`, None without git, a repository, or an answer in time.

    What is only asked starts no program that shall watch the files, does not write the index anew, which would start a
    hook, and fetches nothing that a partial clone lacks, for which its configuration may name a program. (A filter of
    the files' content is started: without it they would not be what was committed.)
    """
    asking = ("git", "-C", str(folder), "--no-optional-locks", "-c", "core.fsmonitor=false")
    try:
        status, answer = run_program(
            [*asking, "status", "-z", *arguments], b"", _LONGEST, _MOST, variables={"GIT_ALLOW_PROTOCOL": ""}
        )
    except ProgramError:
        return None
    return answer.decode("utf-8", "replace").split("\0")[:-1] if status == 0 else None
