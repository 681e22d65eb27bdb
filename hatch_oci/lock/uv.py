"""uv, asked to turn its own lock, or a hashed requirements.txt, into the standard form (PEP 751)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hatch_oci.errors import LockError

_SECONDS = 300.0
_LONGEST = 600
_DATE = "1580601600"
"""2020-02-02, Hatch's own reproducible date."""


def run_uv(arguments: Sequence[str], folder: Path, *, offline: bool) -> str:
    """Run uv in a folder; return what it prints. A `LockError` with uv's own words where it fails."""
    command = [
        _find_uv(),
        *arguments,
        # What a build says is wanted where it fails.
        *(["--quiet"] if arguments[0] != "build" else []),
        "--no-progress",
        "--color",
        "never",
        *(["--offline"] if offline else []),
    ]
    # The environment of Hatch's build is nothing that uv should look at.
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    # It fetches a Python of the image's version otherwise, which nothing here would run.
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    # Wheels that are built hold this date, not today's.
    environment.setdefault("SOURCE_DATE_EPOCH", _DATE)
    try:
        result = subprocess.run(  # noqa: S603 - uv, without a shell
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = f"uv {arguments[0]} gave no answer in {_SECONDS:g} s"
        raise LockError(message) from None
    if result.returncode:
        said = " ".join(result.stderr.decode("utf-8", "replace").split())
        message = f"uv {arguments[0]} fails: {_shortened(said.removeprefix('error: '))}"
        raise LockError(message)
    return result.stdout.decode("utf-8")


def _shortened(text: str) -> str:
    """Return what uv says first and last: what it could not do, and what a build said before it broke off."""
    text = text.partition(" hint: Build failures usually")[0]
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 3]} … {text[-_LONGEST * 2 // 3 :]}"


def _find_uv() -> str:
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        pass
    if found := shutil.which("uv"):
        return found
    message = 'uv is needed to read this lock, and not installed: write dependencies = ["hatch-oci-image[uv]"]'
    raise LockError(message)
