"""Credential helpers that tests write: real programs, found by the PATH."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Programs:
    """A folder of the PATH."""

    folder: Path

    def helper(self, name: str, script: str, interpreter: str = "/bin/sh") -> Path:
        """Write `docker-credential-NAME`, a script of the shell or of another interpreter."""
        program = self.folder / f"docker-credential-{name}"
        program.write_text(f"#!{interpreter}\n{script}\n")
        program.chmod(0o755)
        return program


def answering(username: str, secret: str) -> str:
    """Return a shell script that knows one user for every server."""
    return f"""cat >/dev/null; echo '{{"ServerURL": "x", "Username": "{username}", "Secret": "{secret}"}}'"""


def knowing(servers: str, username: str, secret: str) -> str:
    """Return a shell script that knows a user for the servers of a `case` pattern, and no others."""
    return (
        f'case "$(cat)" in {servers}) echo \'{{"Username": "{username}", "Secret": "{secret}"}}\' ;; '
        "*) echo credentials not found in native keychain; exit 1 ;; esac"
    )
