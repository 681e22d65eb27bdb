from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_oci.errors import DocumentError, InvalidReference
from hatch_oci.image.digest import Digest
from hatch_oci.image.reference import Reference, endpoint, is_repository, is_tag, split_host
from tests.unit.documents import SHA512

PIN = "sha256:" + "ab" * 32
HINT = "write it like python:3.13-slim or ghcr.io/acme/app:1.0"

PARTS = st.from_regex(r"[a-z0-9]{1,4}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}", fullmatch=True)
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,8}", fullmatch=True)
HOSTS = st.sampled_from(
    ["docker.io", "localhost", "localhost:5000", "ghcr.io", "r.example:65535", "[::1]", "[fe80::1]:80"]
)
DIGESTS = st.binary().map(Digest.of) | st.just(SHA512)
# What references are made of, in any order: much of it is nearly one.
PIECES = st.lists(st.sampled_from(["a", "B", "/", ":", "@", ".", "_", "-", "[", "]", "1", "localhost", "latest", PIN]))


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.13-slim", "docker.io/library/python:3.13-slim"),
        ("acme/app", "docker.io/acme/app:latest"),
        ("docker.io/python", "docker.io/library/python:latest"),
        ("index.docker.io/python:3", "docker.io/library/python:3"),
        ("docker.io/library/python:3", "docker.io/library/python:3"),
        ("registry-1.docker.io/library/python:3", "docker.io/library/python:3"),
        ("Docker.IO/python", "docker.io/library/python:latest"),
        ("R.Example:65535/app", "r.example:65535/app:latest"),
        ("LOCALHOST/app", "localhost/app:latest"),
        ("ghcr.io/app", "ghcr.io/app:latest"),
        ("ghcr.io/acme/team/app:1.0", "ghcr.io/acme/team/app:1.0"),
        ("localhost/app:1", "localhost/app:1"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("host:5000/app:1", "host:5000/app:1"),
        ("127.0.0.1:5000/app:1", "127.0.0.1:5000/app:1"),
        ("[::1]:5000/app:1", "[::1]:5000/app:1"),
        ("[::1]/app:1", "[::1]/app:1"),
        ("host/app:1", "docker.io/host/app:1"),
        ("localhost:1", "docker.io/library/localhost:1"),
        (f"python@{PIN}", f"docker.io/library/python@{PIN}"),
        (f"python:3@{PIN}", f"docker.io/library/python:3@{PIN}"),
        (f"ghcr.io/app@{SHA512}", f"ghcr.io/app@{SHA512}"),
        ("a__b/c.d/e---f:_x", "docker.io/a__b/c.d/e---f:_x"),
    ],
)
def test_a_reference_is_read_as_docker_reads_it(text: str, full: str) -> None:
    assert str(Reference.parse(text)) == full


def test_a_reference_has_parts() -> None:
    reference = Reference.parse(f"ghcr.io/acme/app:1.0@{PIN}")
    assert reference == Reference("ghcr.io", "acme/app", "1.0", Digest.parse(PIN))
    assert (reference.name, reference.tagged) == ("ghcr.io/acme/app", "ghcr.io/acme/app:1.0")


@pytest.mark.parametrize(
    ("text", "target", "tagged"),
    [
        ("x.io/a", "latest", "x.io/a:latest"),
        ("x.io/a:1", "1", "x.io/a:1"),
        (f"x.io/a@{PIN}", PIN, "x.io/a"),
        (f"x.io/a:1@{PIN}", PIN, "x.io/a:1"),
    ],
)
def test_the_digest_is_asked_for_or_else_the_tag(text: str, target: str, tagged: str) -> None:
    reference = Reference.parse(text)
    assert (reference.target, reference.tagged) == (target, tagged)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Python",
        "python ",
        "python\n",
        "ghcr.io/acme/app\n",
        "ghcr.io/",
        "ghcr.io/Acme/app",
        "/app",
        "a//b",
        "app/",
        "a..b",
        "a___b",
        "-a",
        "a-",
        "https://ghcr.io/acme/app",
        "gh_cr.io/app",
        "-ghcr.io/app",
        "ghcr-.io/app",
        "ghcr.io:/app",
        "ghcr.io:port/app",
        "ghcr.io:123456/app",
        "ghcr.io:65536/app",
        "ghcr.io:0/app",
        "[::1/app",
        "[evil.example]:1/app",
        "../../etc/passwd",
        "ghcr.io/../x",
        "ghcr.io/a%2fb",
        "ghcr.io/a?b",
        "é",
        "a" * 256,
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        Reference.parse(text)
    assert str(caught.value) == f"not an image reference: {text!r}; {HINT}"


@pytest.mark.parametrize(
    "text",
    [
        "https://ann:hidden@r.example/app:1",
        "ann:hidden@r.example/app",
        "ann:hidden@localhost/app",
        "https://ann:hid/den@r.example/app",
        "https://ann:hid@den@r.example/app",
        "ann@r.example/app",
    ],
)
def test_a_password_in_what_is_no_reference_is_not_shown(text: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        Reference.parse(text)
    assert all(secret not in str(caught.value) for secret in ("hid", "den", "ann"))
    assert "r.example/app" in str(caught.value) or "localhost/app" in str(caught.value)


def test_what_is_no_digest_is_shown_with_its_name() -> None:
    with pytest.raises(InvalidReference, match=r"^not an image reference: 'ghcr\.io/app:1@sha256:abc': "):
        Reference.parse("ghcr.io/app:1@sha256:abc")


def test_a_text_without_end_is_shown_in_part() -> None:
    with pytest.raises(InvalidReference) as caught:
        Reference.parse("A" * 100_000)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("tag", ["", ".1", "-1", "a+b", "a b", "1\n", "ü", "a/b", "a:b", "x" * 129])
def test_a_tag_that_is_none_is_refused(tag: str) -> None:
    assert not is_tag(tag)
    with pytest.raises(InvalidReference) as caught:
        Reference.parse(f"ghcr.io/app:{tag}")
    expected = f"not an image reference: {f'ghcr.io/app:{tag}'!r}: the tag may hold letters, digits and ._- only"
    assert str(caught.value) == expected


@pytest.mark.parametrize("digest", ["", "md5:0", PIN[:-1], PIN.upper(), f"{PIN}\n", f"{PIN}@{PIN}", "latest"])
def test_a_digest_that_is_none_is_refused(digest: str) -> None:
    with pytest.raises(DocumentError) as caught:
        Reference.parse(f"ghcr.io/app:1@{digest}")
    assert f"not a sha256 or sha512 digest: {digest[:80]!r}" in str(caught.value)


@pytest.mark.parametrize("tag", ["1", "_", "A.b-C_d", "x" * 128])
def test_a_tag_is_known(tag: str) -> None:
    assert is_tag(tag)
    assert Reference.parse(f"a:{tag}").tag == tag


@pytest.mark.parametrize(("length", "fits"), [(255, True), (256, False)])
def test_a_repository_has_at_most_255_characters(length: int, fits: bool) -> None:
    assert is_repository("a" * length) is fits


@pytest.mark.parametrize(
    ("name", "host", "rest"),
    [
        ("a", "docker.io", "a"),
        ("a/b", "docker.io", "a/b"),
        ("a.b", "docker.io", "a.b"),
        ("a.b/c", "a.b", "c"),
        ("a:1/c", "a:1", "c"),
        ("localhost/c/d", "localhost", "c/d"),
        ("index.docker.io/a", "docker.io", "a"),
    ],
)
def test_the_host_is_told_from_the_rest(name: str, host: str, rest: str) -> None:
    assert split_host(name) == (host, rest)


@pytest.mark.parametrize(
    ("host", "name", "port"),
    [
        ("r.example", "r.example", 443),
        ("R.example:5000", "r.example", 5000),
        ("[::1]", "::1", 443),
        ("[::1]:5000", "::1", 5000),
    ],
)
def test_a_host_has_a_name_and_a_port(host: str, name: str, port: int) -> None:
    assert endpoint(host) == (name, port)


@given(HOSTS, st.lists(PARTS, min_size=2, max_size=4), st.none() | TAGS, st.none() | DIGESTS)
def test_what_is_written_is_read_back(host: str, parts: list[str], tag: str | None, digest: Digest | None) -> None:
    reference = Reference(host, "/".join(parts), tag or (None if digest else "latest"), digest)
    assert Reference.parse(str(reference)) == reference


@given(st.text() | PIECES.map("".join))
def test_any_text_is_a_reference_or_an_error(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except DocumentError:
        return
    assert Reference.parse(str(reference)) == reference
    assert is_repository(reference.repository)
    assert reference.tag is not None or reference.digest is not None
