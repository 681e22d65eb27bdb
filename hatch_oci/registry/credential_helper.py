"""Docker's credential helpers: programs `docker-credential-NAME` that keep secrets (docker-login documentation)."""

from __future__ import annotations

import re
import shutil

from hatch_oci.errors import DocumentError, ProgramError, RegistryError
from hatch_oci.image.document import parse_json, printable
from hatch_oci.program import run_program

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
    try:
        status, answer = run_program([program, "get"], server.encode(), seconds, _MAX_ANSWER)
    except ProgramError as error:
        raise RegistryError(str(error)) from None
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
