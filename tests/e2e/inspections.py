"""`python -m hatch_oci inspect`, as a user types it who wants to know why a pull fails."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .projects import REPOSITORY
from .shell import Finished, run

VERBOSE = ("-v", "-v", "-v")


def inspect(reference: str, env: Mapping[str, str], *options: str, expect: int = 0) -> Finished:
    """Inspect from the user's home, where no project is unless the test put one."""
    home = Path(env["HOME"])
    # Coverage, where it is measured, goes to the repository.
    env = {"COVERAGE_FILE": str(REPOSITORY / ".coverage"), **env}
    command = (sys.executable, "-m", "hatch_oci", "inspect", reference, *options)
    return run(*command, env=env, cwd=home, expect=expect)


def inspect_json(reference: str, env: Mapping[str, str], *options: str) -> dict[str, Any]:
    """Answer what is said to other programs."""
    document: dict[str, Any] = json.loads(inspect(reference, env, "--json", *options).stdout)
    return document


def error_of(reference: str, env: Mapping[str, str], *options: str) -> str:
    """Answer the one or two lines that a user reads when it fails, and see that they are no more than that."""
    done = inspect(reference, env, *options, expect=1)
    assert not done.stdout
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("Warning")]
    assert 1 <= len(lines) <= 2, done.stderr
    assert lines[0].startswith("Error: "), done.stderr
    return " ".join(lines)
