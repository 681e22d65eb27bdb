from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_oci.errors import ConfigError
from hatch_oci.settings import _KEYS
from tests.unit.projects import read_table

BRACES = "(a literal brace is written twice: {{ or }})"
UNKNOWN_FIELD = f"cannot be formatted: Unknown context field `nope` {BRACES}"
PATH = "must be an absolute path in the image, without `..`"
NO_REFERENCE = "not an image reference: 'Python'; write it like python:3.13-slim or ghcr.io/acme/app:1.0"
NUL = "has a NUL byte, which nothing in an image may have"
PORT = 'must be a port like 8080 or "53/udp"'
REPOSITORY = "must be like ghcr.io/acme/app: lower case, without a tag or a scheme"
SIGNAL = 'must be like "SIGTERM", or the number of a signal'
USER = 'must be a name or a number, maybe with a group, like "app" or "1000:1000"'
SHORT = "must be short and without spaces, since scripts name it in their first line"
TIME = 'must be "now" or a time like "2026-01-31T12:00:00Z"'


def mistakes(values: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_table(values)
    assert str(caught.value) == "\n".join(caught.value.mistakes).replace("\0", "?")
    return caught.value.mistakes


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("base-image", 5, "must be a string"),
        ("base-image", "", "must not be empty"),
        (
            "base-image",
            "Python",
            f"is {NO_REFERENCE}; it may also be oci:PATH, oci-archive:PATH, docker-archive:PATH or scratch",
        ),
        ("platforms", [], "must hold at least one platform"),
        ("platforms", ["linux/arm64", "linux/arm64/v8"], "holds a platform twice"),
        ("lock", True, "must be a string or false"),
        ("lock", "", "must not be empty"),
        ("extras", "web", "must be an array"),
        ("layers", "many", "must be one of: auto, one, per-package"),
        ("system-site-packages", "yes", "must be a boolean"),
        ("bytecode", "app", "must be a boolean or an array"),
        *(
            ("repository", text, REPOSITORY)
            for text in ("Acme/App", "https://x.io/a", "x.io/a:1", "x.io/a@sha256:1", "/a")
        ),
        ("tags", [], "must hold at least one tag"),
        ("wheel", 1, "must be a boolean or a string"),
        ("wheel", "", "must not be empty"),
        ("prefix", "app", f"{PATH}: 'app'"),
        ("prefix", "/my app", SHORT),
        *(("prefix", text, "must not be the root: the venv needs a folder of its own") for text in ("/", "//", "/./")),
        ("prefix", "/" + "x" * 114, SHORT),
        ("entrypoint", 5, "must be an array or a string"),
        ("entrypoint", {"a": "b"}, "must be an array or a string"),
        ("entrypoint", "'open", "cannot be split as a shell would: No closing quotation"),
        ("cmd", True, "must be an array or a string"),
        ("cmd", "", "must not be empty"),
        ("env", [], "must be a table"),
        ("platforms", "linux/amd64", "must be an array"),
        ("tags", "latest", "must be an array"),
        ("ports", 8080, "must be an array"),
        ("labels", "a=b", "must be a table"),
        ("annotations", ["a"], "must be a table"),
        ("user", 1000, "must be a string"),
        *(("user", text, USER) for text in ("a b", ":", "1000:", ":1000", "a:b:c", "-u", "a/b", "ä")),
        *(("stop-signal", text, SIGNAL) for text in ("TERM", "sigterm", "SIG", "0", "65", "-9", "SIGTERM ")),
        ("working-dir", "srv", f"{PATH}: 'srv'"),
        ("stop-signal", 15, "must be a string"),
        *(
            ("created", text, TIME)
            for text in (
                "yesterday",
                "2026-01-31",
                "2026-01-31T12:00:00",
                "2026-02-30T12:00:00Z",
                "2026-01-31 12:00:00Z",
                "20260131T120000Z",
            )
        ),
        ("created", datetime(2026, 1, 31, tzinfo=UTC), "must be a string"),
        ("compression", "lz4", "must be one of: gzip, gzip-reuse, zstd, none"),
        ("python", "python3", f"{PATH}: 'python3'"),
        ("python", "/usr/bin/py\0thon", NUL),
        ("libc", "uclibc 1.0", 'must be like "glibc 2.36" or "musl 1.2"'),
        ("libc", "glibc", 'must be like "glibc 2.36" or "musl 1.2"'),
        ("format", "v2s2", "must be one of: oci, docker"),
        ("sbom", True, "must be an array or false"),
        ("sbom", "spdx", "must be an array or false"),
        ("attestations", True, "must be a string"),
        ("attestations", "slsa", "must be one of: referrers, buildkit"),
        ("entry-point", [], "is not known; did you mean `entrypoint`?"),
    ],
)
def test_a_mistake_is_told(key: str, value: object, problem: str) -> None:
    assert mistakes({key: value}) == [f"Field `t.{key}` {problem}"]


@pytest.mark.parametrize("name", ["A=B", "", "=A"])
def test_a_variable_whose_name_is_none_is_told(name: str) -> None:
    assert mistakes({"env": {"B": "", name: "x"}}) == [f"Field `t.env.{name}` is no variable's name"]


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("tags", "a b", "is no tag, at most 128 letters, digits and ._-: 'a b'"),
        ("tags", "x" * 129, f"is no tag, at most 128 letters, digits and ._-: {'x' * 129!r}"),
        ("tags", "", "is no tag, at most 128 letters, digits and ._-: ''"),
        ("tags", 1, "must be a string"),
        ("volumes", ["/a"], "must be a string"),
        ("entrypoint", None, "must be a string"),
        ("copy", "static", "must be a table"),
        ("platforms", "{nope}", UNKNOWN_FIELD),
        ("platforms", "amd64", "is not a platform: 'amd64'; write it like linux/amd64 or linux/arm/v7"),
        ("bytecode", "tests", "must be one of: dependencies, app, stdlib"),
        ("exclude-packages", 1, "must be a string"),
    ],
)
def test_an_element_that_is_wrong_is_told_once(key: str, value: object, problem: str) -> None:
    assert mistakes({key: [value]}) == [f"Element #1 of field `t.{key}` {problem}"]


@pytest.mark.parametrize(
    "port", [0, 65536, -1, True, 80.0, "", "http", "80/icmp", "80/TCP", "80-90", "80/tcp\n", [80], None]
)
def test_a_port_that_is_none_is_told(port: object) -> None:
    assert mistakes({"ports": [8080, port]}) == [f"Element #2 of field `t.ports` {PORT}"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"to": "/x"}, "Field `t.copy[1].from` is missing"),
        ({"from": "x"}, "Field `t.copy[1].to` is missing"),
        ({"from": "x", "to": "x"}, f"Field `t.copy[1].to` {PATH}: 'x'"),
        ({"from": "x", "to": "/../x"}, f"Field `t.copy[1].to` {PATH}: '/../x'"),
        ({"from": "x", "to": "/x", "form": "y"}, "Field `t.copy[1].form` is not known; did you mean `from`?"),
        ({"from": "x", "to": "/x", "mode": 644}, "Field `t.copy[1].mode` must be a string"),
        ({"from": "x", "to": "/x", "mode": "u+x"}, 'Field `t.copy[1].mode` must be an octal string like "0644"'),
        (
            {"from": "x", "to": "/x", "owner": "me"},
            'Field `t.copy[1].owner` must be numbers like "1000" or "1000:1000"',
        ),
        ({"from": "x", "to": "/x", "include": "*"}, "Field `t.copy[1].include` must be an array"),
    ],
)
def test_a_mistake_in_a_copy_is_told(entry: object, expected: str) -> None:
    assert mistakes({"copy": [entry]}) == [expected]


def test_all_mistakes_are_told_at_once() -> None:
    assert mistakes({"prots": [80], "user": 1, "copy": [{"to": "/x"}], "created": "x", "sbom": True}) == [
        "Field `t.prots` is not known; did you mean `ports`?",
        "Field `t.copy[1].from` is missing",
        "Field `t.user` must be a string",
        f"Field `t.created` {TIME}",
        "Field `t.sbom` must be an array or false",
    ]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec="utf-8", exclude_characters="0123456789"), max_size=20)
    | st.sampled_from(["inherit", "now", "/a", "linux/amd64", "{version}", "{env:X:}", "glibc 2.36", "80/udp", "0644"])
    | st.datetimes(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["from", "to", "mode", "owner", "A"]), inner)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(_KEYS) | st.text(), VALUES, max_size=6))
def test_any_table_gives_settings_or_mistakes(values: dict[str, Any]) -> None:
    try:
        settings = read_table(values)
    except ConfigError as error:
        found = error.mistakes
        assert found
        assert all("t." in mistake for mistake in found)
    else:
        assert settings.tags


@pytest.mark.parametrize("key", ["include", "exclude", "packages", "force-include", "sources", "ignore-vcs"])
def test_a_key_that_chooses_files_of_the_wheel_is_not_taken_in_silence(key: str) -> None:
    (line,) = mistakes({key: ["a"]})
    assert line == (
        f"Field `t.{key}` does nothing for an image: write it in [tool.hatch.build.targets.wheel]; "
        "`copy` is for files beside the wheel"
    )


@pytest.mark.parametrize("key", ["labels", "annotations", "env"])
def test_no_nul_byte_gets_into_the_image(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_table({key: {"a": "x\0", "b\0": "x"}})
    assert str(caught.value).splitlines() == [
        f"Field `t.{key}.a` {NUL}",
        f"Field `t.{key}.b?` has a NUL byte in its name",
    ]


@pytest.mark.parametrize("name", ["docker-archive:base.tar", "oci-archive:base.tar:1", "docker-archive:/a.tar:b/c:1"])
def test_an_archive_may_be_a_base(name: str) -> None:
    assert read_table({"base-image": name}).base_image == name


@pytest.mark.parametrize("scheme", ["oci", "oci-archive", "docker-archive"])
@pytest.mark.parametrize("rest", ["", ":latest"])
def test_a_base_on_this_machine_needs_a_path(scheme: str, rest: str) -> None:
    (line,) = mistakes({"base-image": f"{scheme}:{rest}"})
    assert line.startswith(
        f"Field `t.base-image` is not a base: '{scheme}:{rest}' lacks a path; write {scheme}:PATH or"
    )


@pytest.mark.parametrize("name", ["docker://python:3.13-slim", "docker:python:3.13", "docker:ghcr.io/acme/app"])
def test_a_base_with_dockers_scheme_is_told_to_go_without(name: str) -> None:
    (line,) = mistakes({"base-image": name})
    assert line.startswith(f"Field `t.base-image` is not an image reference: {name!r}")
    assert line.endswith("; write it without `docker:`")


@pytest.mark.parametrize("name", ["docker:27-dind", "docker:27@sha256:" + "0" * 64, "docker:5000/app", "docker"])
def test_an_image_or_a_registry_may_be_called_docker(name: str) -> None:
    assert read_table({"base-image": name}).base_image == name


def test_each_element_that_cannot_be_formatted_is_told() -> None:
    assert mistakes({"tags": ["{nope}", "1", "{nope}"], "base-image": "UPPER"})[1:] == [
        f"Element #{number} of field `t.tags` {UNKNOWN_FIELD}" for number in (1, 3)
    ]


def test_docker_has_no_layers_of_zstd() -> None:
    assert mistakes({"compression": "zstd", "format": "docker"}) == [
        "Field `t.compression` = 'zstd' makes layers that format = 'docker' cannot say"
    ]


@pytest.mark.parametrize(("library", "found"), [("None", "none"), ("types.SimpleNamespace(__version__='0.1')", "0.1")])
def test_zstd_needs_the_library_whose_bytes_are_known(library: str, found: str) -> None:
    program = f"""
import sys, types
sys.modules["zstandard"] = {library}
from hatch_oci.layers.compress import COMPRESSIONS
print(COMPRESSIONS["zstd"].missing())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == (
        f"zstandard 0.25.0, whose bytes are part of the digest ({found} is installed): install hatch-oci-image[zstd]\n"
    )
