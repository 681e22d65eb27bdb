"""Measure builds against other tools; print a table in Markdown, and another of how time grows with what there is.

By the plugin's own code, `python -m bench layers` tells what a change of one dependency costs, and
`python -m bench parts` what the time of the cases goes into.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import BenchError
from bench.layers import report
from bench.parts import parts
from bench.suite import NAMES, describe, measure
from hatch_oci.errors import OCIError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


_REPORTS = {"layers": report, "parts": parts}
"""What is no case."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the command line (default: the process's own); return the exit status."""
    options = _options(arguments)
    if options.list:
        print("\n".join(describe()))
        return 0
    # So that the registry is stopped and everything removed then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with tempfile.TemporaryDirectory(prefix="hatch-oci-bench-") as folder:
            for line in _measured(options, Path(folder)):
                print(line, flush=True)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (BenchError, OCIError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"bench: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="CASE", help="what to measure, in place of all; or `layers`, or `parts`"
    )
    parser.add_argument("--pairs", type=int, default=5, metavar="N", help="how often both are run (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the raw numbers")
    parser.add_argument("--list", action="store_true", help="tell which cases there are")
    options = parser.parse_args(arguments)
    is_report = len(options.names) == 1 and options.names[0] in _REPORTS
    unknown = [] if is_report else [name for name in options.names if name not in NAMES]
    if unknown:
        choices = f"{', '.join(NAMES)}; or {' or '.join(_REPORTS)} alone"
        parser.error(f"invalid choice: {unknown[0]!r} (choose from {choices})")
    if options.pairs < 1:
        parser.error("--pairs is at least 1")
    return options


def _measured(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    if len(options.names) == 1 and options.names[0] in _REPORTS:
        yield from _REPORTS[options.names[0]](folder)
        return
    if options.json:
        # Better now than in half an hour.
        options.json.touch()
    kept: list[dict[str, Any]] = []
    try:
        yield from measure(options.names or NAMES, options.pairs, folder, kept)
    finally:
        if options.json:
            machine = {"python": platform.python_version(), "machine": platform.machine(), "processors": os.cpu_count()}
            options.json.write_text(json.dumps({**machine, "cases": kept}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
