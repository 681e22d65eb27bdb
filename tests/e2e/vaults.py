"""docker-registry as the big ones are: TLS, Bearer tokens, and blobs from a store elsewhere."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from .certificates import Authority
from .logins import PASSWORD, USER
from .proxies import Proxy, serve_proxy
from .registries import requests_of, serve
from .samples import PRIVATE, PUBLIC, TAG
from .stores import Store, serve_store
from .tokens import ANONYMOUS, TokenService, basic, serve_tokens


class Vault(NamedTuple):
    """A registry whose private image the user may pull, with all that belongs to it."""

    address: str
    authority: Authority
    tokens: TokenService
    store: Store
    scratch: Path

    @property
    def private(self) -> str:
        """Answer the reference of the image that takes a password."""
        return f"{self.address}/{PRIVATE}:{TAG}"

    @property
    def public(self) -> str:
        """Answer the reference of the image that takes an anonymous token."""
        return f"{self.address}/{PUBLIC}:{TAG}"

    @property
    def credentials(self) -> list[str]:
        """Answer what only registry and token service may see."""
        return [PASSWORD, basic(USER, PASSWORD), *self.tokens.issued, *self.tokens.identity_tokens]

    @property
    def secrets(self) -> list[str]:
        """Answer all that must be neither said nor kept."""
        return [*self.credentials, *self.store.signatures]

    @property
    def requests(self) -> list[str]:
        """Answer what the registry itself was asked, in order."""
        return requests_of(self.scratch)


def users(*repositories: str) -> TokenService:
    """Answer a token service where the user may pull `repositories`, and everybody the public sample."""
    return TokenService({USER: PASSWORD}, {USER: repositories or (PRIVATE,), ANONYMOUS: (PUBLIC,)})


@contextmanager
def serve_vault(storage: Path, scratch: Path, tokens: TokenService, *, redirect: bool = True) -> Iterator[Vault]:
    """Serve `storage`: registry and token service by https, the store by http."""
    authority = Authority(scratch / "certificates")
    with ExitStack() as stack:
        store = stack.enter_context(serve_store(Store(storage)))
        stack.enter_context(serve_tokens(tokens, authority.context()))
        middleware = {"middleware": store.section()} if redirect else {}
        sections = {"auth": tokens.section(scratch), **middleware}
        address = stack.enter_context(serve(storage, scratch, tls=authority.section(), **sections))
        yield Vault(address, authority, tokens, store, scratch)


@contextmanager
def serve_world(
    storage: Path, scratch: Path, tokens: TokenService, auth: str = "auth.example.com"
) -> Iterator[tuple[Vault, Proxy]]:
    """Serve the same under names of the world, the token service's being `auth`, to those who use the proxy."""
    registry, hop, host = "registry.example.com", "hop.example.net", "store.example.net"
    authority = Authority(scratch / "certificates")
    with ExitStack() as stack:
        store = stack.enter_context(serve_store(Store(storage), hop=hop, host=host))
        stack.enter_context(serve_tokens(tokens, authority.context(auth), f"https://{auth}/token"))
        sections = {"auth": tokens.section(scratch), "middleware": store.section()}
        address = stack.enter_context(serve(storage, scratch, tls=authority.section(registry), **sections))
        secure = {f"{registry}:443": address, f"{auth}:443": tokens.address}
        plain = {f"{hop}:80": store.hop_address, f"{host}:80": store.address}
        proxy = stack.enter_context(serve_proxy(secure | plain))
        yield Vault(registry, authority, tokens, store, scratch), proxy
