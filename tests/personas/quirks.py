"""What single registries do beside the common; each is a `Quirk`."""

from __future__ import annotations

from urllib.parse import urlsplit

from demo.registry import Manifest
from hatch_oci.image import media_types
from tests.personas.images import schema1
from tests.personas.persona import UNAUTHORIZED, Refusal, errors
from tests.personas.service import Service
from tests.personas.world import Visit

_KNOWN = media_types.MANIFESTS | media_types.INDEXES


def counts_pulls(service: Service, visit: Visit) -> bool:
    """Docker Hub: a GET of a manifest counts, a HEAD does not; both say how many are left."""
    if not service.asked(visit, "manifests"):
        return False
    with service.lock:
        service.counts["pulls"] += visit.command == "GET"
        left = service.quota - service.counts["pulls"]
    limits = {"ratelimit-limit": f"{service.quota};w=21600", "ratelimit-remaining": f"{max(left, 0)};w=21600"}
    visit.added = {**limits, "docker-ratelimit-source": "192.0.2.1"}
    if left >= 0 or visit.command != "GET":
        return False
    said = (
        "You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"
        if not visit.headers.get("Authorization")
        else "You have reached your pull rate limit. https://www.docker.com/increase-rate-limit"
    )
    service.refuse(visit, Refusal(status=429, body=errors("TOOMANYREQUESTS", said)))
    return True


def schema1_without_accept(service: Service, visit: Visit) -> bool:
    """MCR: a client that names no media type gets schema 1."""
    reference = service.asked(visit, "manifests")
    if not reference or _accepted(visit):
        return False
    _send(visit, schema1(service.persona.repository, reference))
    return True


def wants_oci_index(service: Service, visit: Visit) -> bool:
    """GHCR: an Accept without the OCI index gets no manifest at all."""
    if not service.asked(visit, "manifests") or media_types.OCI_INDEX in _accepted(visit):
        return False
    _unknown(service, visit, "OCI index found, but Accept header does not support OCI indexes")
    return True


def strict_accept(service: Service, visit: Visit) -> bool:
    """GitLab: a manifest is there only for those who name its very type."""
    found = _found(service, visit)
    if found is None or found.media_type in _accepted(visit):
        return False
    _unknown(service, visit, "manifest unknown")
    return True


def accept_of_distribution_2(service: Service, visit: Visit) -> bool:
    """distribution 2.8: a Docker list becomes its linux/amd64 child, a manifest schema 1; OCI's forms are not there."""
    found = _found(service, visit)
    accepted = _accepted(visit)
    if found is None or found.media_type in accepted:
        return False
    if found.media_type in (media_types.OCI_INDEX, media_types.OCI_MANIFEST):
        _unknown(service, visit, "OCI manifest or index found, but accept header does not support it")
    elif found.media_type == media_types.DOCKER_LIST and media_types.DOCKER_MANIFEST in accepted:
        child = service.persona.content.repository.manifest(service.persona.content.manifest)
        assert child
        _send(visit, child)
    else:
        _send(visit, schema1(service.persona.repository, "1"))
    return True


def accept_of_distribution_3(service: Service, visit: Visit) -> bool:
    """distribution 3: a Docker list is an error for those who don't name it; an OCI index is for everybody."""
    found = _found(service, visit)
    if found is None or found.media_type != media_types.DOCKER_LIST or found.media_type in _accepted(visit):
        return False
    said = errors("MANIFEST_INVALID", "manifest list found, but accept header does not support manifest lists")
    service.refuse(visit, Refusal(status=400, body=said))
    return True


def no_digest_on_get(_service: Service, visit: Visit) -> bool:
    """ECR: a GET's answer has no Docker-Content-Digest."""
    if visit.command == "GET":
        visit.added = {"Docker-Content-Digest": ""}
    return False


def no_digest(_service: Service, visit: Visit) -> bool:
    """Not even a HEAD's answer has one."""
    visit.added = {"Docker-Content-Digest": ""}
    return False


def challenge_on_ping_only(service: Service, visit: Visit) -> bool:
    """GAR: a 401 without a challenge, except to `/v2/`."""
    if urlsplit(visit.path).path == "/v2/" or not service.objection(visit):
        return False
    service.refuse(visit, UNAUTHORIZED)
    return True


def sets_cookies(service: Service, visit: Visit) -> bool:
    """Harbor: a client that sends its cookies back is taken for a browser, which needs a CSRF token."""
    visit.added = {"Set-Cookie": "sid=5d1e3b0f7a; Path=/; HttpOnly"}
    if visit.headers.get("Cookie"):
        service.refuse(visit, Refusal(status=403, body=errors("FORBIDDEN", "CSRF token invalid")))
        return True
    return False


def revokes_at_first_blob(service: Service, visit: Visit) -> bool:
    """Whoever restarts a token service, or changes its key: no token from before is known any more."""
    with service.lock:
        service.counts["blobs"] += bool(service.asked(visit, "blobs"))
        first = service.counts["blobs"] == 1
    if first and service.tokens and not service.revoked:
        service.revoke()
    return False


def ping_is_open(service: Service, visit: Visit) -> bool:
    """Zot: `/v2/` answers everybody with 200, and with the challenge all the same."""
    if urlsplit(visit.path).path != "/v2/":
        return False
    visit.reply(200, b"{}", {"WWW-Authenticate": service.persona.challenge, "Content-Type": "application/json"})
    return True


def _accepted(visit: Visit) -> frozenset[str]:
    values = ", ".join(visit.headers.get_all("Accept", []))
    return frozenset(media_types.essence(value) for value in values.split(",")) & _KNOWN


def _found(service: Service, visit: Visit) -> Manifest | None:
    reference = service.asked(visit, "manifests")
    return service.persona.content.repository.manifest(reference) if reference else None


def _send(visit: Visit, manifest: Manifest) -> None:
    visit.reply(200, manifest.content, {"Content-Type": manifest.media_type})


def _unknown(service: Service, visit: Visit, said: str) -> None:
    service.refuse(visit, Refusal(status=404, body=errors("MANIFEST_UNKNOWN", said)))
