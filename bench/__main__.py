"""``python -m bench layers``: tell what a change of one dependency costs, as tables in Markdown."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.layers import report
from hatch_oci.errors import OCIError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the command line (default: the process's own); return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("what", choices=["layers"], help="what to measure")
    parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="hatch-oci-bench-") as folder:
            for line in report(Path(folder)):
                print(line, flush=True)
    except KeyboardInterrupt:
        return 130
    except OCIError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
