from __future__ import annotations

import socket
from contextlib import closing

import pytest

from demo.registry import Handler, Registry, serve
from hatch_oci.errors import RegistryError
from hatch_oci.registry.transport import Content, Request, Transport
from hatch_oci.registry.urls import safe_url
from tests.unit.bases import QUICK


def redirect(location: str, *seen: list[str]) -> object:
    def answer(request: Handler) -> None:
        for log in seen:
            log.append(request.headers.get("Authorization", ""))
        request.reply(307, b"", {"Location": location})

    return answer


def get(url: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    with closing(Transport()) as transport, transport.open(Request("GET", url, headers or {})) as answer:
        return answer.status, answer.read(1000)


def test_a_redirect_is_followed_and_credentials_stay_with_their_origin(server: Registry) -> None:
    seen: list[str] = []

    def target(request: Handler) -> None:
        seen.append(request.headers.get("Authorization", ""))
        request.reply(200, b"there")

    with serve({}) as other:
        other.answers["GET", "/there"] = target
        server.answers["GET", "/here"] = redirect("/near", seen)  # type: ignore[assignment]
        server.answers["GET", "/near"] = redirect(f"http://{other.address}/there", seen)  # type: ignore[assignment]
        assert get(f"http://{server.address}/here", {"Authorization": "Bearer secret"}) == (200, b"there")
    assert seen == ["Bearer secret", "Bearer secret", ""]


def test_a_redirect_without_end_stops_at_five(server: Registry) -> None:
    server.answers["GET", "/loop"] = redirect("/loop")  # type: ignore[assignment]
    with pytest.raises(RegistryError, match=r"/loop redirects more than 5 times"):
        get(f"http://{server.address}/loop")
    assert len(server.log) == 6


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://example.com/x", "mailto:a@b", "data:x"])
def test_a_redirect_to_what_is_not_http_is_refused(target: str, server: Registry) -> None:
    server.answers["GET", "/x"] = redirect(target)  # type: ignore[assignment]
    with pytest.raises(RegistryError) as caught:
        get(f"http://{server.address}/x")
    message = f"http://{server.address}/x redirects to what is not a URL of http or https: {target!r}"
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "target",
    [
        "https://[::1",
        "http://a:b:c/",
        "http://127.0.0.1:99999/x",
        "https://127.0.0.1:99999/x",
        "https://127.0.0.1:0/x",
        "//",
        "http://",
        "http://xn--a/",
        "http://\xfc..example/",
        pytest.param("http://" + "a" * 300 + "/", id="a long name"),
        "?x\x01",
    ],
)
@pytest.mark.parametrize("is_blob", [False, True])
def test_a_redirect_to_nonsense_is_an_error(target: str, is_blob: bool, server: Registry) -> None:
    server.answers["GET", "/x"] = redirect(target)  # type: ignore[assignment]
    with (
        closing(Transport(patience=QUICK)) as transport,
        pytest.raises(RegistryError) as caught,
        transport.open(Request("GET", f"http://{server.address}/x", is_blob=is_blob)),
    ):
        pass
    assert len(str(caught.value)) < 600


def test_a_user_in_a_redirect_is_not_sent(server: Registry) -> None:
    seen: list[str] = []
    server.answers["GET", "/there"] = redirect("/end", seen)  # type: ignore[assignment]
    server.answers["GET", "/end"] = lambda request: request.reply(200, b"there")
    server.answers["GET", "/x"] = redirect(f"http://user:word@{server.address}/there")  # type: ignore[assignment]
    assert get(f"http://{server.address}/x") == (200, b"there")
    assert seen == [""]


@pytest.mark.parametrize("body", [b"", b"<a href=there>"])
def test_a_connection_that_redirects_is_kept(body: bytes, server: Registry) -> None:
    ports: list[int] = []

    def answer(request: Handler) -> None:
        ports.append(request.client_address[1])
        request.reply(307, body, {"Location": f"http://{other.address}/v2/"})

    server.answers["GET", "/x"] = answer
    with serve({}) as other, closing(Transport(patience=QUICK)) as transport:
        for _ in range(3):
            with transport.open(Request("GET", f"http://{server.address}/x")) as got:
                assert got.read(10) == b"{}"
    assert len(set(ports)) == 1
    assert len(ports) == 3


def test_a_redirect_whose_body_does_not_come_is_followed(server: Registry) -> None:
    def answer(request: Handler) -> None:
        request.reply(307, b"", {"Location": "/v2/", "Content-Length": "9"})
        request.connection.recv(1)

    server.answers["GET", "/x"] = answer
    assert get(f"http://{server.address}/x") == (200, b"{}")


@pytest.mark.parametrize("size", [2000, 1_000_000])
def test_of_an_error_just_the_beginning_is_read(size: int, server: Registry) -> None:
    server.answers["GET", "/x"] = lambda request: request.reply(404, b"x" * size)
    status, body = get(f"http://{server.address}/x")
    assert (status, len(body)) == (404, min(size, 64 * 1024))


def test_a_host_is_sent_as_the_redirect_writes_it(server: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def answer(request: Handler) -> None:
        seen.append(request.headers["Host"])
        request.reply(307 if len(seen) == 1 else 200, b"", {"Location": "http://other.example:80/x"})

    server.answers["GET", "*"] = answer
    monkeypatch.setenv("HTTP_PROXY", f"http://{server.address}")
    get("http://r.example/x")
    assert seen == ["r.example", "other.example:80"]


def test_an_answer_longer_than_its_bound_is_refused(server: Registry) -> None:
    server.answers["GET", "/long"] = lambda request: request.reply(200, b"x" * 2000)
    with pytest.raises(RegistryError) as caught:
        get(f"http://{server.address}/long?token=secret")
    assert str(caught.value) == (
        f"http://{server.address}/long sent more than the 1000 bytes that such an answer may have"
    )


def test_a_body_is_read_as_it_is_on_the_wire(server: Registry) -> None:
    def answer(request: Handler) -> None:
        request.reply(200, b"\x1f\x8bnot really", {"Content-Encoding": "gzip"})

    server.answers["GET", "/x"] = answer
    assert get(f"http://{server.address}/x") == (200, b"\x1f\x8bnot really")


def test_cookies_are_not_sent_back(server: Registry) -> None:
    seen = []

    def answer(request: Handler) -> None:
        seen.append(request.headers.get("Cookie"))
        request.reply(200, b"", {"Set-Cookie": "session=1"})

    server.answers["GET", "/x"] = answer
    with closing(Transport()) as transport:
        for _ in range(2):
            with transport.open(Request("GET", f"http://{server.address}/x")) as got:
                got.read(10)
    assert seen == [None, None]


def test_a_connection_that_breaks_is_one_line(server: Registry) -> None:
    def answer(request: Handler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100")
        request.end_headers()
        request.wfile.write(b"x")
        request.close_connection = True

    server.answers["GET", "/x"] = answer
    with pytest.raises(RegistryError, match=rf"^no answer from http://{server.address}: .*") as caught:
        get(f"http://{server.address}/x?signature=secret")
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_one_line() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        with pytest.raises(RegistryError, match=f"^no answer from http://127.0.0.1:{port}: "):
            get(f"http://127.0.0.1:{port}/v2/")


def test_a_url_is_shown_without_its_secrets() -> None:
    assert safe_url("https://user:pass@example.com:8443/v2/?X-Signature=abc#x") == "https://example.com:8443/v2/"
    assert safe_url("//user:pass@[/\x1b?x") == "//[/?"


def test_a_request_is_shown_without_its_secrets() -> None:
    content = Content.of(b"refresh_token=hidden")
    request = Request("POST", "https://r.example/token", {"Authorization": "Basic hidden"}, content)
    assert "hidden" not in repr(request)
