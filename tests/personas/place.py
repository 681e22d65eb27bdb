"""A persona that is up and running, a user's machine before it, and what must be true of every request."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_plus

import pytest
import trustme

from demo.base import digest
from hatch_oci.base.resolve import Base, fetch_layers, resolve
from hatch_oci.errors import OCIError
from hatch_oci.image.platform import Platform
from hatch_oci.registry.options import Patience, RegistryOptions
from hatch_oci.registry.remote import Remote
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore, StoredBlob
from tests.personas.persona import Persona
from tests.personas.service import Service
from tests.personas.world import PROXY, Proxy, Seen, inhabited

# What a developer's machine may have set and a test must not depend on.
_UNSET = [
    *("HATCH_OCI_REGISTRY", "HATCH_OCI_USER", "HATCH_OCI_AUTH", "HATCH_OCI_OFFLINE"),
    *("REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "XDG_CONFIG_HOME", "SSL_CERT_DIR"),
    *("ALL_PROXY", "NO_PROXY", "all_proxy", "no_proxy", "https_proxy", "http_proxy"),
]


@dataclass
class Place:
    """One world with one persona, and a user with a home and a cache."""

    service: Service
    world: Proxy
    home: Path
    options: RegistryOptions = field(default_factory=RegistryOptions)
    said: list[str] = field(default_factory=list)
    """Every line that the user may have read, also the most talkative ones."""

    warnings: list[str] = field(default_factory=list)
    secrets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Each secret of the user's, and the beginnings of the URLs that may see it."""

    @property
    def persona(self) -> Persona:
        return self.service.persona

    @property
    def auth_file(self) -> Path:
        return self.home / "docker" / "config.json"

    def log_in(self, password: str = "", *, identity: bool = False) -> None:
        """Put credentials into Docker's file: the right password, another one, or the identity token."""
        account = self.persona.account
        assert account
        secret = account.identity if identity else password or account.password
        pair = base64.b64encode(f"{account.user}:{'' if identity else secret}".encode()).decode()
        entry = {"auth": pair, "identitytoken": secret} if identity else {"auth": pair}
        key = self.persona.key or self.persona.host
        self.auth_file.write_text(json.dumps({"auths": {key: entry}}), encoding="utf-8")
        realms = (self.persona.realm,) if self.persona.realm else ()
        places = (*realms, f"{self.persona.origin}/v2/") if self.persona.basic else realms
        self.secrets |= dict.fromkeys((secret, pair), places)

    def pull(self, reference: str = "", platform: str = "linux/amd64") -> tuple[Base, tuple[StoredBlob, ...]]:
        """Pull with connections of its own into the user's cache."""

        def warn(line: str) -> None:
            self.warnings.append(line)
            self.said.append(line)

        reporter = Reporter(info=self.said.append, warn=warn, debug=self.said.append)
        store = BlobStore(self.home / "cache")
        patience = Patience(first_wait=0.01, longest_wait=0.02)
        with closing(Remote(self.options, reporter, patience)) as remote:
            text = reference or self.persona.reference
            base = resolve(text, Platform.parse(platform), Path(), store, remote)
            return base, fetch_layers(base, store, reporter)

    def pull_and_check(self, platform: str = "linux/amd64") -> None:
        """Pull, and see that what came is what the registry has."""
        base, layers = self.pull(platform=platform)
        content = self.persona.content
        assert (str(base.top_digest), str(base.digest)) == (content.top, content.manifest)
        assert tuple(str(layer.digest) for layer in base.layers) == content.layers
        assert tuple(digest(layer.path.read_bytes()) for layer in layers) == content.layers
        self.check_secrets()

    def refusal(self) -> str:
        """Pull in vain, and return the message for it."""
        with pytest.raises(OCIError) as caught:
            self.pull()
        self.said.append(str(caught.value))
        self.check_secrets()
        assert len(str(caught.value).splitlines()) <= 2
        return str(caught.value)

    def check_secrets(self) -> None:
        """See that no secret went or was shown where it has no business, and no cookie anywhere."""
        persona = self.persona
        tokens = {*self.service.tokens, *self.service.revoked}
        places = dict.fromkeys(tokens, (f"{persona.origin}/",)) | self.secrets
        for seen in self.world.log:
            text = _all_text(seen)
            for secret, allowed in places.items():
                assert secret not in text or seen.url.startswith(allowed), f"{secret} was sent to {seen.url}"
            assert not seen.header("Cookie"), f"{seen.url} got a cookie"
            assert not seen.header("Proxy-Authorization")
            if not seen.url.startswith(persona.origin) and seen.url.partition("?")[0] != persona.realm:
                assert not seen.header("Authorization"), f"{seen.url} got an Authorization"
            if seen.origin.startswith("http://"):
                assert persona.store, f"{seen.url} is plain http"
                assert (seen.origin, seen.method) == (persona.store.origin, "GET"), f"{seen.url} is plain http"
        for line in self.said:
            assert not any(secret in line for secret in places), line

    def asked(self, part: str = "", method: str = "", origin: str = "") -> list[Seen]:
        """Return the requests so far with this in their URL, without those for a tunnel."""
        return [
            seen
            for seen in self.world.log
            if part in seen.url and method in ("", seen.method) and origin in ("", seen.origin) and seen.origin != PROXY
        ]


@contextmanager
def visited(persona: Persona, authority: trustme.CA, folder: Path, environment: pytest.MonkeyPatch) -> Iterator[Place]:
    """Run a world with `persona`, and make this process's environment that of a user who reaches it."""
    service = Service(persona)
    with inhabited(authority, service) as world:
        world.registry.repositories[persona.repository] = persona.content.repository
        home = folder / persona.name
        (home / "docker").mkdir(parents=True)
        authority.cert_pem.write_to_path(str(home / "ca.pem"))
        for name in _UNSET:
            environment.delenv(name, raising=False)
        settings = {
            "HTTPS_PROXY": world.url,
            "HTTP_PROXY": world.url,
            "SSL_CERT_FILE": str(home / "ca.pem"),
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "DOCKER_CONFIG": str(home / "docker"),
            "HATCH_OCI_CACHE_DIR": str(home / "cache"),
        }
        for name, value in settings.items():
            environment.setenv(name, value)
        yield Place(service, world, home)


def _all_text(seen: Seen) -> str:
    """Return everything that a request says, with what is encoded in it also decoded."""
    texts = [seen.path, unquote_plus(seen.path), unquote_plus(seen.body.decode()), seen.body.decode()]
    for _, value in seen.headers:
        texts.append(value)
        if value.lower().startswith("basic "):
            texts.append(base64.b64decode(value[6:]).decode())
    return "\n".join(texts)
