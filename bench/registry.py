"""Debian's docker-registry, serving a folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench import BenchError

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS = 30


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve what is pushed, which is kept in `folder`, on a port that the kernel chooses; yield `host:port`."""
    folder.mkdir(parents=True)
    config, log = folder / "config.yml", folder / "log"
    document = {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": "127.0.0.1:0"},
    }
    # All JSON is YAML.
    config.write_text(json.dumps(document), "utf-8")
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603
            ["docker-registry", "serve", config],  # noqa: S607
            env=os.environ | {"OTEL_TRACES_EXPORTER": "none"},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if found := re.search(r"listening on (127\.0\.0\.1:\d+)", log.read_text("utf-8", "replace")):
            return found[1]
        time.sleep(0.05)
    message = f"docker-registry does not start: {log.read_text('utf-8', 'replace').strip()[-500:]}"
    raise BenchError(message)
