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
_HEEDED = (
    *("UV_INDEX", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX", "UV_OFFLINE"),
    *(
        "UV_KEYRING_PROVIDER",
        "UV_NATIVE_TLS",
        "UV_SYSTEM_CERTS",
        "UV_INSECURE_HOST",
        "UV_HTTP_TIMEOUT",
        "UV_CONFIG_FILE",
    ),
)
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
    # Neither the environment of Hatch's build nor what leads uv to another project is for it to see.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "VIRTUAL_ENV"))}
    environment |= settings() | {name: value for name, value in os.environ.items() if name == "UV_CACHE_DIR"}
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


def settings() -> dict[str, str]:
    """Return the variables that may change what uv answers: where its indexes are, and how they are reached."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(_HEEDED)}


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
