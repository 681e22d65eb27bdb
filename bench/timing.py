"""One run, measured from outside: whole processes, as a user starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import BenchError

_LONGEST = 1000
_LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run, where, and with which variables besides those of this process."""

    arguments: Sequence[str | Path]
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """What some commands took, one after the other: wall seconds, and bytes of memory of the largest process."""

    seconds: float
    peak: int


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared."""

    commands: Sequence[Command]
    prepare: Callable[[], None] = lambda: None
    """Put everything as it was before the first run; this takes no time in the table."""

    def run(self) -> Run:
        """Prepare, then run the commands; what they took is added up."""
        self.prepare()
        # What earlier runs wrote goes to the disk on their account.
        os.sync()
        runs = [_measure(command) for command in self.commands]
        return Run(sum(run.seconds for run in runs), max(run.peak for run in runs))


def _measure(command: Command) -> Run:
    # Of the plugin's own variables only those that a case sets.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HATCH_OCI_")}
    with tempfile.NamedTemporaryFile(prefix="hatch-oci-bench-") as log:
        with subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", _LAUNCHER, log.name, *command.arguments],
            cwd=command.folder,
            env=inherited | dict(command.variables),
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as launched:
            try:
                output, _ = launched.communicate()
            except BaseException:
                # Whatever it has started has to stop, too, before its files are removed.
                os.killpg(launched.pid, signal.SIGKILL)
                raise
        if launched.returncode:
            message = f"{_LAUNCHER} fails with status {launched.returncode}"
            raise BenchError(message)
        result = json.loads(output)
        if result["status"]:
            said = " ".join(Path(log.name).read_text("utf-8", "replace").split())
            message = f"{' '.join(map(str, command.arguments))} fails ({result['status']}): {said[-_LONGEST:]}"
            raise BenchError(message)
    return Run(result["seconds"], result["peak"])
