"""The command ``hello-service``: serve until told to stop."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

import uvicorn

from hello_service.app import create_app

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Take the command line (default: the process's own); return when SIGTERM or Ctrl-C came."""
    parser = argparse.ArgumentParser(prog="hello-service", description="Say hello over HTTP.")
    parser.add_argument(
        "--host",
        default=os.environ.get("HOST", "0.0.0.0"),  # noqa: S104 (in a container, that is the point)
        help="address to listen on (default: $HOST, else every one)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=os.environ.get("PORT", "8000"),
        help="port to listen on (default: $PORT, else 8000)",
    )
    options = parser.parse_args(arguments)
    uvicorn.run(create_app(), host=options.host, port=options.port)
