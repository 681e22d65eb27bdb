"""The stores that registries redirect to for blobs, and how each of them says no."""

from __future__ import annotations

from tests.personas.persona import Refusal, Store

_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_AWS_QUERY = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAEXAMPLE%2F20260101%2Feu-central-1%2Fs3%2Faws4_request"
    "&X-Amz-Date={start}&X-Amz-Expires=1200&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}"
)


def _xml(status: int, code: str, message: str, more: str = "") -> Refusal:
    body = f"{_XML}<Error>\n  <Code>{code}</Code>\n  <Message>{message}</Message>\n{more}</Error>\n"
    return Refusal(status=status, body=body)


_EXPIRED = _xml(403, "AccessDenied", "Request has expired.", "  <Query>{query}</Query>\n")
_MISMATCH = _xml(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the one provided.")
_ARGUMENT = "  <ArgumentName>Authorization</ArgumentName>\n  <ArgumentValue>{authorization}</ArgumentValue>\n"


def oss(bucket: str) -> Store:
    """Return Aliyun's: plain http, and an error that repeats the token it should not have got."""
    both = "OSS authentication requires a valid Date; both a signature and an Authorization were given."
    return Store(
        base=f"http://{bucket}.aliyuncs.com/docker/registry/v2/blobs/sha256/",
        query="Expires={end}&OSSAccessKeyId=LTAI4Example&Signature={signature}",
        both=_xml(400, "InvalidArgument", both, _ARGUMENT),
        mismatch=_MISMATCH,
        expired=_EXPIRED,
    )


def cos(host: str) -> Store:
    """Return Tencent's: plain http, the host being a part of what is signed."""
    return Store(
        base=f"http://{host}/docker/registry/v2/blobs/sha256/",
        query=(
            "q-sign-algorithm=sha1&q-ak=AKIDExample&q-sign-time={start};{end}&q-key-time={start};{end}"
            "&q-header-list=host&q-url-param-list=&q-signature={signature}"
        ),
        both=_xml(403, "AccessDenied", "Both a signature and an Authorization were given.", _ARGUMENT),
        mismatch=_MISMATCH,
        expired=_EXPIRED,
    )


def s3(base: str) -> Store:
    """Return Amazon's S3."""
    both = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter or the Authorization header"
    return Store(
        base=base,
        query=_AWS_QUERY,
        both=_xml(400, "InvalidArgument", both, _ARGUMENT),
        mismatch=_MISMATCH,
        expired=_EXPIRED,
    )


def azure(base: str) -> Store:
    """Return Azure's blob store."""
    failed = _xml(403, "AuthenticationFailed", "Server failed to authenticate the request.")
    return Store(
        base=base,
        query="se={end}&sig={signature}&sp=r&spr=https&sr=b&sv=2018-03-28",
        both=_xml(400, "InvalidAuthenticationInfo", "Authentication information is not given in the correct format."),
        mismatch=failed,
        expired=failed,
    )


def cdn(base: str, status: int = 307) -> Store:
    """Return a content delivery network's, before a bucket that wants no Authorization either."""
    denied = _xml(403, "AccessDenied", "Access denied")
    return Store(
        base=base,
        query="Expires={end}&Signature={signature}&Key-Pair-Id=KEXAMPLE",
        status=status,
        both=_xml(400, "InvalidArgument", "Only one auth mechanism allowed", _ARGUMENT),
        mismatch=denied,
        expired=denied,
    )


def same_host(base: str) -> Store:
    """Return Google's: another path of the registry's own host, which may be asked with the token."""
    denied = Refusal(status=403, body="Forbidden\n")
    return Store(
        base=base,
        query="expires={end}&token={signature}",
        status=302,
        relative=True,
        both=None,
        mismatch=denied,
        expired=denied,
    )
