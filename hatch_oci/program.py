"""Programs of the user's, which are given something and answer: within a time and a size, and without a shell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import BinaryIO, cast

from hatch_oci.errors import ProgramError


def run_program(
    command: Sequence[str],
    text: bytes,
    seconds: float,
    most: int,
    *,
    shows_errors: bool = False,
    variables: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """Return a program's exit code and what it printed, of at most `most` bytes, when it was given `text` to read.

    What it writes to its standard error is shown only if it `shows_errors`; `variables` are added to its environment. A
    `ProgramError` where it cannot be run, answers too much, or takes longer than `seconds`.
    """
    program = command[0]
    try:
        # In a session of its own, so that what it started can be ended with it.
        process = subprocess.Popen(  # noqa: S603 - the user's own program
            list(command),
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if shows_errors else subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **(variables or {})},
        )
    except OSError as error:
        message = f"{program} cannot be run: {error.strerror or error}"
        raise ProgramError(message) from None
    end = time.monotonic() + seconds
    answer = _Answer(cast(BinaryIO, process.stdout), most)
    with process:
        try:
            # It may answer, or end, without having read its input.
            with suppress(BrokenPipeError), cast(BinaryIO, process.stdin) as sink:
                sink.write(text)
            answer.wait(seconds)
            if len(answer.data) > most:
                message = f"{program} answered with more than {most} bytes"
                raise ProgramError(message)
            status = process.wait(max(end - time.monotonic(), 0)) if answer.is_whole else None
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _end(process)
    if status is None:
        message = f"{program} gave no answer in {seconds:g} s"
        raise ProgramError(message)
    return status, bytes(answer.data)


class _Answer:
    """What comes out of a pipe, read in a thread, since a daemon that a program left behind may keep it open."""

    def __init__(self, pipe: BinaryIO, most: int) -> None:
        self.data = bytearray()
        self.is_whole = False
        self._pipe = pipe
        self._most = most
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait for the end of it, or for more than there may be."""
        self._thread.join(seconds)
        self._left.set()

    def _read(self) -> None:
        with suppress(OSError, ValueError):
            while not self._left.is_set() and len(self.data) <= self._most:
                chunk = self._pipe.read(self._most)
                if not chunk:
                    self.is_whole = True
                    return
                self.data += chunk


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
