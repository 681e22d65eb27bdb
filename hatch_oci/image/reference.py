"""References to images in registries, read as Docker reads them (distribution-spec, "Pulling manifests")."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hatch_oci.errors import DigestError, InvalidReference
from hatch_oci.image.digest import Digest

DOCKER_HUB = "docker.io"
HUB_HOSTS = (DOCKER_HUB, f"index.{DOCKER_HUB}", f"registry-1.{DOCKER_HUB}")
"""What users call Docker Hub."""

HTTPS_PORT = 443

_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
    r"|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?"
)
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_LONGEST_NAME = 255
_LONGEST_SHOWN = 300
# Anchored, so that it takes no longer the more slashes somebody else's name has.
_USER = re.compile(r"\A.*@(?=[^@]*[./])", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reference:
    """An image in a registry; at least one of `tag` and `digest` is set, and the digest decides."""

    registry: str
    repository: str
    tag: str | None
    digest: Digest | None

    def __str__(self) -> str:
        return f"{self.tagged}@{self.digest}" if self.digest else self.tagged

    @property
    def name(self) -> str:
        """Registry and repository, e.g. `docker.io/library/python`."""
        return f"{self.registry}/{self.repository}"

    @property
    def tagged(self) -> str:
        """The name, with the tag if there is one."""
        return f"{self.name}:{self.tag}" if self.tag else self.name

    @property
    def target(self) -> str:
        """What to ask a registry for: the digest, else the tag."""
        return str(self.digest or self.tag)

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read `[HOST[:PORT]/]NAME[:TAG][@DIGEST]`; anything else is an `InvalidReference`.

        The first component is a host if it has a `.` or a `:`, is `localhost` or in brackets; otherwise Docker
        Hub is meant, where a name of one part stands below `library/`. Without tag and digest the tag is `latest`.
        """
        rest, at, digest_text = text.partition("@")
        wrong = f"not an image reference: {shown(text)}"
        hint = "write it like python:3.13-slim or ghcr.io/acme/app:1.0"
        if _USER.search(text):
            message = f"{wrong}; {hint}, without a user"
            raise InvalidReference(message)
        try:
            digest = Digest.parse(digest_text) if at else None
        except DigestError as error:
            message = f"{wrong}: {error}"
            raise InvalidReference(message) from None
        host, repository = split_host(rest)
        repository, colon, tag = repository.partition(":")
        if colon and not is_tag(tag):
            message = f"{wrong}: the tag may hold letters, digits and ._- only"
            raise InvalidReference(message)
        if host == DOCKER_HUB and "/" not in repository:
            repository = f"library/{repository}"
        if not is_host(host) or not is_repository(repository):
            message = f"{wrong}; {hint}"
            raise InvalidReference(message)
        return cls(host, repository, tag or (None if digest else "latest"), digest)


def split_host(name: str) -> tuple[str, str]:
    """Split a name into the registry's host, Docker Hub's if it has none, and the rest."""
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first.lower() == "localhost"):
        return canonical_host(first), rest
    return DOCKER_HUB, name


def canonical_host(host: str) -> str:
    """Return the one spelling of a registry's host, `HOST[:PORT]`: in lower case, and Docker Hub's shortest name."""
    lower = host.lower()
    return DOCKER_HUB if lower in HUB_HOSTS else lower


def endpoint(host: str) -> tuple[str, int]:
    """Return name or address, without brackets, and port of a registry's host."""
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, str(HTTPS_PORT)
    return name.strip("[]").lower(), int(port)


def shown(text: str) -> str:
    """Return what a user wrote as it may stand in a message: in quotes, and without a user's name and password."""
    return repr(_USER.sub("", text)[:_LONGEST_SHOWN])


def is_host(text: str) -> bool:
    """Tell whether `text` is a registry's host, as a name or an address, with or without a port."""
    match = _HOST.fullmatch(text)
    return match is not None and (match[1] is None or 0 < int(match[1]) < 65536)


def is_repository(name: str) -> bool:
    """Tell whether `name` is a repository's name in the distribution-spec's sense."""
    return len(name) <= _LONGEST_NAME and _REPOSITORY.fullmatch(name) is not None


def is_tag(tag: str) -> bool:
    """Tell whether `tag` is a tag in the distribution-spec's sense."""
    return _TAG.fullmatch(tag) is not None
