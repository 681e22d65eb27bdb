"""One try of a command as a user starts it, with what it said, how long it took, and how much memory."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.projects import REPOSITORY

_LAUNCHER = REPOSITORY / "bench" / "launch.py"
MOST_MEMORY = 128 * 1024 * 1024
"""Bytes that no refusal may take."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How a command ended."""

    code: int
    said: str
    """What it printed, in the order in which it came."""

    seconds: float
    peak: int
    """Bytes of memory of its largest process."""

    def check_refusal(self, *words: str) -> None:
        """See that it refused, cheaply and in a line or two of plain text which hold all `words`."""
        assert self.code == 1, f"exit code {self.code}: {self.said}"
        assert "Traceback" not in self.said, self.said
        error = self.said.rpartition("Error: ")[2] if "Error: " in self.said else self.said
        lines = error.strip().splitlines()
        assert 1 <= len(lines) <= 2, self.said
        assert not re.search(r"[^\n\t\x20-\x7e\xa0-\uffff]", self.said), ascii(self.said)
        missing = [word for word in words if word not in error]
        assert not missing, f"{missing} not in: {error}"
        assert self.peak < MOST_MEMORY, f"{self.peak >> 20} MiB"


def run_trial(*command: str | Path, folder: Path, env: Mapping[str, str], deadline: float = 60) -> Trial:
    """Run a command in `folder` with nothing but `env`; it is killed, and the test fails, after `deadline` seconds."""
    with tempfile.NamedTemporaryFile(prefix="hatch-oci-trial-") as log:
        with subprocess.Popen(
            [sys.executable, "-I", "-S", _LAUNCHER, log.name, *command],
            cwd=folder,
            # Measured for coverage, it would write into its folder, and take more memory.
            env={name: value for name, value in env.items() if not name.startswith("COVERAGE_")},
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as launched:
            try:
                output, _ = launched.communicate(timeout=deadline)
            except BaseException:
                os.killpg(launched.pid, signal.SIGKILL)
                raise
        result = json.loads(output)
        said = Path(log.name).read_text("utf-8", "backslashreplace")
    return Trial(result["status"], said, result["seconds"], result["peak"])
