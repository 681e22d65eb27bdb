"""What the service answers with: the page and the static files."""

from __future__ import annotations

import html
import mimetypes
import os
import platform
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Page:
    """One answer: its status, its content type and its body."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK


NOT_FOUND = Page(b"not found\n", status=HTTPStatus.NOT_FOUND)


def answer(target: str) -> Page:
    """Take a request target such as ``/static/style.css?v=1``; return the page for it."""
    path = unquote(urlsplit(target).path)
    if path == "/":
        return greeting()
    if path == "/health":
        return Page(b"ok")
    if path.startswith("/static/"):
        return static_file(Path(os.environ.get("STATIC_DIR", "/srv/static")), path.removeprefix("/static/"))
    return NOT_FOUND


def greeting() -> Page:
    """Return the front page, with the greeting from the environment variable ``GREETING``."""
    template = files("hello_service").joinpath("templates", "index.html").read_text(encoding="utf-8")
    values = {
        "greeting": os.environ.get("GREETING", "Hello"),
        "python": platform.python_version(),
        "user": str(os.getuid()) if hasattr(os, "getuid") else "none",
    }
    page = Template(template).substitute({name: html.escape(value) for name, value in values.items()})
    return Page(page.encode(), "text/html; charset=utf-8")


def static_file(folder: Path, name: str) -> Page:
    """Return the file ``name`` of ``folder``, and nothing that lies outside of that folder."""
    try:
        root = folder.resolve()
        # Resolved first, so that neither ``..`` nor a symlink nor an absolute name leads out.
        file = (root / name).resolve()
        if not file.is_relative_to(root) or not file.is_file():
            return NOT_FOUND
        body = file.read_bytes()
    except (OSError, ValueError):  # not readable, a name too long, a NUL in it
        return NOT_FOUND
    return Page(body, mimetypes.guess_type(file.name)[0] or "application/octet-stream")
