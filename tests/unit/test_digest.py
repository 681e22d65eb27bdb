from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_oci.errors import DigestError
from hatch_oci.image.digest import Digest

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(("algorithm", "length"), [("sha256", 64), ("sha512", 128)])
def test_a_digest_is_read_and_written_back(algorithm: str, length: int) -> None:
    digest = Digest.parse(f"{algorithm}:{'0a' * (length // 2)}")
    assert (digest.algorithm, digest.hex) == (algorithm, "0a" * (length // 2))
    assert str(digest) == f"{algorithm}:{'0a' * (length // 2)}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        f":{EMPTY}",
        EMPTY,
        f"sha256:{EMPTY.upper()}",
        f"SHA256:{EMPTY}",
        f"sha256:{EMPTY[:-1]}",
        f"sha256:{EMPTY}0",
        f"sha512:{EMPTY}",
        f"sha256:{EMPTY}{EMPTY}",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        f"sha384:{'0' * 96}",
        f"sha256:{EMPTY}\n",
        f" sha256:{EMPTY}",
        f"sha256:{EMPTY[:-1]}g",
        f"sha256:{'٣' * 64}",
        "sha256:../../etc/passwd",
        f"sha256:{'../' * 21}x",
        f"sha256+b64:{EMPTY}",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(DigestError) as caught:
        Digest.parse(text)
    assert str(caught.value) == f"not a sha256 or sha512 digest: {text[:80]!r}"


def test_a_long_text_is_not_repeated_in_full() -> None:
    with pytest.raises(DigestError) as caught:
        Digest.parse("sha256:" + "0" * 100_000)
    assert len(str(caught.value)) < 200


@given(st.text() | st.from_regex(r"(sha256|sha512|md5)?:?[0-9a-fA-F]{0,130}\n?", fullmatch=True))
def test_any_text_is_a_digest_or_an_error(text: str) -> None:
    try:
        digest = Digest.parse(text)
    except DigestError:
        return
    assert str(digest) == text


def test_content_has_its_sha256() -> None:
    assert str(Digest.of(b"")) == f"sha256:{EMPTY}"


@given(st.binary(), st.binary())
def test_a_digest_matches_its_content_alone(data: bytes, other: bytes) -> None:
    for digest in (Digest.of(data), Digest("sha512", hashlib.sha512(data).hexdigest())):
        assert digest.matches(data)
        assert digest.matches(other) == (data == other)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_each_hasher_is_fresh_and_of_the_algorithm(algorithm: str) -> None:
    data = b"content"
    digest = Digest(algorithm, hashlib.new(algorithm, data).hexdigest())
    digest.hasher().update(b"spoilt")
    hasher = digest.hasher()
    hasher.update(data)
    assert hasher.hexdigest() == digest.hex


def test_equal_digests_are_one_key() -> None:
    assert {Digest.of(b"a"): 1}[Digest.parse(str(Digest.of(b"a")))] == 1
