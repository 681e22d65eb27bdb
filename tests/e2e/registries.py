"""Debian's docker-registry as a process of its own, and the two requests that put an image into it."""

import hashlib
import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .shell import SEARCH_PATH

# Loopback is never proxied.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def serve(
    storage: Path, scratch: Path, *, tls: Mapping[str, object] | None = None, **sections: Mapping[str, object]
) -> Iterator[str]:
    """Serve `storage` on a port that the kernel chose, and yield `host:port`; config and log go to `scratch`.

    `tls` is the configuration's `http.tls`, and `sections` are more of it, such as `auth` and `middleware`.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    config, log = scratch / "config.yml", scratch / "registry.log"
    document = {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(storage)}},
        "http": {"addr": "127.0.0.1:0"} | ({"tls": tls} if tls else {}),
        **sections,
    }
    # All JSON is YAML.
    config.write_text(json.dumps(document))
    with log.open("wb") as sink:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(config)],
            env={"PATH": SEARCH_PATH, "OTEL_TRACES_EXPORTER": "none"},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _address(process, log)
        finally:
            process.terminate()
            process.wait(timeout=30)


def requests_of(scratch: Path) -> list[str]:
    """Answer what a registry was asked, by the log in its `scratch`: method and path, in order."""
    log = (scratch / "registry.log").read_text()
    return re.findall(r'"([A-Z]+ /v2/\S*) HTTP/1\.[01]"', log)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"listening on (127\.0\.0\.1:\d+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    message = f"docker-registry did not start:\n{log.read_text()}"
    raise AssertionError(message)


def push_blob(registry: str, repository: str, content: bytes) -> dict[str, Any]:
    """Upload a blob; the answer is the digest and the size of its descriptor."""
    digest = digest_of(content)
    start = urllib.request.Request(f"http://{registry}/v2/{repository}/blobs/uploads/", method="POST", data=b"")
    with OPENER.open(start, timeout=60) as response:
        location = response.headers["Location"]
    join = "&" if "?" in location else "?"
    _put(f"{location}{join}digest={digest}", content, "application/octet-stream")
    return {"digest": digest, "size": len(content)}


def push_manifest(registry: str, repository: str, tag: str, document: dict[str, Any]) -> str:
    """Upload a manifest or an index under `tag`, and answer its digest."""
    content = json.dumps(document, indent=3).encode()
    _put(f"http://{registry}/v2/{repository}/manifests/{tag}", content, document["mediaType"])
    return digest_of(content)


def resolve(registry: str, repository: str, tag: str) -> dict[str, Any]:
    """Answer the descriptor of what the registry holds under `tag`."""
    accept = ", ".join(
        f"application/vnd.{name}+json"
        for name in (
            "oci.image.manifest.v1",
            "oci.image.index.v1",
            "docker.distribution.manifest.v2",
            "docker.distribution.manifest.list.v2",
        )
    )
    url = f"http://{registry}/v2/{repository}/manifests/{tag}"
    with OPENER.open(urllib.request.Request(url, headers={"Accept": accept}), timeout=60) as response:
        content: bytes = response.read()
        media_type = response.headers["Content-Type"]
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def digest_of(content: bytes) -> str:
    """Answer the digest of `content` as registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _put(url: str, content: bytes, content_type: str) -> None:
    request = urllib.request.Request(url, method="PUT", data=content, headers={"Content-Type": content_type})
    with OPENER.open(request, timeout=60) as response:
        assert response.status == 201
