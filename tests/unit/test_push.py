"""Blobs and manifests on their way into a registry that has its own way, or that fails."""

from __future__ import annotations

import tracemalloc

import pytest

from demo.base import digest
from demo.registry import Handler, Repository, serve
from hatch_oci.errors import RegistryError
from hatch_oci.image.digest import Digest
from hatch_oci.registry.push import Blob, Destination
from tests.unit.uploads import Uploads, pieces_of, read_body, refuse

DATA = bytes(range(256)) * 4096
NAME = digest(DATA)
BLOB = Blob(Digest.parse(NAME), len(DATA), lambda: iter([DATA[:1000], DATA[1000:]]))
BEGIN = "/v2/app/blobs/uploads/"


def test_a_blob_is_one_post_and_one_put(registry: Uploads, destination: Destination) -> None:
    assert destination.put_blob(BLOB) is True
    assert registry.repositories["app"].blobs == {NAME: DATA}
    assert registry.methods("/uploads/") == ["POST", "PUT"]
    put = registry.requests[-1].headers
    assert put["content-length"] == str(len(DATA))
    assert put["content-type"] == "application/octet-stream"
    assert "transfer-encoding" not in put


def test_an_empty_blob_is_sent(registry: Uploads, destination: Destination) -> None:
    assert destination.put_blob(Blob(Digest.of(b""), 0, lambda: iter(())))
    assert registry.repositories["app"].blobs == {str(Digest.of(b"")): b""}


@pytest.mark.parametrize("form", ["absolute", "from the root", "beside the request", "without a scheme"])
def test_the_place_for_an_upload_may_be_written_in_every_way(
    form: str, registry: Uploads, destination: Destination
) -> None:
    registry.locate = {
        "absolute": lambda path: f"http://{registry.address}{path}",
        "from the root": lambda path: path,
        "beside the request": lambda path: path.rpartition("/")[2],
        "without a scheme": lambda path: f"//{registry.address}{path}",
    }[form]
    destination.put_blob(BLOB)
    assert registry.repositories["app"].blobs == {NAME: DATA}


def test_the_query_of_the_place_is_kept_as_it_is(registry: Uploads, destination: Destination) -> None:
    query = "_state=qX3%2BfQ%3D%3D-~.&a=%20b&_x=1+2"
    registry.locate = lambda path: f"{path}?{query}"
    destination.put_blob(BLOB)
    target = registry.requests[-1].path.partition("?")[2]
    assert target.startswith(f"{query}&digest=sha256")
    assert registry.repositories["app"].blobs == {NAME: DATA}


def test_a_registry_that_says_nothing_of_the_place_is_an_error(registry: Uploads, destination: Destination) -> None:
    registry.answers["POST", BEGIN] = refuse(202)
    with pytest.raises(RegistryError, match=rf"^HTTP 202 from {registry.address} about an upload of {NAME}"):
        destination.put_blob(BLOB)


def test_what_is_mounted_is_not_sent(registry: Uploads, destination: Destination) -> None:
    registry.repositories["library/base"] = Repository({NAME: DATA})
    assert destination.put_blob(BLOB, "library/base") is False
    assert registry.repositories["app"].blobs == {NAME: DATA}
    assert registry.methods("/blobs/") == ["POST"]
    assert registry.sizes == []


@pytest.mark.parametrize("case", ["mounts nothing", "has it no more"])
def test_a_mount_that_is_not_made_goes_on_as_that_very_upload(
    case: str, registry: Uploads, destination: Destination
) -> None:
    registry.mounts = case != "mounts nothing"
    assert destination.put_blob(BLOB, "library/base") is True
    assert registry.methods("/blobs/") == ["POST", "PUT"]
    assert registry.begun == 1
    assert registry.repositories["app"].blobs == {NAME: DATA}


def test_a_blob_is_sent_to_another_host_and_nothing_secret_with_it(
    registry: Uploads, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HATCH_OCI_REGISTRY", registry.address)
    monkeypatch.setenv("HATCH_OCI_USER", "me")
    monkeypatch.setenv("HATCH_OCI_AUTH", "secret-word")

    def guarded(request: Handler) -> None:
        if "Authorization" in request.headers:
            request.answer()
        else:
            read_body(request)
            request.reply(401, b"", {"WWW-Authenticate": "Basic realm=x"})

    registry.answers["POST", "*"] = guarded
    with serve({}) as elsewhere:
        headers: list[str] = []

        def take(request: Handler) -> None:
            headers.extend(map(str.lower, request.headers))
            registry.repository("app").blobs[NAME] = read_body(request)
            request.reply(201)

        elsewhere.answers["PUT", "/bucket/key"] = take
        registry.locate = lambda _path: f"http://{elsewhere.address}/bucket/key?Signature=abc%2F"
        destination.put_blob(BLOB)
        assert registry.repositories["app"].blobs == {NAME: DATA}
        assert [method for method, _ in elsewhere.log] == ["PUT"]
        assert elsewhere.log[0][1].startswith("/bucket/key?Signature=abc%2F&digest=sha256")
    assert "basic" in registry.requests[-1].headers["authorization"].lower()
    assert "authorization" not in headers
    assert "cookie" not in headers


def test_a_place_that_is_no_url_is_an_error(registry: Uploads, destination: Destination) -> None:
    registry.locate = lambda _path: "file:///etc/passwd"
    with pytest.raises(RegistryError, match="not a URL of http or https"):
        destination.put_blob(BLOB)


def test_an_upload_that_the_registry_redirects_is_not_followed(registry: Uploads, destination: Destination) -> None:
    with serve({}) as elsewhere:

        def redirect(request: Handler) -> None:
            read_body(request)
            request.reply(307, b"", {"Location": f"http://{elsewhere.address}/"})

        registry.answers["PUT", f"{BEGIN}session1"] = redirect
        with pytest.raises(RegistryError, match="redirects"):
            destination.put_blob(BLOB)
        assert elsewhere.log == []


def test_an_upload_that_is_cut_begins_anew(registry: Uploads, destination: Destination, told: list[str]) -> None:
    def cut(request: Handler) -> None:
        next(pieces_of(request))
        request.close_connection = True

    registry.answers["PUT", f"{BEGIN}session1"] = cut
    assert destination.put_blob(BLOB) is True
    assert registry.methods("/uploads/") == ["POST", "PUT", "POST", "PUT"]
    assert registry.requests[-1].path.startswith(f"{BEGIN}session2?")
    assert registry.repositories["app"].blobs == {NAME: DATA}
    assert len(told) == 1
    assert "trying again" in told[0]


def test_an_upload_that_nobody_answers_begins_anew(registry: Uploads, destination: Destination) -> None:
    def say_nothing(request: Handler) -> None:
        read_body(request)
        request.close_connection = True

    registry.answers["PUT", f"{BEGIN}session1"] = say_nothing
    destination.put_blob(BLOB)
    assert registry.begun == 2


@pytest.mark.parametrize("status", [404, 408, 416, 429, 500, 502, 503, 504])
def test_an_upload_that_fails_for_now_begins_anew(
    status: int, registry: Uploads, destination: Destination, told: list[str]
) -> None:
    registry.answers["PUT", f"{BEGIN}session1"] = refuse(status, headers={"Retry-After": "40"})
    assert destination.put_blob(BLOB) is True
    assert registry.begun == 2
    assert registry.repositories["app"].blobs == {NAME: DATA}
    # Not 40 s: it waits for at most as long as its patience is.
    assert [line.endswith("trying again in 0.1 s") for line in told] == [True]


def test_an_upload_that_goes_on_failing_is_begun_five_times(registry: Uploads, destination: Destination) -> None:
    registry.answers["PUT", "*"] = refuse(503, times=100)
    with pytest.raises(RegistryError, match=f"^HTTP 503 from {registry.address} at the end of {NAME}$"):
        destination.put_blob(BLOB)
    assert registry.begun == 5


@pytest.mark.parametrize("status", [400, 403, 405, 413, 501])
def test_an_upload_that_fails_for_good_is_tried_once(status: int, registry: Uploads, destination: Destination) -> None:
    body = b'{"errors":[{"code":"DENIED","message":"the quota is used up"}]}'
    registry.answers["PUT", "*"] = refuse(status, times=100, body=body)
    with pytest.raises(RegistryError, match=r"the quota is used up|refuses app"):
        destination.put_blob(BLOB)
    assert registry.methods("/uploads/") == ["POST", "PUT"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_post_that_fails_for_now_is_tried_again(
    status: int, registry: Uploads, destination: Destination, told: list[str]
) -> None:
    registry.answers["POST", BEGIN] = refuse(status, times=2, headers={"Retry-After": "40"})
    destination.put_blob(BLOB)
    assert registry.methods("/uploads/") == ["POST", "POST", "POST", "PUT"]
    assert [line.endswith("trying again in 0.1 s") for line in told] == [True, True]


def test_a_post_that_nobody_answers_is_tried_five_times(registry: Uploads, destination: Destination) -> None:
    def hang_up(request: Handler) -> None:
        request.close_connection = True

    registry.answers["POST", BEGIN] = hang_up
    with pytest.raises(RegistryError, match=f"no answer from http://{registry.address}"):
        destination.put_blob(BLOB)
    assert registry.methods("/uploads/") == ["POST"] * 5


def test_bytes_that_are_not_the_digests_are_refused_by_the_registry_once(
    registry: Uploads, destination: Destination
) -> None:
    damaged = Blob(BLOB.digest, BLOB.size, lambda: iter([DATA[:-1], b"x"]))
    with pytest.raises(RegistryError, match=rf"^HTTP 400 from {registry.address} about blob {NAME}.*DIGEST_INVALID"):
        destination.put_blob(damaged)
    assert registry.begun == 1
    assert registry.repositories["app"].blobs == {}


def test_a_blob_is_there_or_not(registry: Uploads, destination: Destination) -> None:
    assert not destination.has(BLOB.digest)
    registry.repository("app").blobs[NAME] = DATA
    assert destination.has(BLOB.digest)
    assert registry.methods("/blobs/") == ["HEAD", "HEAD"]


def test_a_blob_that_lies_in_a_store_elsewhere_is_there(registry: Uploads, destination: Destination) -> None:
    """The signature of its URL is for a GET, so nobody asks the store."""
    with serve({}) as store:
        store.answers["HEAD", "/blob"] = lambda request: request.reply(403)
        registry.answers["HEAD", "*"] = lambda request: request.reply(
            307, b"", {"Location": f"http://{store.address}/blob?Signature=abc"}
        )
        assert destination.has(BLOB.digest)


def test_a_registry_that_does_not_say_what_it_has_is_an_error(registry: Uploads, destination: Destination) -> None:
    registry.answers["HEAD", "*"] = lambda request: request.reply(400)
    with pytest.raises(RegistryError, match=rf"^HTTP 400 from {registry.address} about blob {NAME}"):
        destination.has(BLOB.digest)


def test_a_large_blob_takes_little_memory(registry: Uploads, destination: Destination) -> None:
    registry.keeps = False
    piece, count = bytes(1024 * 1024), 64
    blob = Blob(Digest.of(piece * count), count * len(piece), lambda: (piece for _ in range(count)))
    destination.has(blob.digest)
    tracemalloc.start()
    try:
        destination.put_blob(blob)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert registry.sizes == [count * len(piece)]
    # The server is in this process, too.
    assert most < 8 * len(piece)
