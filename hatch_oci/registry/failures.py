"""What went wrong with a request, in words, and whether it may pass."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpcore

from hatch_oci.errors import PlainHTTPError, RegistryError, UnreachableError
from hatch_oci.registry.network import ForbiddenAddressError, UnknownHostError

_ERRORS = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)
# How OpenSSL calls an answer that is no TLS, by its versions.
_PLAIN_REASONS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
# What the server says of the client's certificate, by TLS version.
_CERTIFICATE_ALERT = re.compile(r"ALERT_.*CERTIFICATE|ALERT_UNKNOWN_CA")
_OTHER_NAME = 62
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH."""

# Of errors in the protocol just these are told as they are: others repeat what the server sent, be it our own headers.
_KNOWN_TEXTS = ("Server disconnected", "peer closed connection")

_NAMES: dict[type[Exception], str] = {
    httpcore.ConnectTimeout: "the connection takes too long",
    httpcore.ReadTimeout: "it sends nothing any more, or too little",
    httpcore.WriteTimeout: "it takes nothing any more",
    httpcore.ReadError: "the connection broke",
    httpcore.WriteError: "the connection broke",
    httpcore.RemoteProtocolError: "it does not speak HTTP properly",
    httpcore.LocalProtocolError: "it cannot be asked like this",
}


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn a failure to reach `where` (scheme, host and port) into a `RegistryError`.

    An `UnreachableError` for one that may pass, a `PlainHTTPError` where the server speaks no TLS.
    """
    try:
        yield
    except (ForbiddenAddressError, UnknownHostError) as error:
        message = f"no answer from {where}: {error}"
        raise RegistryError(message) from error
    except httpcore.ProxyError as error:
        # The rest of what it says is the proxy's own text.
        status = str(error).partition(" ")[0]
        if status[:1] == "4" and status not in ("408", "429"):
            message = f"the proxy refuses to lead to {where} (HTTP {status}): check HTTPS_PROXY or ALL_PROXY"
            raise RegistryError(message) from error
        message = f"the proxy does not lead to {where} (HTTP {status})"
        raise UnreachableError(message) from error
    except _ERRORS as error:
        raise _explain(where, error) from error


def _explain(where: str, error: Exception) -> RegistryError:
    reason: BaseException | None = error
    while reason is not None and not isinstance(reason, ssl.SSLError):
        reason = reason.__cause__ or reason.__context__
    folder = f"~/.config/containers/certs.d/{where.partition('://')[2]}"
    if isinstance(reason, ssl.SSLCertVerificationError):
        advice = f"name its authority in SSL_CERT_FILE, or put it into {folder}/ca.crt"
        if reason.verify_code == _OTHER_NAME:
            advice = "ask for it by the name that its certificate is for"
        return RegistryError(
            f"the certificate of {where} is not trusted: {reason.verify_message}\nIf the server is right, {advice}"
        )
    if isinstance(reason, ssl.SSLError) and _CERTIFICATE_ALERT.search(reason.reason or ""):
        return RegistryError(
            f"{where} does not accept this client's certificate, or wants one: put it into {folder}, "
            "as client.cert and client.key"
        )
    if isinstance(reason, ssl.SSLError) and reason.reason in _PLAIN_REASONS:
        return PlainHTTPError(f"{where} speaks plain http, not https")
    text = str(error)
    if isinstance(error, httpcore.TimeoutException | httpcore.ProtocolError) and not text.startswith(_KNOWN_TEXTS):
        text = ""
    return UnreachableError(f"no answer from {where}: {text or _NAMES.get(type(error), type(error).__name__)}")
