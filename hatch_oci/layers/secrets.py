"""Files that people rarely mean to ship: told by their names, and keys by what they hold."""

from __future__ import annotations

from collections.abc import Iterable

from hatch_oci.layers.entry import Entry, Kind

_FOLDERS = frozenset({".git", ".hg", ".svn", ".ssh", ".gnupg"})
_FILES = frozenset(
    {
        *(".env", ".envrc", ".netrc", "_netrc", ".npmrc", ".pypirc", ".pgpass", ".my.cnf", ".htpasswd", ".dockercfg"),
        *(".git-credentials", ".vault-token", ".s3cfg", "application_default_credentials.json"),
        *("id_rsa", "id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"),
    }
)
_PLACES = (
    *("/.docker/config.json", "/containers/auth.json", "/.aws/credentials", "/.kube/config"),
    *("/.cargo/credentials.toml", "/.config/gh/hosts.yml"),
)
_SAMPLES = (".example", ".sample", ".template", ".dist")
"""Endings of an `.env.…` that is meant to be read."""

_KEY_FILES = (".pem", ".key")
_KEY = b"PRIVATE KEY-----"
"""The end of a line that begins a key (RFC 7468); certificates may stand before it."""

_READ = 64 * 1024


def find_secrets(entries: Iterable[Entry], below: str) -> list[str]:
    """Return the paths, relative to the folder `below`, of what looks secret; of a folder's content, the folder."""
    start = len(below) + 1 if below else 0
    found = (_secret(entry, entry.path[start:]) for entry in entries)
    return list(dict.fromkeys(filter(None, found)))


def _secret(entry: Entry, path: str) -> str | None:
    parts = path.split("/")
    name = parts[-1]
    if not _FOLDERS.isdisjoint(parts):
        depth = next(number for number, part in enumerate(parts, 1) if part in _FOLDERS)
        # A file by that name, as a work tree of git has, only says where the folder is.
        return "/".join(parts[:depth]) if depth < len(parts) else None
    if entry.kind is Kind.FOLDER:
        return None
    is_env = name.startswith(".env.") and not name.endswith(_SAMPLES)
    if name in _FILES or is_env or f"/{path}".endswith(_PLACES) or (name.endswith(_KEY_FILES) and _is_key(entry)):
        return path
    return None


def _is_key(entry: Entry) -> bool:
    return entry.content is not None and _KEY in next(iter(entry.content()), b"")[:_READ]
