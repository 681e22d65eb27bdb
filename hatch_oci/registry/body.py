"""The body of a blob's answer, in pieces, as it is on the wire."""

from __future__ import annotations

from collections.abc import Iterator

import httpcore

PROGRESS = 64 * 1024
"""Bytes of a blob that are worth waiting on."""

_LONG = 4 * 1024 * 1024
"""Bytes of a body that are worth a connection of its own."""

_ROOM = 1024 * 1024
_RECORD = 16 * 1024
"""Bytes that one read of TLS gives at most: room for more would be made in vain."""


def blob_of(response: httpcore.Response, stall: float) -> Iterator[bytes]:
    """Yield a body as it arrives; no read may take more than `stall` seconds.

    The HTTP library copies each byte three times. So a long body whose length is told is read past it, straight from
    the connection; the library, which does not see the end, closes that afterwards.
    """
    # Held until the end: the connection closes with it.
    pieces = response.iter_stream()
    length = _length(response)
    if length < _LONG:
        yield from pieces
        return
    # All that came along with the headers; nothing where the status says that there is no body.
    first = next(pieces, None)
    if first is not None:
        yield first
        yield from _straight(response.extensions["network_stream"], length, len(first), stall)


def _straight(stream: httpcore.NetworkStream, length: int, received: int, stall: float) -> Iterator[bytes]:
    room = _RECORD if stream.get_extra_info("ssl_object") else _ROOM
    while received < length:
        parts: list[bytes] = []
        gathered = 0
        try:
            # Small pieces would cost more on their way to the disk than the bytes in them.
            while gathered < min(length - received, PROGRESS):
                part = stream.read(min(length - received - gathered, room), stall)
                if not part:
                    message = f"peer closed connection after {received + gathered} of {length} bytes"
                    raise httpcore.RemoteProtocolError(message)
                parts.append(part)
                gathered += len(part)
        finally:
            # What came before a failure counts: the next try goes on behind it.
            received += gathered
            yield b"".join(parts)


def _length(response: httpcore.Response) -> int:
    """Return the length of a body that ends by it, and 0 of another; the library refuses what says two lengths."""
    headers = {name.lower(): value for name, value in response.headers}
    return 0 if b"transfer-encoding" in headers else int(headers.get(b"content-length", 0))
