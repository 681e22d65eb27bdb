from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.registry import Handler, Registry, Server, running, serve
from hatch_oci.errors import RegistryError
from hatch_oci.registry.network import Scope
from hatch_oci.registry.proxies import find_proxy
from hatch_oci.registry.transport import Request, Transport
from tests.unit.bases import QUICK
from tests.unit.documents import value_or_message

PROXY = "http://proxy.example:3128"


def is_direct(no_proxy: str, host: str = "r.example", port: int = 443) -> bool:
    return find_proxy("https", host, port, {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}) is None


@pytest.mark.parametrize(
    ("environ", "https", "http"),
    [
        ({}, None, None),
        ({"HTTPS_PROXY": "http://a"}, "http://a", None),
        ({"HTTP_PROXY": "http://a"}, None, "http://a"),
        ({"ALL_PROXY": "http://a"}, "http://a", "http://a"),
        ({"HTTPS_PROXY": "http://a", "HTTP_PROXY": "http://b", "ALL_PROXY": "http://c"}, "http://a", "http://b"),
        ({"https_proxy": "http://a", "http_proxy": "http://b"}, "http://a", "http://b"),
        ({"all_proxy": "http://a", "HTTP_PROXY": "http://b"}, "http://a", "http://b"),
        ({"https_proxy": "http://a", "HTTPS_PROXY": "http://b"}, "http://a", None),
        ({"https_proxy": "", "HTTPS_PROXY": "http://b"}, "http://b", None),
        ({"HTTPS_PROXY": "", "ALL_PROXY": "http://b"}, "http://b", "http://b"),
        ({"HTTPS_PROXY": "  ", "ALL_PROXY": " http://b \n"}, "http://b", "http://b"),
    ],
)
def test_each_scheme_has_its_proxy(environ: dict[str, str], https: str | None, http: str | None) -> None:
    assert find_proxy("https", "r.example", 443, environ) == https
    assert find_proxy("http", "r.example", 80, environ) == http


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("proxy.example:3128", "http://proxy.example:3128"),
        ("proxy.example", "http://proxy.example"),
        ("HTTP://proxy.example:3128/", "HTTP://proxy.example:3128/"),
        ("http://ann:x@proxy.example:3128", "http://ann:x@proxy.example:3128"),
        ("[::1]:3128", "http://[::1]:3128"),
        ("http://10.0.0.1:3128", "http://10.0.0.1:3128"),
    ],
)
def test_a_proxy_is_a_url_or_a_host(value: str, url: str) -> None:
    assert find_proxy("https", "r.example", 443, {"HTTPS_PROXY": value}) == url


@pytest.mark.parametrize(
    "value",
    [
        "socks5://proxy.example:1080",
        "socks5h://ann:hidden@proxy.example:1080",
        "ftp://proxy.example",
        "http://",
        "http://:3128",
        "http://ann:hidden@",
        "http://proxy.example:0",
        "http://proxy.example:70000",
        "http://proxy.example:hidden",
        "http://[::1",
        "http://[hidden]:3128",
        "://proxy.example",
        "http://pröxy.example:3128",
        "http://proxy.example:\uff13128",
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_what_is_no_url_of_an_http_proxy_is_refused_without_its_secrets(variable: str, value: str) -> None:
    with pytest.raises(RegistryError) as caught:
        find_proxy("https", "r.example", 443, {variable: value})
    assert str(caught.value) == (f"{variable.upper()} must be the URL of an HTTP proxy, like http://proxy.example:3128")


def test_a_proxy_that_is_asked_by_https_is_refused() -> None:
    with pytest.raises(RegistryError) as caught:
        find_proxy("https", "r.example", 443, {"HTTPS_PROXY": "https://ann:hidden@proxy.example"})
    assert str(caught.value) == (
        "HTTPS_PROXY must be the URL of an HTTP proxy, like http://proxy.example:3128; "
        "one that is itself asked by https is not supported"
    )


def test_a_broken_proxy_matters_only_where_it_is_used() -> None:
    environ = {"HTTPS_PROXY": "socks5://x", "NO_PROXY": "r.example"}
    assert find_proxy("https", "r.example", 443, environ) is None
    assert find_proxy("http", "other.example", 80, environ) is None


@pytest.mark.parametrize("host", ["localhost", "r.localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_never_asked_through_a_proxy(host: str) -> None:
    assert find_proxy("http", host, 5000, {"HTTP_PROXY": PROXY, "ALL_PROXY": "socks5://x"}) is None


@pytest.mark.parametrize("host", ["localhost.example", "notlocalhost", "128.0.0.1", "::2", "10.0.0.1"])
def test_other_machines_are_asked_through_it(host: str) -> None:
    assert find_proxy("http", host, 5000, {"HTTP_PROXY": PROXY}) == PROXY


@pytest.mark.parametrize(
    ("entry", "direct", "proxied"),
    [
        ("*", ["r.example", "10.0.0.1", "2001:db8::1"], []),
        ("example.com", ["example.com", "r.example.com", "a.b.example.com", "EXAMPLE.com"], ["notexample.com", "com"]),
        (".example.com", ["example.com", "r.example.com"], ["notexample.com", "example.com.evil"]),
        ("*.example.com", ["example.com", "r.example.com"], ["notexample.com"]),
        ("Example.COM", ["r.example.com"], []),
        ("10.0.0.1", ["10.0.0.1"], ["10.0.0.2", "10.0.0.10", "110.0.0.1"]),
        ("10.1.0.0/16", ["10.1.0.1", "10.1.255.255"], ["10.2.0.1", "2001:db8::1", "r.example"]),
        ("10.1.2.3/16", ["10.1.9.9"], ["10.2.0.1"]),
        ("2001:db8::/32", ["2001:db8::1", "2001:db8:ffff::1"], ["2001:db9::1", "10.0.0.1"]),
        ("2001:db8::1", ["2001:db8::1", "2001:0db8:0:0:0:0:0:1"], ["2001:db8::2"]),
        ("[2001:db8::1]", ["2001:db8::1"], ["2001:db8::2"]),
        ("", [], ["r.example", "10.0.0.1"]),
        (".", [], ["r.example"]),
        ("*.", [], ["r.example"]),
        ("[]", [], ["r.example"]),
        ("10.0.0.0/33", [], ["10.0.0.1"]),
    ],
)
def test_no_proxy_takes_each_form(entry: str, direct: list[str], proxied: list[str]) -> None:
    assert [host for host in direct if not is_direct(entry, host)] == []
    assert [host for host in proxied if is_direct(entry, host)] == []


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("r.example:5000", "r.example"),
        (".example:5000", "r.example"),
        ("10.0.0.1:5000", "10.0.0.1"),
        ("[2001:db8::1]:5000", "2001:db8::1"),
        ("[::1]:5000 r.example:5000", "r.example"),
    ],
)
def test_no_proxy_may_name_a_port(entry: str, host: str) -> None:
    assert is_direct(entry, host, 5000)
    assert not is_direct(entry, host, 443)
    assert not is_direct(entry, host, 50001)


@pytest.mark.parametrize(
    "text", ["a.example,r.example", "a.example, r.example ,", "a.example r.example", ",,\tr.example"]
)
def test_no_proxy_is_a_list_with_commas_or_spaces(text: str) -> None:
    assert is_direct(text)
    assert not is_direct(text, "b.example")
    assert find_proxy("https", "r.example", 443, {"HTTPS_PROXY": PROXY, "no_proxy": text}) is None


HOSTS = st.sampled_from(["r.example", "10.0.0.1", "2001:db8::1", "localhost"]) | st.text()


@given(HOSTS, st.text(), st.text() | st.text().map("http://{}".format), st.integers(1, 65535))
def test_any_variables_give_a_proxy_or_a_message(host: str, exceptions: str, value: str, port: int) -> None:
    environ = {"HTTPS_PROXY": value, "NO_PROXY": exceptions}
    result = value_or_message(lambda: find_proxy("https", host, port, environ))
    assert result is None or result.isprintable() or result.endswith(value.strip())


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Serve as a proxy for plain http, which answers everything itself."""

    def answer(request: Handler) -> None:
        request.reply(200, request.headers.get("Proxy-Authorization", "").encode())

    with serve({}, {("GET", "*"): answer}) as registry:
        monkeypatch.setenv("HTTP_PROXY", f"http://{registry.address}")
        yield registry


def get(url: str, nearest: Scope | None = None) -> bytes:
    with closing(Transport(patience=QUICK)) as transport, transport.open(Request("GET", url, nearest=nearest)) as got:
        return got.read(1000)


def test_a_request_goes_through_the_proxy_that_is_set(proxy: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get("http://r.example/v2/") == b""
    assert proxy.log == [("GET", "http://r.example/v2/")]
    with serve({}) as server:
        assert get(f"http://{server.address}/v2/") == b"{}"
        assert server.log == [("GET", "/v2/")]
    monkeypatch.setenv("NO_PROXY", "r.example:80")
    with pytest.raises(RegistryError, match=r"^no answer from http://r\.example: "):
        get("http://r.example/v2/")
    assert len(proxy.log) == 1


@pytest.mark.parametrize("user", ["ann:x%3Ay", "%C3%A4nn:p%C3%A4ss"])
def test_the_user_in_a_proxys_url_logs_in_there(user: str, proxy: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{user}@{proxy.address}")
    plain = {"ann:x%3Ay": "ann:x:y"}.get(user, "änn:päss")
    assert get("http://r.example/v2/") == b"Basic " + base64.b64encode(plain.encode())


@pytest.mark.parametrize(
    "host",
    [
        *("169.254.169.254", "10.0.0.1", "[fd00::1]", "[::ffff:169.254.169.254]", "169.254.169.254."),
        *("2852039166", "0xa9fea9fe", "169.254.43518"),
    ],
)
def test_a_proxy_is_not_asked_for_addresses_that_are_forbidden(host: str, proxy: Registry) -> None:
    with pytest.raises(RegistryError, match="is an address where a registry has no business"):
        get(f"http://{host}/", Scope.GLOBAL)
    assert proxy.log == []
    assert get("http://203.0.114.1/", Scope.GLOBAL) == b""
    assert get("http://10.0.0.1/", Scope.PRIVATE) == b""


@pytest.mark.parametrize("host", ["LOCALHOST", "127.1", "0x7f000001"])
def test_a_proxy_is_not_asked_for_this_machine_by_any_name(host: str, proxy: Registry) -> None:
    with serve({}) as server:
        port = server.address.partition(":")[2]
        with pytest.raises(RegistryError, match="where a registry has no business"):
            get(f"http://{host}:{port}/v2/", Scope.PRIVATE)
        assert get(f"http://{host}:{port}/v2/", Scope.LOOPBACK) == b"{}"
    assert proxy.log == []


def tunnel(status: int, monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    """Return the message about a proxy that answers so to CONNECT, and how often it was asked."""

    class Refusing(Handler):
        def do_CONNECT(self) -> None:  # noqa: N802
            self.server.registry.log.append((self.command, self.path))
            self.reply(status, b"hidden")

    with Server({}, {}) as server:
        server.RequestHandlerClass = Refusing
        with running(server), closing(Transport(patience=QUICK)) as transport:
            monkeypatch.setenv("HTTPS_PROXY", f"http://ann:hidden@{server.registry.address}")
            with pytest.raises(RegistryError) as caught:
                transport.fetch(Request("GET", "https://r.example/v2/"), 1000)
            return str(caught.value), len(server.registry.log)


@pytest.mark.parametrize("status", [400, 403, 407])
def test_a_proxy_that_refuses_is_asked_once(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tunnel(status, monkeypatch) == (
        f"the proxy refuses to lead to https://r.example (HTTP {status}): check HTTPS_PROXY or ALL_PROXY",
        1,
    )


@pytest.mark.parametrize("status", [408, 429, 502, 503])
def test_a_proxy_that_fails_for_now_is_asked_again(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    message = f"the proxy does not lead to https://r.example (HTTP {status})"
    assert tunnel(status, monkeypatch) == (message, 5)
