"""Several downloads at a time, of which one fails, or which their user ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from demo.base import digest
from demo.registry import Answer, Handler, Registry, Repository, serve
from hatch_oci.errors import OCIError
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.reference import Reference
from hatch_oci.registry.options import Patience
from hatch_oci.registry.pull import Repository as Remote
from hatch_oci.registry.transport import Transport
from hatch_oci.store.blobs import BlobStore
from hatch_oci.store.intake import Arriving, take_in
from tests.unit.bases import served, small_image

SLOW, GOOD = b"slow" * 1000, b"good"


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serve({"app": Repository({digest(SLOW): SLOW, digest(GOOD): GOOD})}) as registry:
        yield registry


def busy(request: Handler) -> None:
    request.reply(503, b"", {"Retry-After": "20"})


def stalled(request: Handler) -> None:
    request.close_connection = True
    request.send_response(200)
    request.send_header("Content-Length", str(len(SLOW)))
    request.end_headers()
    request.wfile.write(SLOW[:1000])
    # Until the other side hangs up.
    request.connection.recv(1)


def silent(request: Handler) -> None:
    request.close_connection = True
    request.connection.recv(1)


def take(registry: Registry, store: BlobStore, *digests: str) -> None:
    with closing(Transport(patience=Patience(stall=20, answer=40))) as transport:
        remote = Remote(transport, Reference.parse(f"{registry.address}/app:1"))
        descriptors = [Descriptor("x", Digest.parse(name), len(SLOW)) for name in digests]
        arriving = [Arriving(one.digest, one.size, partial(remote.blob, one)) for one in descriptors]
        take_in(arriving, store, lambda _count: None)


@pytest.mark.parametrize("answer", [busy, stalled, silent])
def test_the_first_failure_ends_the_others_at_once(answer: Answer, registry: Registry, store: BlobStore) -> None:
    registry.answers["GET", f"/v2/app/blobs/{digest(SLOW)}"] = answer
    missing = digest(b"missing")

    def fail(request: Handler) -> None:
        while len(registry.log) < 3:
            time.sleep(0.01)
        time.sleep(0.1)
        request.reply(404)

    registry.answers["GET", f"/v2/app/blobs/{missing}"] = fail
    start = time.monotonic()
    with pytest.raises(OCIError, match=f"has no blob {missing}"):
        take(registry, store, digest(SLOW), missing)
    assert time.monotonic() - start < 5
    assert list((store.folder / "incoming").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signal for one process")
@pytest.mark.parametrize("answer", [busy, silent])
def test_a_user_ends_a_download_that_waits(answer: Answer, tmp_path: Path) -> None:
    image = small_image()
    with served(image) as registry:
        layer = json.loads(image.manifest)["layers"][1]["digest"]
        registry.answers["GET", f"/v2/app/blobs/{layer}"] = answer
        command = [sys.executable, "-m", "hatch_oci", "inspect", f"{registry.address}/app:1"]
        environment = {**os.environ, "HATCH_OCI_CACHE_DIR": str(tmp_path / "cache")}
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
            while ("GET", f"/v2/app/blobs/{layer}") not in registry.log and process.poll() is None:
                time.sleep(0.05)
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            start = time.monotonic()
            assert process.wait(30) == 130
            assert time.monotonic() - start < 5
            assert process.stderr
            assert "Traceback" not in process.stderr.read()
