"""`python -m fuzz [PARSER]… [--seconds N] [--keep]`: fuzz parsers one after the other, from the kept corpus on.

What breaks one is left in `fuzz-findings`. `--keep` makes the corpus anew: of what it was and what was found now, the
smallest inputs that reach every branch that was reached.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from fuzz.parsers import CORPUS, PARSERS

_FINDINGS = Path("fuzz-findings")
_LIMITS = ("-max_len=4096", "-timeout=10", "-rss_limit_mb=1024")
"""Bytes of an input, seconds and MiB that it may take."""


def main() -> int:
    """Print a row for each parser; return 1 if one of them broke."""
    arguments = argparse.ArgumentParser(prog="python -m fuzz", description="fuzz parsers, with coverage as a guide")
    arguments.add_argument("parsers", nargs="*", metavar="PARSER", help=f"one of: {', '.join(PARSERS)}")
    arguments.add_argument("--seconds", type=int, default=60, help="for each of them")
    arguments.add_argument("--keep", action="store_true", help="keep what was found in tests/corpus")
    options = arguments.parse_args()
    if unknown := set(options.parsers) - set(PARSERS):
        arguments.error(f"no parser: {', '.join(sorted(unknown))}")
    _FINDINGS.mkdir(exist_ok=True)
    print("| Parser | Executions | Outcome |\n|---|---|---|", flush=True)
    outcomes = [_fuzz(name, options.seconds, keep=options.keep) for name in options.parsers or PARSERS]
    return 0 if all(outcomes) else 1


def _fuzz(name: str, seconds: int, *, keep: bool) -> bool:
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="hatch-oci-fuzz-") as folder:
        found, least = Path(folder, "found"), Path(folder, "least")
        found.mkdir()
        least.mkdir()
        limits = (*_LIMITS, f"-artifact_prefix={_FINDINGS}/{name}-")
        code, said = _target(name, f"-max_total_time={seconds}", "-print_final_stats=1", *limits, found, corpus)
        executions = re.search(r"number_of_executed_units: (\d+)", said)
        print(f"| {name} | {executions[1] if executions else '?'} | {'broke' if code else 'passed'} |", flush=True)
        if code:
            print(said[-4000:], file=sys.stderr)
        elif keep:
            _target(name, "-merge=1", "-use_counters=0", *limits, least, corpus, found)
            for old in corpus.iterdir():
                old.unlink()
            for new in least.iterdir():
                (corpus / new.name).write_bytes(new.read_bytes())
    return code == 0


def _target(name: str, *arguments: str | Path) -> tuple[int, str]:
    """Run libFuzzer; return its exit code and what it said."""
    command = [sys.executable, "-m", "fuzz.target", name, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)  # noqa: S603
    return done.returncode, done.stdout.decode("utf-8", "replace")


if __name__ == "__main__":
    sys.exit(main())
