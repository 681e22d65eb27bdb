"""Where credentials for a registry come from: this plugin's variables, and the files and helpers of Docker and Podman.

The first place that has some wins: `HATCH_OCI_REGISTRY`, `HATCH_OCI_USER` and `HATCH_OCI_AUTH`;
`REGISTRY_AUTH_FILE`; `DOCKER_AUTH_CONFIG`; Docker's `config.json`; Podman's `auth.json` (docker-login documentation,
containers-auth.json(5)).
"""

from __future__ import annotations

import base64
import binascii
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hatch_oci.errors import DocumentError, RegistryError
from hatch_oci.image.document import Node, parse_json, printable
from hatch_oci.image.reference import DOCKER_HUB, HUB_HOSTS, canonical_host
from hatch_oci.registry.credential_helper import TOKEN_USER, ask_helper
from hatch_oci.regular import open_regular

REGISTRY_VARIABLE, USER_VARIABLE, SECRET_VARIABLE = _VARIABLES = (
    "HATCH_OCI_REGISTRY",
    "HATCH_OCI_USER",
    "HATCH_OCI_AUTH",
)
_MAX_FILE = 1024 * 1024
_HUB_SERVER = "https://index.docker.io/v1/"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a registry knows a user by; one of the secrets is set. Its `repr` holds none of them."""

    source: str
    """For messages: the variable, or the key and the file."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    """Gets tokens from the registry's token service (OAuth 2's refresh token)."""

    registry_token: str = field(default="", repr=False)
    """Is such a token itself."""

    @property
    def basic(self) -> str:
        """The value of an `Authorization` header with user and secret (RFC 7617)."""
        pair = f"{self.username or TOKEN_USER}:{self.password or self.identity_token}"
        return f"Basic {base64.b64encode(pair.encode('utf-8', 'surrogateescape')).decode('ascii')}"

    @property
    def secrets(self) -> frozenset[str]:
        """All that must never be shown."""
        encoded = self.basic.removeprefix("Basic ")
        return frozenset({self.password, self.identity_token, self.registry_token, encoded}) - {""}


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a search for credentials came to."""

    credential: Credential | None
    places: tuple[str, ...]
    """Where was looked, for messages."""

    problems: tuple[str, ...]
    """What went wrong on the way: files that cannot be read, helpers that failed."""


def find_credential(registry: str, repository: str, environ: Mapping[str, str] = os.environ) -> Lookup:
    """Look for credentials for a repository of a registry (`HOST[:PORT]`, Docker Hub's being `docker.io`).

    What is broken is noted, and passed over: a public image needs no credentials. A `RegistryError` only where this
    plugin's own variables are not all set.
    """
    problems: list[str] = []
    places: list[str] = []
    credential = _from_variables(registry, environ)
    if credential is None:
        if named := environ.get(REGISTRY_VARIABLE):
            places.append(f"{USER_VARIABLE} (which is for {printable(named)})")
        for place, raw in _documents(environ, problems):
            places.append(place)
            try:
                document = parse_json(raw, place)
                credential = _from_document(document, place, registry, repository, problems)
            except DocumentError as error:
                problems.append(str(error))
            if credential:
                break
    return Lookup(credential, tuple(places), tuple(problems))


def _from_variables(registry: str, environ: Mapping[str, str]) -> Credential | None:
    values = [environ.get(name, "") for name in _VARIABLES]
    if not any(values):
        return None
    missing = [name for name, value in zip(_VARIABLES, values, strict=True) if not value]
    if missing:
        message = f"{' and '.join(missing)} must be set, too: {', '.join(_VARIABLES)} go together"
        raise RegistryError(message)
    named, username, secret = values
    if canonical_host(_plain_key(named)) != registry:
        return None
    return _credential(f"{USER_VARIABLE} and {SECRET_VARIABLE}", username, secret)


def _documents(environ: Mapping[str, str], problems: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the places that exist, with their content, the strongest first."""
    if chosen := environ.get("REGISTRY_AUTH_FILE"):
        yield from _file(Path(chosen), problems)
    if text := environ.get("DOCKER_AUTH_CONFIG"):
        yield "DOCKER_AUTH_CONFIG", text.encode("utf-8", "surrogateescape")
    for path in auth_files(environ):
        yield from _file(path, problems)


def auth_files(environ: Mapping[str, str]) -> list[Path]:
    """Return where `docker login`, and `podman login` or `skopeo login`, write credentials, the strongest first."""
    home = None
    with suppress(RuntimeError):
        home = Path.home()
    docker, runtime, config = (environ.get(name) for name in ("DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"))
    podman = Path(runtime) / "containers/auth.json" if runtime else None
    if podman is None and sys.platform == "linux":
        # As for root, or in a container (containers-auth.json(5)).
        podman = Path(f"/run/containers/{os.getuid()}/auth.json")
    files = [
        Path(docker) / "config.json" if docker else home and home / ".docker/config.json",
        podman,
        Path(config) / "containers/auth.json" if config else home and home / ".config/containers/auth.json",
    ]
    return [file for file in files if file]


def _file(path: Path, problems: list[str]) -> Iterator[tuple[str, bytes]]:
    try:
        with open_regular(path) as file:
            raw = file.read(_MAX_FILE + 1)
    except FileNotFoundError:
        return
    except OSError as error:
        problems.append(f"cannot read {path}: {error.strerror or error}")
        return
    if len(raw) > _MAX_FILE:
        problems.append(f"{path} is larger than a file of credentials is")
        return
    yield str(path), raw


def _from_document(
    document: Node, place: str, registry: str, repository: str, problems: list[str]
) -> Credential | None:
    """Return the credentials that a file has: from the helper for the host, the one for all, or the file itself."""
    auths, helpers, store = (document.find(key) for key in ("auths", "credHelpers", "credsStore"))
    if place == "DOCKER_AUTH_CONFIG":
        # A variable of pipelines, not of this machine: its helpers are those of somewhere else.
        helpers = store = None
    # Docker files Hub's under a URL, Podman under its name.
    servers = (_HUB_SERVER, DOCKER_HUB) if registry == DOCKER_HUB else (registry,)
    named = [(f"credHelpers key {key}", helper) for key, helper in _matching(helpers, registry, "")]
    if store:
        named.append(("credsStore", store))
    for key, helper in named:
        try:
            asked = (ask_helper(helper.text(), server) for server in servers if helper.text())
            answer = next(filter(None, asked), None)
        except RegistryError as error:
            problems.append(f"{error} ({key} in {place})")
            continue
        if answer:
            return _credential(f"docker-credential-{helper.text()} ({key} in {place})", *answer)
    for key, entry in _matching(auths, registry, repository):
        if credential := _from_entry(entry, f"key {printable(key)} in {place}"):
            return credential
    return None


def _matching(table: Node | None, registry: str, repository: str) -> list[tuple[str, Node]]:
    """Return the entries for a repository, from that of the longest path down to that of the host."""
    if table is None:
        return []
    hosts = HUB_HOSTS if registry == DOCKER_HUB else (registry,)
    parts = repository.split("/") if repository else []
    paths = ["/".join(parts[:depth]) for depth in range(len(parts), 0, -1)]
    wanted = [*(f"{host}/{path}" for path in paths for host in hosts), *hosts]
    keys = {key: _plain_key(key) for key in table.table()}
    return [
        (key, node) for want in wanted for key, plain in keys.items() if plain == want and (node := table.find(key))
    ]


def _plain_key(key: str) -> str:
    """Return a key without the scheme and the version that old ones have: `https://index.docker.io/v1/`."""
    host, slash, path = key.removeprefix("https://").removeprefix("http://").rstrip("/").partition("/")
    return host.lower() + ("" if path in ("v1", "v2") else slash + path)


def _from_entry(entry: Node, source: str) -> Credential | None:
    texts = {
        key: node.text() if (node := entry.find(key)) else ""
        for key in ("auth", "username", "password", "identitytoken", "registrytoken")
    }
    username, password = texts["username"], texts["password"]
    if texts["auth"]:
        try:
            # Some tools leave the padding away, others pad the text itself with zeros.
            decoded = base64.b64decode(texts["auth"].strip() + "==").decode("utf-8").strip("\0")
        except (binascii.Error, ValueError):
            entry.fail("`auth` is not the base64 of USER:PASSWORD")
        username, colon, password = decoded.partition(":")
        if not colon:
            entry.fail("`auth` is not the base64 of USER:PASSWORD")
    if texts["identitytoken"]:
        return Credential(source, username, identity_token=texts["identitytoken"])
    if texts["registrytoken"]:
        return Credential(source, registry_token=texts["registrytoken"])
    # An empty entry only says that a helper knows more.
    return _credential(source, username, password) if username and password else None


def _credential(source: str, username: str, secret: str) -> Credential:
    if username == TOKEN_USER:
        return Credential(source, identity_token=secret)
    return Credential(source, username, secret)
