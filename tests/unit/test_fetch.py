"""Wheels from an index in a thread, with and without credentials."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from packaging.utils import NormalizedName
from packaging.version import Version

from demo.registry import Handler, Registry, serve
from hatch_oci.errors import ContentError, LockError, OCIError, RegistryError
from hatch_oci.image.digest import Digest
from hatch_oci.lock.fetch import fetch_pinned
from hatch_oci.lock.selection import Pinned
from hatch_oci.registry.options import RegistryOptions
from hatch_oci.registry.remote import Remote
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import QUICK

WHEEL = b"a wheel" * 10_000
NAME = "demo-1.0-py3-none-any.whl"
DIGEST = Digest.of(WHEEL)
BASIC = "Basic " + base64.b64encode(b"me:secret").decode()


@pytest.fixture
def index() -> Iterator[Registry]:
    with serve({}) as index:
        index.answers["GET", f"/{NAME}"] = lambda request: request.reply(200, WHEEL)
        yield index


def pin(url: str | None, path: str | None = None, digest: Digest = DIGEST, size: int | None = len(WHEEL)) -> Pinned:
    return Pinned(NormalizedName("demo"), Version("1.0"), NAME, digest, url, path, size, None)


def fetch(one: Pinned, store: BlobStore, folder: Path = Path(), **options: object) -> bytes:
    known = RegistryOptions(**options)  # type: ignore[arg-type]
    reporter = Reporter(info=lambda _text: None, warn=lambda _text: None)
    with closing(Remote(known, reporter, QUICK)) as remote:
        return fetch_pinned([one], folder, store, remote)[one.digest].path.read_bytes()


@pytest.mark.parametrize("size", [len(WHEEL), None])
def test_a_wheel_is_fetched_once_and_kept_by_its_hash(size: int | None, index: Registry, store: BlobStore) -> None:
    one = pin(f"http://{index.address}/{NAME}", size=size)
    assert fetch(one, store) == WHEEL
    assert fetch(one, store, offline=True) == WHEEL
    assert index.log == [("GET", f"/{NAME}")]


def test_sha512_pins_too(index: Registry, store: BlobStore) -> None:
    digest = Digest("sha512", hashlib.sha512(WHEEL).hexdigest())
    assert fetch(pin(f"http://{index.address}/{NAME}", digest=digest), store) == WHEEL


@pytest.mark.parametrize("size", [len(WHEEL), None])
def test_a_wheel_that_is_not_what_its_hash_says_is_refused_by_its_name(
    size: int | None, index: Registry, store: BlobStore
) -> None:
    index.answers["GET", f"/{NAME}"] = lambda request: request.reply(200, WHEEL[::-1])
    with pytest.raises(ContentError, match=f"^{NAME} is not what the lock pins: {DIGEST} was asked for"):
        fetch(pin(f"http://{index.address}/{NAME}", size=size), store)
    assert list((store.folder / "incoming").iterdir()) == []


@pytest.mark.parametrize("size", [len(WHEEL), None])
def test_a_wheel_that_breaks_off_goes_on(size: int | None, index: Registry, store: BlobStore) -> None:
    ranges: list[str | None] = []

    def answer(request: Handler) -> None:
        ranges.append(request.headers.get("Range"))
        if ranges == [None]:
            request.send_response(200)
            request.send_header("Content-Length", str(len(WHEEL)))
            request.end_headers()
            request.wfile.write(WHEEL[:100])
            request.close_connection = True
        else:
            request.reply_blob(WHEEL, str(DIGEST))

    index.answers["GET", f"/{NAME}"] = answer
    assert fetch(pin(f"http://{index.address}/{NAME}", size=size), store) == WHEEL
    assert ranges == [None, "bytes=100-"]


def guarded(index: Registry, shown: list[str | None]) -> None:
    def answer(request: Handler) -> None:
        shown.append(request.headers.get("Authorization"))
        if shown[-1] == BASIC:
            request.reply(200, WHEEL)
        else:
            request.reply(401, b"", {"WWW-Authenticate": "Basic realm=x"})

    index.answers["GET", f"/{NAME}"] = answer


def test_a_private_index_gets_the_credentials_of_netrc_when_it_asks(
    index: Registry, store: BlobStore, home: Path
) -> None:
    shown: list[str | None] = []
    guarded(index, shown)
    netrc = home / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    assert fetch(pin(f"http://{index.address}/{NAME}"), store) == WHEEL
    assert shown == [None, BASIC]


@pytest.mark.parametrize("content", [b"machine \xff\xfe login me password secret\n", b"machine 127.0.0.1 login me\n"])
def test_a_netrc_that_is_broken_does_not_end_in_a_traceback(
    content: bytes, index: Registry, store: BlobStore, home: Path
) -> None:
    guarded(index, [])
    (home / ".netrc").write_bytes(content)
    (home / ".netrc").chmod(0o600)
    with pytest.raises(RegistryError, match="refuses demo"):
        fetch(pin(f"http://{index.address}/{NAME}"), store)


def test_credentials_in_the_url_are_used_and_not_shown(index: Registry, store: BlobStore) -> None:
    shown: list[str | None] = []
    guarded(index, shown)
    assert fetch(pin(f"http://me:secret@{index.address}/{NAME}"), store) == WHEEL
    assert shown == [BASIC]
    with pytest.raises(RegistryError, match="refuses demo") as caught:
        fetch(pin(f"http://me:sekret@{index.address}/{NAME}", digest=Digest.of(b"")), store)
    assert "sekret" not in str(caught.value)


def test_an_index_that_refuses_says_where_credentials_go(index: Registry, store: BlobStore) -> None:
    guarded(index, [])
    with pytest.raises(RegistryError) as caught:
        fetch(pin(f"http://{index.address}/{NAME}"), store)
    assert str(caught.value) == (
        f"http://{index.address} refuses {NAME} (HTTP 401): put its credentials into ~/.netrc or the keyring"
    )


def test_credentials_of_an_index_do_not_follow_a_redirect(index: Registry, store: BlobStore, home: Path) -> None:
    (home / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (home / ".netrc").chmod(0o600)
    with serve({}) as other:
        seen: list[str | None] = []

        def target(request: Handler) -> None:
            seen.append(request.headers.get("Authorization"))
            request.reply(200, WHEEL)

        def here(request: Handler) -> None:
            if request.headers.get("Authorization"):
                request.reply(302, b"", {"Location": f"http://{other.address}/there"})
            else:
                request.reply(401)

        other.answers["GET", "/there"] = target
        index.answers["GET", f"/{NAME}"] = here
        assert fetch(pin(f"http://{index.address}/{NAME}"), store) == WHEEL
    assert seen == [None]


@pytest.mark.parametrize("status", [404, 410])
def test_a_wheel_that_is_gone_is_told_as_such(status: int, index: Registry, store: BlobStore) -> None:
    index.answers["GET", f"/{NAME}"] = lambda request: request.reply(status)
    with pytest.raises(OCIError, match=f"has no {NAME} any more .*: make the lock anew"):
        fetch(pin(f"http://{index.address}/{NAME}"), store)


def test_a_wheel_may_lie_beside_the_lock(store: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / NAME).write_bytes(WHEEL)
    assert fetch(pin(None, f"wheels/{NAME}"), store, tmp_path, offline=True) == WHEEL
    assert fetch(pin((tmp_path / "wheels" / NAME).as_uri()), BlobStore(tmp_path / "other")) == WHEEL


def test_a_path_that_is_not_there_is_named(store: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(LockError, match=f"^{NAME}: cannot read .*/nowhere: No such file or directory"):
        fetch(pin(None, "nowhere"), store, tmp_path)


@pytest.mark.parametrize("url", ["ftp://example.com/x", "https:///x", "git+https://example.com/x"])
def test_what_is_no_url_to_fetch_from_is_refused(url: str, store: BlobStore) -> None:
    with pytest.raises(LockError, match="is no URL to fetch from"):
        fetch(pin(url), store)


def test_offline_what_is_missing_is_named(index: Registry, store: BlobStore) -> None:
    with pytest.raises(LockError) as caught:
        fetch(pin(f"http://{index.address}/{NAME}"), store, offline=True)
    assert str(caught.value) == (f"{NAME}: not in the cache, and HATCH_OCI_OFFLINE is set: build once without it")
    assert index.log == []
