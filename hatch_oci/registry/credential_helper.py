"""Docker's credential helpers: programs `docker-credential-NAME` that keep secrets (docker-login documentation)."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import BinaryIO, cast

from hatch_oci.errors import DocumentError, RegistryError
from hatch_oci.image.document import parse_json, printable

TOKEN_USER = "<token>"  # noqa: S105 - the name for a user who has an identity token instead
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_SECONDS = 60.0
"""A helper may ask its user to unlock something."""

_MAX_ANSWER = 64 * 1024
_NOT_FOUND = "credentials not found"


def ask_helper(name: str, server: str, seconds: float = _SECONDS) -> tuple[str, str] | None:
    """Return user and secret for a server from the helper `name`, None where it has none.

    A `RegistryError` where there is no such helper, or where it fails, hangs or answers nonsense.
    """
    if not _NAME.fullmatch(name):
        message = f"{printable(name)!r} is no name of a credential helper"
        raise RegistryError(message)
    program = shutil.which(f"docker-credential-{name}")
    if program is None:
        message = f"docker-credential-{name} is not installed"
        raise RegistryError(message)
    status, answer = _run(program, server, seconds)
    if status:
        if _NOT_FOUND in answer.decode("utf-8", "replace"):
            return None
        # Not what it said: that may be the secret.
        message = f"docker-credential-{name} failed with exit code {status}"
        raise RegistryError(message)
    try:
        document = parse_json(answer, f"docker-credential-{name}")
        return document.get("Username").text(), document.get("Secret").text()
    except DocumentError:
        message = f"docker-credential-{name} did not answer with Username and Secret"
        raise RegistryError(message) from None


def _run(program: str, server: str, seconds: float) -> tuple[int, bytes]:
    """Return a helper's exit code and what it printed."""
    try:
        # In a session of its own, so that what it started can be ended with it.
        process = subprocess.Popen(  # noqa: S603 - the user's own helper, without a shell
            [program, "get"],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        message = f"{program} cannot be run: {error.strerror or error}"
        raise RegistryError(message) from None
    end = time.monotonic() + seconds
    answer = _Answer(cast(BinaryIO, process.stdout))
    with process:
        try:
            # A helper may answer, or end, without having read its input.
            with suppress(BrokenPipeError), cast(BinaryIO, process.stdin) as sink:
                sink.write(server.encode())
            answer.wait(seconds)
            if len(answer.data) > _MAX_ANSWER:
                message = f"{program} answered with more than {_MAX_ANSWER} bytes"
                raise RegistryError(message)
            status = process.wait(max(end - time.monotonic(), 0)) if answer.is_whole else None
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _end(process)
    if status is None:
        message = f"{program} gave no answer in {seconds:g} s"
        raise RegistryError(message)
    return status, bytes(answer.data)


class _Answer:
    """What comes out of a pipe, read in a thread, since a daemon that a helper left behind may keep it open."""

    def __init__(self, pipe: BinaryIO) -> None:
        self.data = bytearray()
        self.is_whole = False
        self._pipe = pipe
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait for the end of it, or for more than there may be."""
        self._thread.join(seconds)
        self._left.set()

    def _read(self) -> None:
        with suppress(OSError, ValueError):
            while not self._left.is_set() and len(self.data) <= _MAX_ANSWER:
                chunk = self._pipe.read(_MAX_ANSWER)
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
