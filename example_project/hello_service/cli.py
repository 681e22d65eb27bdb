"""The command ``hello-service``: serve until told to stop."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING

from hello_service.pages import answer

if TYPE_CHECKING:
    from collections.abc import Sequence


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    # A client that connects and says nothing must not hold up the stop.
    timeout = 5

    def do_GET(self) -> None:
        """Send the page that belongs to the path."""
        page = answer(self.path)
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.body)

    do_HEAD = do_GET  # noqa: N815


class Server(ThreadingMixIn, TCPServer):
    """A thread a request. Not http.server's own: that asks the DNS for this host's name when it starts."""

    allow_reuse_address = True
    request_queue_size = 128


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

    with Server((options.host, options.port), Handler) as server:

        def stop(*_: object) -> None:
            # In a thread: shutdown() waits for the loop below to end, which this handler interrupts.
            threading.Thread(target=server.shutdown).start()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        print(f"listening on {options.host}:{server.server_address[1]}", flush=True)
        server.serve_forever()
    # Leaving the block has waited for the requests under way.
    print("stopped", flush=True)
