"""Run a command the way a user would, and say all it said when it fails."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

# Where Debian keeps tools for administrators, which a user's PATH often lacks.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


class Finished(NamedTuple):
    """What a command said, and how it ended."""

    code: int
    stdout: str
    stderr: str


def run(
    *command: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    umask: int = -1,
    expect: int | None = 0,
    timeout: float = 300,
) -> Finished:
    """Run `command`; `env` replaces the environment, and another exit code than `expect` fails the test."""
    words = [str(word) for word in command]
    environment = dict(os.environ if env is None else env)
    environment["PATH"] = SEARCH_PATH
    done = subprocess.run(
        words,
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="backslashreplace",
        env=environment,
        cwd=cwd,
        umask=umask,
        timeout=timeout,
    )
    result = Finished(done.returncode, done.stdout, done.stderr)
    if expect is not None and result.code != expect:
        message = f"{' '.join(words)}\nexit code {result.code}\n{result.stdout}\n{result.stderr}"
        raise AssertionError(message)
    return result
