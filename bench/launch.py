"""``python launch.py LOG COMMAND...``: run a command; print its status, seconds and peak memory (in bytes) as JSON.

Linux counts what the starting process holds among what the started one has held. So this small process of its own
starts what is measured: the one that makes gigabytes of samples would be measured otherwise.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def main(log: str, command: list[str]) -> None:
    """Run the command, with what it prints going to `log`."""
    with Path(log).open("ab") as sink:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)  # noqa: S603
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    # Of the largest of the processes that it waited for, in KiB, but for macOS.
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"status": os.waitstatus_to_exitcode(status), "seconds": seconds, "peak": peak}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
