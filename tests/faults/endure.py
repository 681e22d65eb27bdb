"""`python -m tests.faults.endure PROJECT BUILDS BASE...`: build so often in one process, on each base in its turn.

It prints what the process holds after each base, as JSON: files that are open, threads, and bytes of memory.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
from pathlib import Path

from tests.faults.sample import builder_on, set_content


def main(project: Path, builds: int, bases: list[str]) -> None:
    """Build."""
    held = []
    for number in range(builds):
        base = bases[number * len(bases) // builds]
        set_content(project, number, 20_000)
        for _ in builder_on(project, base).build():
            pass
        if number == builds - 1 or bases[(number + 1) * len(bases) // builds] != base:
            held.append(_held())
    print(json.dumps(held))


def _held() -> dict[str, int]:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = len(list(Path("/proc/self/fd").iterdir()))
    return {"files": files, "threads": threading.active_count(), "memory": pages * os.sysconf("SC_PAGE_SIZE")}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
