"""Users: an htpasswd file that knows them, `skopeo login` that writes auth files, and a search for their secrets."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

import bcrypt

from .servers import Request
from .shell import Finished, run

USER, PASSWORD = "robot$builder", "correct horse/battery+staple="
# A message may be cut off within a secret, so its beginning counts.
ENOUGH = 24


def htpasswd(folder: Path) -> dict[str, object]:
    """Answer the `auth` of a docker-registry that knows the user by Basic."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "htpasswd"
    # Four rounds, the fewest there are: docker-registry computes them for every request.
    path.write_bytes(f"{USER}:".encode() + bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(rounds=4)) + b"\n")
    return {"htpasswd": {"realm": "the test's registry", "path": str(path)}}


def login(registry: str, authfile: Path | None, env: Mapping[str, str]) -> None:
    """Log in by skopeo, which asks the registry and writes `authfile`, else its own file below XDG_RUNTIME_DIR."""
    options: list[str | Path] = []
    if authfile is not None:
        authfile.parent.mkdir(parents=True, exist_ok=True)
        options = ["--authfile", authfile]
    run(
        "skopeo", "login", *options, "--tls-verify=false", "--username", USER, "--password", PASSWORD, registry, env=env
    )


def own_variables(registry: str) -> dict[str, str]:
    """Answer the plugin's own variables for a registry."""
    return {"HATCH_OCI_REGISTRY": registry, "HATCH_OCI_USER": USER, "HATCH_OCI_AUTH": PASSWORD}


def assert_no_secret_said(secrets: Iterable[str], done: Finished) -> None:
    """See that a command said none of them."""
    _assert_not_in(secrets, done.stdout, done.stderr)


def assert_no_secret_sent(secrets: Iterable[str], requests: Iterable[Request]) -> None:
    """See that none of them came with requests, neither did any other credential or cookie."""
    for request in requests:
        for name in ("Authorization", "Proxy-Authorization", "Cookie"):
            assert request.header(name) is None, f"{name} came with {request.method} {request.target}"
        _assert_not_in(secrets, request.text)


def assert_no_secret_kept(secrets: Iterable[str], folder: Path) -> None:
    """See that no file below `folder` holds any of them."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files, f"nothing is in {folder}"
    _assert_not_in(secrets, *(path.read_bytes().decode("latin-1") for path in files))


def _assert_not_in(secrets: Iterable[str], *texts: str) -> None:
    spelled = {way(secret) for secret in secrets for way in (str, quote, quote_plus)}
    for secret in {each[:ENOUGH] for each in spelled}:
        assert secret, "an empty secret is in every text"
        for text in texts:
            # Not `in`: pytest would print the rest of the secret.
            found = text.find(secret) != -1
            assert not found, f"a secret that begins with {secret[:8]!r} is in:\n{text[:4000]}"
