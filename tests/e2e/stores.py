"""An object store as Aliyun's and Tencent's registries redirect to: plain http, a signature in the query, no tokens.

docker-registry's own `redirect` middleware can only put a blob's path behind a host, so it leads to a small hop of
this store first, which signs: registry → hop → store, each of them a host of its own.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from .servers import Handler, Request, listen

BYTE_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
KEY_ID = "LTAI-the-tests"


@dataclass
class Store:
    """Serves the blobs of a registry's storage folder, and knows who asked for what, at the hop and at the store.

    `cuts` holds for a digest after how many bytes of its next answers the connection ends; `on_cut` is called before.
    Where `refuses` is set, every signature is a wrong one.
    """

    storage: Path
    key: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    cuts: dict[str, list[int]] = field(default_factory=dict)
    on_cut: Callable[[], None] = lambda: None
    ranges: bool = True
    refuses: bool = False
    hop: str = ""
    hop_address: str = ""
    address: str = ""
    host: str = ""
    hop_log: list[Request] = field(default_factory=list)
    log: list[Request] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)

    def section(self) -> dict[str, object]:
        """Answer the `middleware` of a docker-registry that redirects here."""
        return {"storage": [{"name": "redirect", "options": {"baseurl": f"http://{self.hop}"}}]}

    def requests(self, digest: str) -> list[Request]:
        """Answer what the store was asked about one blob."""
        return [request for request in self.log if digest.removeprefix("sha256:") in request.target]

    def sign(self, request: Handler) -> None:
        """Redirect to the store, with a signature that is good for 20 minutes."""
        if _refuse_authorization(request):
            return
        expires = str(int(time.time()) + 1200)
        signature = self._signature(self.host, request.path, expires)
        self.signatures.append(signature)
        query = f"Expires={expires}&OSSAccessKeyId={KEY_ID}&Signature={quote(signature, safe='')}"
        request.reply(307, headers={"Location": f"http://{self.host}{request.path}?{query}"})

    def answer(self, request: Handler) -> None:
        """Send a blob, or the part of it that is asked for, and no more of it than the next cut allows."""
        if _refuse_authorization(request):
            return
        target = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        # As Tencent's: the host is signed as the URL has it.
        expected = self._signature(request.headers["Host"], target.path, query.get("Expires", ""))
        signature = query.get("Signature", "")
        right = hmac.compare_digest(signature, expected) and int(query["Expires"]) > time.time()
        if self.refuses or not right:
            told = f"<SignatureProvided>{signature}</SignatureProvided>"
            _fail(request, 403, "SignatureDoesNotMatch", "The signature we calculated is another one.", told)
            return
        file = self.storage / target.path.removeprefix("/")
        self._send(request, file.read_bytes(), f"sha256:{file.parent.name}")

    def _send(self, request: Handler, blob: bytes, digest: str) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        status, body = 200, blob
        if self.ranges and (wanted := BYTE_RANGE.fullmatch(request.headers.get("Range", ""))):
            first, last = int(wanted[1]), min(int(wanted[2] or len(blob)), len(blob) - 1)
            status, body = 206, blob[first : last + 1]
            headers["Content-Range"] = f"bytes {first}-{last}/{len(blob)}"
        request.start(status, headers | {"Content-Length": str(len(body))})
        if request.command == "HEAD":
            return
        if cuts := self.cuts.get(digest):
            request.wfile.write(body[: cuts.pop(0)])
            request.close_connection = True
            self.on_cut()
        else:
            request.wfile.write(body)

    def _signature(self, host: str, path: str, expires: str) -> str:
        digest = hmac.digest(self.key, f"{host}\n{path}\n{expires}".encode(), hashlib.sha1)
        return base64.b64encode(digest).decode()


@contextmanager
def serve_store(store: Store, *, hop: str | None = None, host: str | None = None) -> Iterator[Store]:
    """Run hop and store in threads, under their addresses or under names that lead to them."""
    with listen(store.answer) as server, listen(store.sign) as signer:
        store.address, store.hop_address = server.address, signer.address
        store.hop, store.host = hop or signer.address, host or server.address
        store.log, store.hop_log = server.log, signer.log
        yield store


def _refuse_authorization(request: Handler) -> bool:
    """Refuse two ways to authenticate at once as Aliyun's does: with the token in what it answers."""
    sent = request.headers["Authorization"]
    if sent is not None:
        _fail(
            request, 400, "InvalidArgument", "Only one auth mechanism allowed", f"<ArgumentValue>{sent}</ArgumentValue>"
        )
    return sent is not None


def _fail(request: Handler, status: int, code: str, message: str, more: str = "") -> None:
    body = f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>'
    request.reply(status, body.encode(), {"Content-Type": "application/xml"})
