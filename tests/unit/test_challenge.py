from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_oci.registry.challenge import Challenge, parse_challenges


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param(
            ['Bearer realm="https://auth.docker.io/token",service="registry.docker.io"'],
            [Challenge("bearer", {"realm": "https://auth.docker.io/token", "service": "registry.docker.io"})],
            id="bearer",
        ),
        pytest.param(
            ['Bearer realm="https://r/t",scope="repository:a:pull,push"'],
            [Challenge("bearer", {"realm": "https://r/t", "scope": "repository:a:pull,push"})],
            id="comma-inside-quotes",
        ),
        pytest.param(
            ["basic realm=harbor, Bearer Realm=https://r/t"],
            [Challenge("basic", {"realm": "harbor"}), Challenge("bearer", {"realm": "https://r/t"})],
            id="two-in-one-header-bare-values",
        ),
        pytest.param(
            ['Basic realm="a"', 'Bearer realm="b"'],
            [Challenge("basic", {"realm": "a"}), Challenge("bearer", {"realm": "b"})],
            id="two-headers",
        ),
        pytest.param([r'Basic realm="say \"hi\""'], [Challenge("basic", {"realm": 'say "hi"'})], id="escaped-quotes"),
        pytest.param(["Negotiate"], [Challenge("negotiate", {})], id="no-parameters"),
        pytest.param(
            ["Negotiate, Basic realm=x"],
            [Challenge("negotiate", {}), Challenge("basic", {"realm": "x"})],
            id="bare-scheme-first",
        ),
        pytest.param(["", " , ", '="'], [], id="nothing-to-read"),
    ],
)
def test_challenges_are_read_as_registries_send_them(headers: list[str], expected: list[Challenge]) -> None:
    assert parse_challenges(headers) == expected


@given(st.lists(st.text()))
def test_any_header_is_read_without_an_error(headers: list[str]) -> None:
    assert all(challenge.scheme for challenge in parse_challenges(headers))
