"""What the service answers with: the page, the same as JSON, and the static files."""

from __future__ import annotations

import hashlib
import html
import os
import platform
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import NotModifiedResponse, StaticFiles

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Scope


class Facts(msgspec.Struct, frozen=True):
    """What the service tells of itself."""

    greeting: str
    python: str
    user: int | None


class Files(StaticFiles):
    """Static files whose ETag comes from what is in them: in an image, all files have the same date."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return the file, or word that the client has it already."""
        etag = f'"{hashlib.sha256(Path(full_path).read_bytes()).hexdigest()}"'
        response = FileResponse(full_path, status_code, headers={"ETag": etag}, stat_result=stat_result)
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response


def create_app() -> Starlette:
    """Return the service; ``STATIC_DIR`` is the folder with its static files."""
    return Starlette(
        routes=[
            Route("/", page),
            Route("/facts", facts),
            Route("/health", health),
            Mount("/static", Files(directory=os.environ.get("STATIC_DIR", "/srv/static"))),
        ]
    )


def page(_request: Request) -> HTMLResponse:
    """Answer with the front page."""
    template = files("hello_service").joinpath("templates", "index.html").read_text(encoding="utf-8")
    values = {name: html.escape(str(value)) for name, value in msgspec.structs.asdict(find_facts()).items()}
    return HTMLResponse(Template(template).substitute(values))


def facts(_request: Request) -> Response:
    """Answer with what the page shows, as JSON."""
    return Response(msgspec.json.encode(find_facts()), media_type="application/json")


def health(_request: Request) -> PlainTextResponse:
    """Tell that the service is up."""
    return PlainTextResponse("ok")


def find_facts() -> Facts:
    """Gather the facts; the environment variable ``GREETING`` holds the greeting."""
    return Facts(
        greeting=os.environ.get("GREETING", "Hello"),
        python=platform.python_version(),
        user=os.getuid() if hasattr(os, "getuid") else None,
    )
