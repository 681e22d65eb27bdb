"""Registries under names of the world, by https, for a user who reaches them through a proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.registry import Answer, Handler
from tests.e2e.certificates import LOOPBACK, Authority
from tests.e2e.proxies import Proxy, serve_proxy
from tests.faults.hostile import IMAGE, PAIR, Victim, publish
from tests.unit.uploads import Uploads, read_body, serve_uploads

REGISTRY, SISTER, EVIL = "registry.example.com", "auth.example.com", "evil.example.net"
ALIKE = f"{REGISTRY}.{EVIL}"
REFERENCE = f"{REGISTRY}/app:1"
TOKEN = "token-word"


@dataclass(frozen=True)
class World:
    """A registry that the user logged in to, another server of its domain, and two of somebody else's."""

    registry: Uploads
    sister: Uploads
    evil: Uploads
    plain: Uploads
    """Somebody else's by plain http, at the same name."""

    proxy: Proxy
    authority: Authority


@contextmanager
def inhabited(victim: Victim, folder: Path) -> Iterator[World]:
    """Serve an image everywhere, and tell the user of the proxy and the authority."""
    authority = Authority(folder / "certificates")
    with ExitStack() as stack:
        tls = authority.context(REGISTRY, SISTER, EVIL, ALIKE, *LOOPBACK)
        registry, sister, evil = (stack.enter_context(serve_uploads(tls)) for _ in range(3))
        plain = stack.enter_context(serve_uploads())
        for server in (registry, sister, evil, plain):
            publish(server, IMAGE.manifest)
        routes = {f"{REGISTRY}:443": registry, f"{SISTER}:443": sister, f"{EVIL}:443": evil, f"{ALIKE}:443": evil}
        routes |= {f"{EVIL}:80": plain, f"{REGISTRY}:80": plain}
        proxy = stack.enter_context(serve_proxy({place: server.address for place, server in routes.items()}))
        victim.env.update(proxy.variables, SSL_CERT_FILE=str(authority.ca))
        victim.log_in(REGISTRY)
        yield World(registry, sister, evil, plain, proxy, authority)


def let_in(shown: str, challenge: str) -> Answer:
    """Return what answers whoever shows this `Authorization`, and challenges all others."""

    def answer(request: Handler) -> None:
        if request.headers["Authorization"] == shown:
            request.answer()
        else:
            read_body(request)
            request.reply(401, b"", {"WWW-Authenticate": challenge})

    return answer


def guard(server: Uploads, answer: Answer) -> None:
    """Let a server answer everything by `answer`, but for the paths that have an answer of their own."""
    for method in ("GET", "HEAD", "POST", "PUT"):
        server.answers[method, "*"] = answer


def ask_password(server: Uploads) -> None:
    """Let a server ask for user and password."""
    guard(server, let_in(f"Basic {PAIR}", 'Basic realm="r"'))


def ask_token(server: Uploads, realm: str) -> None:
    """Let a server ask for a token of this realm."""
    guard(server, let_in(f"Bearer {TOKEN}", f'Bearer realm="{realm}",service="s",scope="repository:app:pull"'))


def redirect(location: str, status: int = 307) -> Callable[[Handler], None]:
    """Return what redirects every request."""

    def answer(request: Handler) -> None:
        read_body(request)
        request.reply(status, b"", {"Location": location})

    return answer
