"""An image into a local engine: a Docker archive, streamed into `docker load` or `podman load`."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from typing import BinaryIO, cast

from hatch_oci.errors import OutputError
from hatch_oci.image.document import printable

ENGINES = ("docker", "podman")
_MAX_SAID = 64 * 1024


def load_archive(pieces: Iterable[bytes], engine: str | None) -> str:
    """Stream an archive into an engine, the first that is installed unless one is named; return which.

    An `OutputError` with the engine's own words where it does not take it.
    """
    name = next((name for name in ([engine] if engine else ENGINES) if shutil.which(name)), None)
    if name is None:
        message = f"{engine or ' or '.join(ENGINES)} is not installed"
        raise OutputError(message)
    # Not a pipe: it would fill up while nobody reads, and the engine wait for ever.
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - an engine that the user has, without a shell
            [name, "load"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log
        )
        # An engine that refuses goes away before the end.
        with process, suppress(BrokenPipeError), cast(BinaryIO, process.stdin) as sink:
            for piece in pieces:
                sink.write(piece)
        log.seek(0)
        said = log.read(_MAX_SAID).decode("utf-8", "replace")
    if process.returncode:
        words = " ".join(said.split()).removeprefix("Error: ")
        message = f"{name} load fails: {printable(words, 400) or f'exit code {process.returncode}'}"
        raise OutputError(message)
    return name
