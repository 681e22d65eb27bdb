"""The result of a command, on the standard output."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from hatch_oci.errors import OCIError


def print_result(text: str) -> None:
    """Print it; an `OCIError` where that is not possible, unless whoever reads has read enough."""
    # Python has none where it is closed.
    if sys.stdout is None:
        message = "the standard output is closed"
        raise OCIError(message)
    try:
        # Whatever the terminal's encoding, a label of somebody's image must not end in a traceback.
        print(text.encode(sys.stdout.encoding, "backslashreplace").decode(sys.stdout.encoding), flush=True)
    except OSError as error:
        # Python would try once more at its end, and complain.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        message = f"cannot write to the standard output: {error.strerror or error}"
        raise OCIError(message) from error
