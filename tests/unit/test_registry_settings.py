from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_oci.registry.options import RegistryOptions
from hatch_oci.registry_settings import REGISTRY_KEYS, read_registry_options
from hatch_oci.table import Table
from tests.unit.documents import JSON_VALUES

HOST = "must be a host, maybe with a port, like registry.example.com:5000"
LIKE = "must be like mirror.example.com or harbor.example.com/hub"


def read(**values: Any) -> tuple[RegistryOptions, list[str]]:
    """Return what keys, written with `_`, are read as, and their mistakes."""
    fields = {key.replace("_", "-"): value for key, value in values.items()}
    table = Table("tool.x", fields, lambda text: text.replace("{env}", "filled"))
    return read_registry_options(table), table.mistakes


def test_without_keys_there_is_nothing_special() -> None:
    assert read() == (RegistryOptions(), [])
    assert REGISTRY_KEYS == ("mirrors", "insecure-registries", "trusted-realms")


def test_mirrors_are_read_in_their_order() -> None:
    mirrors = {
        "docker.io": ["mirror.example.com", "harbor.example.com:8443/hub/deep", "[::1]:5000", "localhost"],
        "r.example:5000": ["10.0.0.1:5000/r.example"],
        "ghcr.io": [],
        "quay.io": ["{env}.example"],
    }
    options, mistakes = read(mirrors=mirrors)
    assert mistakes == []
    assert options.mirrors == {
        "docker.io": ("mirror.example.com", "harbor.example.com:8443/hub/deep", "[::1]:5000", "localhost"),
        "r.example:5000": ("10.0.0.1:5000/r.example",),
        "ghcr.io": (),
        "quay.io": ("filled.example",),
    }


def test_hosts_are_read() -> None:
    options, mistakes = read(insecure_registries=["r.example:5000", "10.0.0.1"], trusted_realms=["{env}.example"])
    assert mistakes == []
    assert options.insecure_registries == {"r.example:5000", "10.0.0.1"}
    assert options.trusted_realms == {"filled.example"}


def test_hosts_are_one_in_whatever_case_and_docker_hub_by_whatever_name() -> None:
    mirrors = {"docker.io": ["a.example"], "index.docker.io": ["B.example/hub"], "Registry-1.docker.io": ["c.example"]}
    options, mistakes = read(mirrors=mirrors, insecure_registries=["R.Example:5000"], trusted_realms=["T.example"])
    assert mistakes == []
    assert options.mirrors == {"docker.io": ("a.example", "b.example/hub", "c.example")}
    assert options.insecure_registries == {"r.example:5000"}
    assert options.trusted_realms == {"t.example"}


def test_what_a_variable_leaves_empty_is_none() -> None:
    options, mistakes = read(
        mirrors={"docker.io": ["", "a.example"]}, insecure_registries=[""], trusted_realms=["", "t.example"]
    )
    assert mistakes == []
    assert options == RegistryOptions(mirrors={"docker.io": ("a.example",)}, trusted_realms=frozenset({"t.example"}))


@pytest.mark.parametrize(
    ("listed", "host", "port"),
    [
        ("r.example", "r.example", 443),
        ("r.example:443", "r.example", 443),
        ("R.example:5000", "r.example", 5000),
        ("r.example:5000", "R.example", 5000),
        ("[::1]:5000", "::1", 5000),
        ("[::1]", "::1", 443),
    ],
)
def test_a_registry_is_insecure_at_its_port_alone(listed: str, host: str, port: int) -> None:
    options = RegistryOptions(insecure_registries=frozenset({listed}))
    assert options.is_insecure(host, port)
    assert not options.is_insecure(host, 80)
    assert not options.is_insecure("other.example", port)


@pytest.mark.parametrize(
    "mirror",
    [
        "https://mirror.example.com",
        "mirror.example.com/",
        "mirror.example.com/Hub",
        "mirror.example.com/hub/",
        "mirror.example.com//hub",
        "mirror.example.com/hub:1",
        "mirror.example.com/../x",
        "/hub",
        "mirror_example",
        "mirror.example.com:port",
        "mirror.example.com\n",
    ],
)
def test_a_mirror_that_is_no_host_with_a_path_is_a_mistake(mirror: str) -> None:
    _, mistakes = read(mirrors={"docker.io": ["fine.example", mirror]})
    assert mistakes == [f"Element #2 of field `tool.x.mirrors.docker.io` {LIKE}: {mirror!r}"]


@pytest.mark.parametrize("registry", ["https://docker.io", "docker.io/library", "", "a b", "docker.io:"])
def test_mirrors_of_what_is_no_registry_are_a_mistake(registry: str) -> None:
    _, mistakes = read(mirrors={registry: ["mirror.example.com"]})
    assert mistakes == [f"Field `tool.x.mirrors.{registry}` is not the name of a registry: it {HOST}"]


@pytest.mark.parametrize("key", ["insecure-registries", "trusted-realms"])
@pytest.mark.parametrize("host", ["http://r.example", "r.example/", "r.example/v2", "*.example", "::1", "r.example:"])
def test_what_is_no_host_is_a_mistake(key: str, host: str) -> None:
    _, mistakes = read(**{key: ["fine.example", host]})
    assert mistakes == [f"Element #2 of field `tool.x.{key}` {HOST}: {host!r}"]


@pytest.mark.parametrize(
    ("values", "mistakes"),
    [
        ({"mirrors": ["a.example"]}, ["Field `tool.x.mirrors` must be a table"]),
        ({"mirrors": {"docker.io": "a.example"}}, ["Field `tool.x.mirrors.docker.io` must be an array"]),
        ({"mirrors": {"docker.io": [5]}}, ["Element #1 of field `tool.x.mirrors.docker.io` must be a string"]),
        ({"insecure-registries": "a.example"}, ["Field `tool.x.insecure-registries` must be an array"]),
        ({"trusted-realms": {}}, ["Field `tool.x.trusted-realms` must be an array"]),
        ({"trusted-realms": [True]}, ["Element #1 of field `tool.x.trusted-realms` must be a string"]),
    ],
)
def test_values_of_other_types_are_one_mistake_each(values: dict[str, Any], mistakes: list[str]) -> None:
    assert read(**values)[1] == mistakes


def test_all_mistakes_are_found_at_once() -> None:
    _, mistakes = read(mirrors={"a b": ["c d"]}, insecure_registries=["e f"], trusted_realms=["g h", "i j"])
    assert len(mistakes) == 5


@pytest.mark.parametrize("text", ["https://ann:hidden@r.example", "ann:hidden@r.example", "https://hidden@r.example/x"])
def test_a_password_in_a_mistake_is_not_shown(text: str) -> None:
    _, mistakes = read(mirrors={"docker.io": [text]}, insecure_registries=[text], trusted_realms=[text])
    assert len(mistakes) == 3
    assert [mistake for mistake in mistakes if "hidden" in mistake] == []
    assert all("r.example" in mistake for mistake in mistakes)
    of_key, of_element = read(mirrors={text: ["c d"]})[1]
    assert "hidden" not in of_key + of_element


@pytest.mark.parametrize(
    ("value", "offline"), [(None, False), ("", False), ("0", False), ("1", True), ("true", True), ("00", True)]
)
def test_a_variable_takes_the_network_away(value: str | None, offline: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is not None:
        monkeypatch.setenv("HATCH_OCI_OFFLINE", value)
    assert read()[0].offline is offline


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "mirrors": st.dictionaries(st.text(), st.lists(st.text() | JSON_VALUES) | JSON_VALUES) | JSON_VALUES,
            "insecure-registries": st.lists(st.text() | JSON_VALUES) | JSON_VALUES,
            "trusted-realms": st.lists(st.text() | JSON_VALUES) | JSON_VALUES,
        },
    )
)
def test_any_table_is_read(values: dict[str, Any]) -> None:
    options, mistakes = read(**values)
    if not mistakes:
        hosts = {*options.mirrors, *options.insecure_registries, *options.trusted_realms}
        assert all(host and host.isascii() for host in hosts)
