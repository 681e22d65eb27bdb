from __future__ import annotations

import socket
from contextlib import closing

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.registry import Registry
from hatch_oci.errors import RegistryError, UnreachableError
from hatch_oci.registry.network import (
    Deadline,
    Dialler,
    ForbiddenAddressError,
    Scope,
    UnknownHostError,
    allowed,
    is_loopback,
    is_name,
    scope_of,
    within,
)
from hatch_oci.registry.transport import Request, Transport
from tests.unit.bases import QUICK

NEVER, GLOBAL, PRIVATE, LOOPBACK = Scope.NEVER, Scope.GLOBAL, Scope.PRIVATE, Scope.LOOPBACK
METADATA = "169.254.169.254"


@pytest.mark.parametrize(
    ("address", "scope"),
    [
        ("8.8.8.8", GLOBAL),
        ("2606:4700::1111", GLOBAL),
        ("10.0.0.1", PRIVATE),
        ("172.16.0.1", PRIVATE),
        ("192.168.1.1", PRIVATE),
        ("192.0.2.1", PRIVATE),
        ("198.18.0.1", PRIVATE),
        ("fd00::1", PRIVATE),
        ("fec0::1", PRIVATE),
        ("2001:db8::1", PRIVATE),
        ("127.0.0.1", LOOPBACK),
        ("127.255.255.254", LOOPBACK),
        ("::1", LOOPBACK),
        (METADATA, NEVER),
        ("169.254.0.1", NEVER),
        ("fe80::1", NEVER),
        ("fe80::1%eth0", NEVER),
        ("fd00:ec2::254", NEVER),
        ("100.64.0.1", NEVER),
        ("100.100.100.200", NEVER),
        ("100.127.255.255", NEVER),
        ("192.0.0.192", NEVER),
        ("192.0.0.9", NEVER),
        ("100.128.0.1", GLOBAL),
        ("100.63.255.255", GLOBAL),
        ("224.0.0.1", NEVER),
        ("ff02::1", NEVER),
        ("0.0.0.0", NEVER),
        ("0.1.2.3", NEVER),
        ("::", NEVER),
        ("240.0.0.1", NEVER),
        ("255.255.255.255", NEVER),
    ],
)
def test_an_address_has_a_scope(address: str, scope: Scope) -> None:
    assert scope_of(address) is scope


def wrapped(address: str) -> list[str]:
    """Return the IPv6 addresses that lead to an IPv4 one: mapped, and by the gateways NAT64 and 6to4."""
    high, low = address_words(address)
    return [
        *(f"::ffff:{address}", f"::ffff:{high}:{low}", f"64:ff9b::{high}:{low}", f"64:ff9b:1::{high}:{low}"),
        *(f"::ffff:0:{high}:{low}", f"2002:{high}:{low}::1"),
    ]


def address_words(address: str) -> tuple[str, str]:
    packed = socket.inet_aton(address).hex()
    return packed[:4], packed[4:]


@pytest.mark.parametrize(
    ("address", "scope"),
    [
        ("8.8.8.8", GLOBAL),
        ("10.0.0.1", PRIVATE),
        ("127.0.0.1", LOOPBACK),
        (METADATA, NEVER),
        ("100.64.0.1", NEVER),
        ("0.0.0.0", NEVER),
        ("224.0.0.1", NEVER),
    ],
)
def test_an_address_in_another_counts_as_what_it_is(address: str, scope: Scope) -> None:
    assert {inner: scope_of(inner) for inner in wrapped(address)} == dict.fromkeys(wrapped(address), scope)


def test_an_address_of_the_oldest_form_counts_as_what_it_is() -> None:
    assert scope_of("::a9fe:a9fe") is NEVER
    assert scope_of("::7f00:1") is LOOPBACK
    assert scope_of("::808:808") is GLOBAL


def test_a_gateway_of_the_own_network_leads_nowhere_public() -> None:
    # RFC 8215: each site has its own gateways there, and only it knows where they lead.
    assert scope_of("64:ff9b:1::a9fe:a9fe") is not GLOBAL


@given(st.ip_addresses())
def test_each_address_has_one_scope(address: object) -> None:
    scope = scope_of(str(address))
    assert is_loopback(str(address)) == (scope is LOOPBACK)


@pytest.mark.parametrize(
    ("host", "own", "name"),
    [
        ("localhost", True, True),
        ("r.localhost", True, True),
        ("localhost.example", False, True),
        ("mylocalhost", False, True),
        ("r.example", False, True),
        ("", False, True),
        ("127.0.0.1", True, False),
        ("127.1.2.3", True, False),
        ("::1", True, False),
        ("::ffff:127.0.0.1", True, False),
        ("LOCALHOST", True, True),
        ("localhost.", True, True),
        ("127.1", True, False),
        ("127.0.0.1.", True, False),
        ("0x7f000001", True, False),
        ("2130706433", True, False),
        ("2852039166", False, False),
        ("10.0.0.1", False, False),
        (METADATA, False, False),
    ],
)
def test_a_host_is_a_name_or_an_address_of_this_machine_or_another(host: str, own: bool, name: bool) -> None:
    assert (is_loopback(host), is_name(host)) == (own, name)


def test_this_machines_names_lead_nowhere_else() -> None:
    assert allowed("r.localhost", ["10.0.0.1", "127.0.0.1"], None) == ["127.0.0.1"]
    assert allowed("r.example", ["10.0.0.1", "127.0.0.1"], None) == ["10.0.0.1", "127.0.0.1"]
    message = r"^r.localhost leads to 10.0.0.1, where a registry has no business$"
    with pytest.raises(ForbiddenAddressError, match=message):
        allowed("r.localhost", ["10.0.0.1"], None)


def test_scopes_are_in_order() -> None:
    assert NEVER < GLOBAL < PRIVATE < LOOPBACK


@pytest.mark.parametrize(
    ("nearest", "host"),
    [
        *((nearest, METADATA) for nearest in (GLOBAL, PRIVATE, LOOPBACK, None)),
        *((nearest, host) for nearest in (GLOBAL, PRIVATE) for host in ("127.0.0.1", "::1", "::ffff:127.0.0.1")),
        *((nearest, "100.64.0.1") for nearest in (GLOBAL, PRIVATE, LOOPBACK)),
        *((GLOBAL, host) for host in ("10.0.0.1", "fd00::1", "0x0a000001")),
        *((LOOPBACK, host) for host in ("0.0.0.0", "224.0.0.1", "fd00:ec2::254", "fe80::1")),
    ],
)
def test_an_address_that_is_forbidden_is_not_dialled(nearest: Scope | None, host: str) -> None:
    dialler = Dialler(nearest)
    leads_to = "10.0.0.1" if host == "0x0a000001" else host
    with pytest.raises(ForbiddenAddressError) as caught:
        dialler.connect_tcp(host, 1, timeout=0.1)
    assert str(caught.value) == f"{host} leads to {leads_to}, where a registry has no business"
    assert dialler.reached == {}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("nearest", [LOOPBACK, None])
def test_an_address_that_is_allowed_is_dialled(nearest: Scope | None, host: str, server: Registry) -> None:
    dialler = Dialler(nearest)
    port = int(server.address.rpartition(":")[2])
    stream = dialler.connect_tcp(host, port, timeout=5)
    try:
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
    finally:
        stream.close()
    assert dialler.reached == {host: LOOPBACK}


def test_what_a_user_names_may_be_in_the_shared_space_of_carriers() -> None:
    # It stops for want of time just before it dials.
    with within(Deadline.after(0)), pytest.raises(httpcore.ReadTimeout):
        Dialler(None).connect_tcp("100.64.0.1", 9)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "a" * 64 + ".example", "x\0y"])
def test_a_name_without_an_address_is_told(host: str) -> None:
    # Without a resolver in reach, it may also be one that will answer later.
    with pytest.raises((UnknownHostError, httpcore.ConnectError)) as caught:
        Dialler(None).connect_tcp(host, 80)
    if isinstance(caught.value, UnknownHostError):
        assert str(caught.value) == f"{host} has no address"


def test_a_port_where_nobody_listens_is_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(httpcore.ConnectError, match="refused"):
            Dialler(None).connect_tcp("localhost", probe.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_request_does_not_reach_what_is_nearer_than_it_may(host: str, server: Registry) -> None:
    port = server.address.rpartition(":")[2]
    with closing(Transport()) as transport:
        for nearest in (GLOBAL, PRIVATE):
            with (
                pytest.raises(RegistryError) as caught,
                transport.open(Request("GET", f"http://{host}:{port}/v2/", nearest=nearest)),
            ):
                pass
            assert not isinstance(caught.value, UnreachableError)
            assert str(caught.value).startswith(f"no answer from http://{host}:{port}: {host} leads to ")
            assert str(caught.value).endswith(", where a registry has no business")
            assert transport.scope(host) is GLOBAL
        assert server.log == []
        with transport.open(Request("GET", f"http://{host}:{port}/v2/", nearest=LOOPBACK)) as answer:
            assert answer.status == 200
        assert transport.scope(host) is LOOPBACK


@pytest.mark.parametrize("host", [METADATA, "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "100.100.100.200"])
def test_a_redirect_to_where_clouds_keep_credentials_is_not_followed(host: str, server: Registry) -> None:
    server.answers["GET", "/x"] = lambda request: request.reply(307, b"", {"Location": f"http://{host}/latest/"})
    with closing(Transport(patience=QUICK)) as transport:
        for nearest in (None, LOOPBACK):
            with (
                pytest.raises(RegistryError, match="where a registry has no business"),
                transport.open(Request("GET", f"http://{server.address}/x", nearest=nearest)),
            ):
                pass
