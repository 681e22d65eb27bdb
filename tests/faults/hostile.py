"""Registries that lie, and a user who asks them."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.base import CONFIG_TYPE, Image, descriptor, digest, encode
from demo.registry import Handler, Manifest
from hatch_oci.base.look import fetch_and_look
from hatch_oci.base.resolve import resolve
from hatch_oci.errors import OCIError
from hatch_oci.image.media_types import OCI_INDEX, OCI_MANIFEST
from hatch_oci.image.platform import Platform
from hatch_oci.registry.remote import Remote
from hatch_oci.report import QUIET
from hatch_oci.store.blobs import BlobStore
from tests.faults.trial import Trial
from tests.unit.bases import AMD64, QUICK, small_image
from tests.unit.uploads import Came, Uploads

Document = dict[str, Any]
Inspect = Callable[..., Trial]
"""Runs a command, as `run_trial` does."""

USER, PASSWORD = "me", "secret-word"
PAIR = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (PASSWORD, PAIR)
IMAGE = small_image()
REPOSITORY = "app"
MIB = 1024 * 1024
_SPACES = b" " * 16 * 1024

_PROJECT = """[build-system]
requires = ["hatchling", "hatch-oci-image"]
build-backend = "hatchling.build"

[project]
name = "app"
version = "1.0"

[tool.hatch.build.targets.oci]
base-image = "{base}"
"""


@dataclass(frozen=True)
class Victim:
    """A user who asks registries from an empty folder, and has nothing in the cache."""

    attempt: Inspect
    folder: Path
    env: dict[str, str]
    thorough: bool
    """Whether everything is tried as a user would, and as often as it is promised."""

    @property
    def _cache(self) -> Path:
        return Path(self.env["HATCH_OCI_CACHE_DIR"])

    def log_in(self, *hosts: str) -> None:
        """Put credentials for registries where `docker login` does."""
        path = Path(self.env["HOME"]) / ".docker/config.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"auths": {host: {"auth": PAIR} for host in hosts}}))

    def inspect(self, reference: str, *options: str, deadline: float = 60) -> Trial:
        """Run `python -m hatch_oci inspect` with an empty cache."""
        shutil.rmtree(self._cache, ignore_errors=True)
        command = (sys.executable, "-m", "hatch_oci", "inspect", reference, *options)
        return self.attempt(*command, folder=self.folder, env=self.env, deadline=deadline)

    def refuse(self, reference: str, *words: str, kept: Collection[str] = ()) -> None:
        """See that an image is refused with these words, and that of all that came just `kept` is in the cache."""
        self.inspect(reference).check_refusal(*words)
        assert self.kept() == set(kept)

    def accept(self, reference: str) -> None:
        """See that an image is as welcome as an honest one."""
        done = self.pull(reference)
        assert done.code == 0, done.said
        self.kept()

    def build(self, base: str) -> Trial:
        """Build a project on a base, with an empty cache."""
        shutil.rmtree(self._cache, ignore_errors=True)
        (self.folder / "app.py").write_text("")
        (self.folder / "pyproject.toml").write_text(_PROJECT.format(base=base), "utf-8")
        command = (sys.executable, "-m", "hatchling", "build", "-t", "oci")
        # It says nothing but what goes wrong.
        return self.attempt(*command, folder=self.folder, env=self.env | {"HATCH_QUIET": "1"})

    def pull(self, reference: str) -> Trial:
        """Run `inspect`; in CI do the same in this process, which takes no time."""
        return self.inspect(reference, deadline=400) if self.thorough else self.hurry(reference)

    def hurry(self, reference: str) -> Trial:
        """Do what `inspect` does in this process, for a user of little patience."""
        shutil.rmtree(self._cache, ignore_errors=True)
        start, store = time.perf_counter(), BlobStore(self._cache)
        platform = Platform.parse("linux/amd64")
        code, said = 0, ""
        with closing(Remote(patience=QUICK)) as remote:
            try:
                base = resolve(reference, platform, self.folder, store, remote)
                fetch_and_look(base, store, QUIET, None, None)
            except OCIError as error:
                code, said = 1, f"Error: {error}\n"
        return Trial(code, said, time.perf_counter() - start, 0)

    def kept(self) -> set[str]:
        """Return the digests in the cache: each file must be what its name says, and none may be left half done."""
        found = [path for path in (self._cache / "v1/blobs").rglob("*") if path.is_file()]
        for path in found:
            assert hashlib.new(path.parent.name, path.read_bytes()).hexdigest() == path.name, path
        assert list((self._cache / "v1/incoming").iterdir()) == []
        return {f"{path.parent.name}:{path.name}" for path in found}


def publish(
    registry: Uploads,
    manifest: bytes,
    blobs: Mapping[str, bytes] | None = None,
    media_type: str = OCI_MANIFEST,
    tag: str = "1",
) -> str:
    """Serve a manifest under a tag, whatever it is, beside the honest one; blobs under digests, be they theirs or not.

    The answer is the reference.
    """
    repository = registry.repository(REPOSITORY)
    repository.manifests["honest"] = Manifest(OCI_MANIFEST, IMAGE.manifest)
    repository.blobs.update(IMAGE.blobs if blobs is None else blobs)
    repository.manifests[tag] = Manifest(media_type, manifest)
    return f"{registry.address}/{REPOSITORY}:{tag}"


def publish_index(registry: Uploads, entries: Iterable[Document]) -> str:
    """Serve an index, and return its reference."""
    return publish(registry, index_of(entries), media_type=OCI_INDEX)


def index_of(entries: Iterable[Document]) -> bytes:
    """Return an index of these descriptors."""
    return encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)})


def entry_of(raw: bytes, media_type: str = OCI_MANIFEST, **fields: object) -> Document:
    """Return an index's entry for a manifest, or for another index, for linux/amd64."""
    return {**descriptor(raw, media_type), "platform": AMD64, **fields}


def manifest_with(change: Callable[[Document], object]) -> bytes:
    """Return the image's manifest after a change."""
    document = json.loads(IMAGE.manifest)
    change(document)
    return encode(document)


def image_with(change: Callable[[Document], object] = lambda _: None, config: bytes | None = None) -> Image:
    """Return the image with another config, maybe no JSON, or a change to its own; the manifest names it rightly."""
    if config is None:
        document = json.loads(IMAGE.blobs[json.loads(IMAGE.manifest)["config"]["digest"]])
        change(document)
        config = encode(document)
    named = descriptor(config, CONFIG_TYPE)
    return Image(manifest_with(lambda document: document.update(config=named)), {**IMAGE.blobs, digest(config): config})


def blob_url(name: str) -> str:
    """Return the path of a blob, for `Uploads.answers`."""
    return f"/v2/{REPOSITORY}/blobs/{name}"


def manifest_url(reference: str = "1") -> str:
    """Return the path of a manifest, for `Uploads.answers`."""
    return f"/v2/{REPOSITORY}/manifests/{reference}"


@dataclass
class Flood:
    """An answer that goes on until `most` bytes are sent or the client has gone away."""

    beginning: bytes = b""
    length: int | None = None
    """What it says of its length; it comes in chunks if it says nothing."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    most: int = 1024 * MIB
    sent: int = 0
    """Of the longest answer."""

    def __call__(self, request: Handler) -> None:
        is_chunked = self.length is None
        request.close_connection = True
        request.send_response(self.status)
        framing = {"Transfer-Encoding": "chunked"} if is_chunked else {"Content-Length": str(self.length)}
        for name, value in {**framing, **self.headers}.items():
            request.send_header(name, value)
        request.end_headers()
        piece, sent = self.beginning or _SPACES, 0
        with suppress(ConnectionError):
            while sent < self.most:
                piece = piece[: self.most - sent]
                request.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" if is_chunked else piece)
                sent += len(piece)
                self.sent = max(self.sent, sent)
                piece = _SPACES
            request.wfile.write(b"0\r\n\r\n" if is_chunked else b"")


def check_unknowing(requests: Iterable[Came], secrets: Iterable[str] = SECRETS) -> None:
    """See that whoever got these requests knows nothing of the user."""
    for came in requests:
        assert "authorization" not in came.headers, came
        text = f"{came.path} {came.headers}"
        assert not [secret for secret in secrets if secret in text], came
