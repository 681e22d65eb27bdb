"""Pushes to registries that ask who pushes, with tokens that are too narrow, that end, or are for other things."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Barrier
from urllib.parse import parse_qs, urlsplit

import pytest

from demo.registry import Handler, Repository
from hatch_oci.errors import OCIError
from hatch_oci.image.digest import Digest
from hatch_oci.registry.push import Blob, Destination
from hatch_oci.registry.transport import Transport
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import small_image
from tests.unit.layouts import config_of, image_on, layers_of, push, write_layout
from tests.unit.uploads import BRIEF, Uploads, read_body, serve_uploads

IMAGE = small_image()
BASIC = "Basic " + base64.b64encode(b"me:secret-word").decode()


@dataclass
class Guard:
    """Lets in who has a token for what a request does, as docker-registry's guard does, and hands out such tokens."""

    uploads: Uploads
    allowed: dict[str, set[str]] = field(default_factory=lambda: {"acme/app": {"pull", "push"}})
    """What the user may do, by repository."""

    reads_narrow: bool = True
    """Whether the challenge to a HEAD speaks of reading only."""

    basic: bool = False
    asked: list[list[str]] = field(default_factory=list)
    """The scopes of each token that was asked for."""

    tokens: dict[str, list[str]] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)

    def answer(self, request: Handler) -> None:
        shown = request.headers.get("Authorization", "")
        target = urlsplit(request.path)
        if target.path == "/token":
            self.give_token(request, shown, parse_qs(target.query).get("scope", []))
            return
        self.shown.append(shown)
        needed = self._needed(request.command, target.path, parse_qs(target.query))
        granted = self.tokens.get(shown.removeprefix("Bearer "), [])
        if target.path == "/v2/" or (shown == BASIC if self.basic else set(needed) <= set(granted)):
            request.answer()
            return
        read_body(request)
        scopes: dict[str, list[str]] = {}
        for repository, action in (one.rsplit(":", 1) for one in needed):
            scopes.setdefault(repository, []).append(action)
        scope = " ".join(f"repository:{name}:{','.join(actions)}" for name, actions in scopes.items())
        bearer = f'Bearer realm="http://{self.uploads.address}/token",service="me",scope="{scope}"'
        bearer += ',error="insufficient_scope"' if shown else ""
        request.reply(401, b"{}", {"WWW-Authenticate": 'Basic realm="me"' if self.basic else bearer})

    def give_token(self, request: Handler, shown: str, scopes: list[str]) -> None:
        """Give a token for what the user may do of what he asks for, maybe nothing."""
        self.asked.append(scopes)
        if shown != BASIC:
            request.reply(401, b'{"details":"incorrect username or password"}')
            return
        token = f"token{len(self.asked)}"
        self.tokens[token] = [
            f"{name}:{action}"
            for _, name, actions in (scope.split(":") for scope in scopes)
            for action in actions.split(",")
            if action in self.allowed.get(name, ())
        ]
        request.reply(200, json.dumps({"token": token, "expires_in": 300}).encode())

    def _needed(self, method: str, path: str, query: dict[str, list[str]]) -> list[str]:
        name = path.removeprefix("/v2/").partition("/blobs/")[0].partition("/manifests/")[0]
        reads = method in ("GET", "HEAD") and self.reads_narrow
        needed = [f"{name}:pull"] if reads else [f"{name}:pull", f"{name}:push"]
        return needed + [f"{source}:pull" for source in query.get("from", [])]


@pytest.fixture
def guard() -> Iterator[Guard]:
    with serve_uploads() as uploads:
        guard = Guard(uploads)
        for method in ("GET", "HEAD", "POST", "PUT"):
            uploads.answers[method, "*"] = guard.answer
        yield guard


@pytest.fixture(autouse=True)
def file(home: Path, guard: Guard) -> Path:
    """Log in, by Docker's file."""
    path = home / ".docker/config.json"
    path.parent.mkdir()
    entry = {"auth": BASIC.removeprefix("Basic ")}
    path.write_text(json.dumps({"auths": {guard.uploads.address: entry}}))
    return path


@pytest.fixture
def to(guard: Guard) -> str:
    return f"{guard.uploads.address}/acme/app"


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return write_layout(tmp_path / "app.oci", [IMAGE])


def test_a_token_for_reading_is_exchanged_for_one_for_writing(
    guard: Guard, to: str, layout: Path, store: BlobStore
) -> None:
    push(layout, to, store)
    assert guard.uploads.repositories["acme/app"].blobs == IMAGE.blobs
    # Two in all: one for each scope, whatever the number of threads.
    assert guard.asked == [["repository:acme/app:pull"], ["repository:acme/app:pull,push"]]
    # The blobs themselves are sent by those who may: none of them twice.
    assert guard.uploads.begun == len(guard.uploads.sizes) == 3


def test_one_token_is_enough_where_the_registry_asks_for_a_wide_one(
    guard: Guard, to: str, layout: Path, store: BlobStore
) -> None:
    guard.reads_narrow = False
    push(layout, to, store)
    assert guard.asked == [["repository:acme/app:pull,push"]]


def test_user_and_password_are_sent_where_the_registry_wants_them(
    guard: Guard, to: str, layout: Path, store: BlobStore
) -> None:
    guard.basic = True
    push(layout, to, store)
    assert guard.uploads.repositories["acme/app"].blobs == IMAGE.blobs
    assert set(guard.shown) == {"", BASIC}


def test_a_token_that_ends_before_a_blob_is_there_is_renewed(
    guard: Guard, to: str, layout: Path, store: BlobStore
) -> None:
    ended: list[str] = []
    # All uploads have begun by then: none is refused that has just asked for its first token.
    all_begun = Barrier(len(IMAGE.blobs), timeout=10)

    def end(request: Handler) -> None:
        if not ended and all_begun.wait() == 0:
            guard.tokens.clear()
            ended.append(request.headers["Authorization"])
        guard.answer(request)

    guard.uploads.answers["PUT", "*"] = end
    push(layout, to, store)
    assert guard.uploads.repositories["acme/app"].blobs == IMAGE.blobs
    assert "1" in guard.uploads.repositories["acme/app"].manifests
    assert guard.asked[-1] == ["repository:acme/app:pull,push"]
    assert len(guard.asked) == 3


def test_a_token_that_ends_before_the_manifest_is_renewed(
    guard: Guard, to: str, layout: Path, store: BlobStore
) -> None:
    def end(request: Handler) -> None:
        del guard.uploads.answers["PUT", "/v2/acme/app/manifests/1"]
        guard.tokens.clear()
        guard.answer(request)

    guard.uploads.answers["PUT", "/v2/acme/app/manifests/1"] = end
    push(layout, to, store)
    assert "1" in guard.uploads.repositories["acme/app"].manifests
    assert len(guard.uploads.sizes) == 3


def test_a_mount_takes_a_token_for_both_repositories(guard: Guard, tmp_path: Path, store: BlobStore) -> None:
    guard.allowed["library/base"] = {"pull"}
    built = image_on(f"{guard.uploads.address}/library/base:1")
    guard.uploads.repositories["library/base"] = Repository({name: built.blobs[name] for name in layers_of(built)})
    push(write_layout(tmp_path / "app.oci", [built]), f"{guard.uploads.address}/acme/app", store)
    assert guard.uploads.sizes == [len(built.blobs[config_of(built)])]
    assert ["repository:acme/app:pull,push", "repository:library/base:pull"] in guard.asked


def test_what_may_not_be_mounted_is_uploaded(guard: Guard, tmp_path: Path, store: BlobStore) -> None:
    """The user may write here, but no more read what the base, or an earlier push, is in."""
    built = image_on(f"{guard.uploads.address}/library/base:1")
    guard.uploads.repositories["library/base"] = Repository({name: built.blobs[name] for name in layers_of(built)})
    push(write_layout(tmp_path / "app.oci", [built]), f"{guard.uploads.address}/acme/app", store)
    assert guard.uploads.repositories["acme/app"].blobs == built.blobs
    assert "1" in guard.uploads.repositories["acme/app"].manifests


def test_what_may_not_be_mounted_is_known_for_the_next_blob(guard: Guard) -> None:
    with closing(Transport(patience=BRIEF)) as transport:
        destination = Destination(transport, guard.uploads.address, "acme/app")
        for content in (b"one", b"two"):
            blob = Blob(Digest.of(content), len(content), partial(iter, [content]))
            assert destination.put_blob(blob, "library/base")
    mounts = {parse_qs(urlsplit(came.path).query).get("mount", [""])[0] for came in guard.uploads.requests}
    assert mounts == {"", str(Digest.of(b"one"))}


def test_what_somebody_else_pushed_from_here_bars_nothing(
    guard: Guard, to: str, layout: Path, store: BlobStore
) -> None:
    guard.allowed["other/app"] = {"pull", "push"}
    push(layout, f"{guard.uploads.address}/other/app", store)
    del guard.allowed["other/app"]
    guard.tokens.clear()
    push(layout, to, store)
    assert guard.uploads.repositories["acme/app"].blobs == IMAGE.blobs


@pytest.mark.parametrize("basic", [True, False], ids=["Basic", "Bearer"])
def test_without_credentials_one_line_says_where_they_were_looked_for(
    basic: bool, guard: Guard, to: str, layout: Path, store: BlobStore, file: Path
) -> None:
    guard.basic = basic
    file.unlink()
    with pytest.raises(OCIError) as caught:
        push(layout, to, store)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{guard.uploads.address} refuses acme/app: tried ")
    assert f"og in with `docker login {guard.uploads.address}`, or set HATCH_OCI_REGISTRY" in line
    assert guard.uploads.begun == 0


@pytest.mark.parametrize("basic", [True, False], ids=["Basic", "Bearer"])
def test_a_wrong_password_is_named_by_its_place_and_not_shown(
    basic: bool, guard: Guard, to: str, layout: Path, store: BlobStore, file: Path
) -> None:
    guard.basic = basic
    file.write_text(file.read_text().replace(BASIC.removeprefix("Basic "), base64.b64encode(b"me:wrong-word").decode()))
    with pytest.raises(OCIError) as caught:
        push(layout, to, store)
    assert f"with key {guard.uploads.address} in {file}: " in str(caught.value)
    assert "wrong-word" not in str(caught.value)


def test_who_may_only_read_is_told_so_and_sends_nothing(guard: Guard, to: str, layout: Path, store: BlobStore) -> None:
    guard.allowed["acme/app"] = {"pull"}
    with pytest.raises(OCIError, match=f"^{guard.uploads.address} refuses acme/app: tried with key "):
        push(layout, to, store)
    assert guard.uploads.begun == 0
    assert guard.uploads.methods("/manifests/") == []
