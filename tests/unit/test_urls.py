from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hatch_oci.errors import RegistryError
from hatch_oci.registry.headers import Headers
from hatch_oci.registry.urls import Target


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("HTTPS://R.Example", "https://r.example/"),
        ("https://r.example?x=1#y", "https://r.example/?x=1"),
        ("https://r.example/a b?c=d e", "https://r.example/a%20b?c=d%20e"),
        ("https://r.example/a%20b%2Fc?s=%2B+x/y==", "https://r.example/a%20b%2Fc?s=%2B+x/y=="),
        ('https://r.example/é|"<>{}`^\\', "https://r.example/%C3%A9%7C%22%3C%3E%7B%7D%60%5E%5C"),
        ("https://[2001:DB8:0::1]:5000/", "https://[2001:db8::1]:5000/"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://STRASSE.example.:8443/", "https://strasse.example.:8443/"),
        ("https://user:pass@r.example/", "https://r.example/"),
        # What follows an @ is the host, whatever browsers make of a backslash.
        ("https://r.example\\@evil.example/", "https://evil.example/"),
    ],
)
def test_a_url_is_read_as_it_is_asked_for(url: str, read: str) -> None:
    assert str(Target.read(url)) == read


def test_a_port_that_goes_without_saying_stays_in_the_host_header_only() -> None:
    target = Target.read("https://r.example:443/")
    assert (target.authority, target.port, target.origin) == ("r.example:443", None, "https://r.example")
    assert Target.read("http://r.example:443/").origin == "http://r.example:443"


@pytest.mark.parametrize(
    ("location", "read"),
    [
        ("", "https://r.example:5000/a/b?c"),
        ("/x", "https://r.example:5000/x"),
        ("x?y", "https://r.example:5000/a/x?y"),
        ("../../x", "https://r.example:5000/x"),
        ("//store.example/x", "https://store.example/x"),
        ("http://store.example", "http://store.example/"),
    ],
)
def test_a_location_may_be_relative(location: str, read: str) -> None:
    assert str(Target.read(location, Target.read("https://r.example:5000/a/b?c"))) == read


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://r.example:0/",
            "https://r.example:99999/",
            "https://r.example:x/",
            "https://[::1/",
            "https://[fe80::1%25eth0]/",
        ),
        *(
            "https://r%2eexample/",
            "https://r example/",
            "https://-r.example/",
            "https://r.example\n/",
            "https://\ud800.example/",
        ),
        *(f"https://{'a.' * 130}example/", f"https://r.example/{'x' * 65536}", "https://\u2024.example/"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(url: str) -> None:
    with pytest.raises(RegistryError, match=r"^not a URL of http or https: '"):
        Target.read(url)


@given(st.text(), st.sampled_from(["", "https://", "https://r.example/", "//", "https://[", "http://x:"]))
@example("[", "https://r.example/")
def test_whatever_is_read_can_be_sent(text: str, start: str) -> None:
    for base in (None, Target.read("https://r.example/a/b")):
        try:
            target = Target.read(start + text, base)
        except RegistryError:
            continue
        assert str(target).isascii()
        assert str(target).isprintable()
        assert " " not in str(target)
        again = Target.read(str(target))
        assert (again.origin, again.path, again.authority) == (target.origin, target.path, target.authority)


def test_headers_of_one_name_are_joined() -> None:
    headers = Headers.of([(b"Accept", b"a"), (b"X-Name", "ü".encode()), (b"ACCEPT", b"b"), (b"x-odd", b"\xfc")])
    assert (headers.get("accept"), headers.get_list("accept")) == ("a, b", ["a", "b"])
    assert (headers.get("x-name"), headers.get("x-odd"), headers.get("none")) == ("ü", "ü", "")
