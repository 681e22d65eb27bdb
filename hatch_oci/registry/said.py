"""What a server says about a failure, made safe to print."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from hatch_oci.errors import DocumentError
from hatch_oci.image.document import parse_json

_LONGEST = 200
_KEYS = ("message", "details", "detail", "error_description", "code", "error")
_XML_CODE = re.compile(rb"<Code>([A-Za-z]{1,60})</Code>")
_QUERY = re.compile(r"\?\S*")
_USER = re.compile(r"//[^\s/@]*@")
_CREDENTIALS = re.compile(r"(?i)\b(bearer|basic)\s+\S+")


def said(body: bytes, secrets: Iterable[str] = ()) -> str:
    """Return `: ` and what an error's body says, in at most 200 printable characters; nothing if it says nothing.

    Of JSON the messages are taken, of a store's XML just the code, since some stores repeat in their errors the
    token that they were sent. `secrets`, queries of URLs and credentials are blotted out.
    """
    code = _XML_CODE.search(body)
    text = _plain(code[1].decode("ascii") if code else "; ".join(_messages(body)))
    # The longest first: one may hold another.
    if spellings := sorted(_spellings(secrets), key=len, reverse=True):
        text = re.sub("|".join(map(re.escape, spellings)), "***", text, flags=re.IGNORECASE)
    text = _CREDENTIALS.sub(r"\1 ***", _USER.sub("//***@", _QUERY.sub("?***", text)))
    short = text.strip()[:_LONGEST].rstrip(".")
    return f": {short}" if short else ""


def _plain(text: str) -> str:
    return re.sub(r"[^\x21-\x7e]+", " ", text)


def _spellings(secrets: Iterable[str]) -> set[str]:
    """Return secrets as servers may repeat them: as they are, as in a URL or a form, as base64 without its padding."""
    return {
        spelling
        for secret in secrets
        for quoted in (quote(secret, "", errors="surrogateescape"), quote_plus(secret, errors="surrogateescape"))
        for text in (secret, secret.rstrip("="), quoted)
        if (spelling := _plain(text).strip())
    }


def _messages(body: bytes) -> Iterator[str]:
    try:
        document = parse_json(body, "error").table()
    except DocumentError:
        return
    errors = document.get("errors")
    # The distribution-spec's form, and those of token services.
    for entry in errors if isinstance(errors, list) else [document]:
        table = entry if isinstance(entry, dict) else {}
        yield from [text for key in _KEYS if isinstance(text := table.get(key), str) and text][:1]
