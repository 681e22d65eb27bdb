from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from packaging.specifiers import SpecifierSet

from hatch_oci.base.python import Libc
from hatch_oci.dependency_settings import DependencySettings
from hatch_oci.errors import ConfigError
from hatch_oci.image.platform import Platform
from hatch_oci.layers.folder import Copy
from hatch_oci.registry.options import RegistryOptions
from hatch_oci.settings import Project, Settings
from hatch_oci.trust_settings import TrustSettings
from tests.unit.projects import read_table as read


def test_an_empty_table_gives_the_defaults() -> None:
    assert read({}) == Settings(
        base_image="python:3.15-slim",
        platforms=(Platform("linux", "amd64"),),
        repository="my-app",
        tags=("1.2-x",),
        wheel=True,
        prefix="/app/.venv",
        copies=(),
        entrypoint=None,
        cmd=None,
        env={},
        ports=(),
        volumes=(),
        labels={},
        annotations={},
        user=None,
        working_dir=None,
        stop_signal=None,
        created="2020-02-02T00:00:00Z",
        compression="gzip",
        format="oci",
        python=None,
        libc=None,
        dependencies=DependencySettings(),
        registries=RegistryOptions(),
        trust=TrustSettings(sboms=("cyclonedx",)),
        sparse=False,
    )


@pytest.mark.parametrize(
    ("key", "value", "field", "expected"),
    [
        ("base-image", "scratch", "base_image", "scratch"),
        ("platforms", ["linux/aarch64"], "platforms", (Platform("linux", "arm64"),)),
        ("repository", "ghcr.io/acme/app", "repository", "ghcr.io/acme/app"),
        ("repository", "localhost:5000/app", "repository", "localhost:5000/app"),
        ("tags", ["{version}", "latest", "1.2-x"], "tags", ("1.2-x", "latest")),
        ("sbom", False, "trust", TrustSettings(())),
        ("sbom", [], "trust", TrustSettings(())),
        ("sbom", ["spdx", "cyclonedx", "spdx"], "trust", TrustSettings(("spdx", "cyclonedx"))),
        ("wheel", False, "wheel", False),
        ("wheel", True, "wheel", True),
        ("wheel", "dist/*{version}*.whl", "wheel", "dist/*1.2+x*.whl"),
        ("prefix", "//opt/./venv/", "prefix", "/opt/venv"),
        ("prefix", "/" + "x" * 113, "prefix", "/" + "x" * 113),
        ("entrypoint", ["/bin/app", "{version}", ""], "entrypoint", ("/bin/app", "1.2+x", "")),
        ("entrypoint", "python -m 'my app' {version}", "entrypoint", ("python", "-m", "my app", "1.2+x")),
        ("entrypoint", "inherit", "entrypoint", "inherit"),
        ("entrypoint", [], "entrypoint", ()),
        ("cmd", ["serve"], "cmd", ("serve",)),
        ("cmd", "inherit", "cmd", "inherit"),
        ("cmd", "{env:HATCH_OCI_NO_SUCH:inherit}", "cmd", "inherit"),
        ("cmd", "--port 80", "cmd", ("--port", "80")),
        ("env", {"A": "{version}", "EMPTY": ""}, "env", {"A": "1.2+x", "EMPTY": ""}),
        (
            "ports",
            [8080, "53/udp", "443", "9/sctp", 1, 65535],
            "ports",
            ("8080/tcp", "53/udp", "443/tcp", "9/sctp", "1/tcp", "65535/tcp"),
        ),
        ("volumes", ["/data", "/var//log/"], "volumes", ("/data", "/var/log")),
        ("labels", {"a.b": "ü"}, "labels", {"a.b": "ü"}),
        ("annotations", {"a.b": "{version}"}, "annotations", {"a.b": "1.2+x"}),
        *(
            ("user", text, "user", text)
            for text in ("1000:1000", "0", "app", "www-data:www-data", "_apt:0", "a.b", "vm$")
        ),
        ("working-dir", "/srv/", "working_dir", "/srv"),
        ("working-dir", "/", "working_dir", "/"),
        *(("stop-signal", text, "stop_signal", text) for text in ("SIGINT", "SIGRTMIN+3", "SIGUSR1", "9", "64")),
        ("created", "2026-01-31T12:00:00Z", "created", "2026-01-31T12:00:00Z"),
        ("created", "2026-01-31t12:00:00.123456789+01:00", "created", "2026-01-31T12:00:00.123456789+01:00"),
        ("compression", "none", "compression", "none"),
        ("format", "docker", "format", "docker"),
        ("python", "/usr/bin/python3", "python", "/usr/bin/python3"),
        ("libc", "glibc 2.36", "libc", Libc("glibc", 2, 36)),
        ("libc", "glibc2.36", "libc", Libc("glibc", 2, 36)),
        ("libc", "musl-1.2.5", "libc", Libc("musl", 1, 2)),
    ],
)
def test_a_value_is_read(key: str, value: object, field: str, expected: object) -> None:
    assert getattr(read({key: value}), field) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Copy("a", "/to")),
        ({"to": "/to/"}, Copy("a", "/to/")),
        ({"to": "/"}, Copy("a", "/")),
        ({"include": ["*.py"], "exclude": ["{version}"]}, Copy("a", "/to", ("*.py",), ("1.2+x",))),
        ({"mode": "0640"}, Copy("a", "/to", mode=0o640)),
        ({"owner": "1000"}, Copy("a", "/to", uid=1000, gid=1000)),
        ({"owner": "1000:50"}, Copy("a", "/to", uid=1000, gid=50)),
    ],
)
def test_a_copy_is_read(values: dict[str, object], expected: Copy) -> None:
    assert read({"copy": [{"from": "a", "to": "/to", **values}]}).copies == (expected,)


@pytest.mark.parametrize("key", ["directory", "dependencies", "hooks", "versions", "require-runtime-dependencies"])
def test_what_hatch_itself_reads_is_no_mistake(key: str) -> None:
    assert read({key: object()}) == read({})


@pytest.mark.parametrize(
    ("allowed", "image"),
    [
        ("", "python:3.15-slim"),
        (">=3.8", "python:3.15-slim"),
        ("<3.13", "python:3.12-slim"),
        ("<=3.12", "python:3.12-slim"),
        (">=3.12.4,<3.13", "python:3.12-slim"),
        ("==3.10.*", "python:3.10-slim"),
        ("~=3.9.5", "python:3.9-slim"),
        (">=3.7,!=3.15.*,!=3.14.*", "python:3.13-slim"),
    ],
)
def test_the_default_base_has_the_newest_python_that_is_allowed(allowed: str, image: str) -> None:
    project = Project("my-app", "1", SpecifierSet(allowed), 0)
    assert read({}, project).base_image == image


def test_a_project_that_no_base_serves_must_name_one() -> None:
    project = Project("my-app", "1", SpecifierSet("<3"), 0)
    with pytest.raises(ConfigError) as caught:
        read({}, project)
    problem = "must be set: there is no python:3.X-slim for requires-python = '<3'"
    assert str(caught.value) == f"Field `t.base-image` {problem}"
    assert read({"base-image": "pypy:2"}, project).base_image == "pypy:2"
    with pytest.raises(ConfigError) as caught:
        read({"base-image": 5}, project)
    assert str(caught.value) == "Field `t.base-image` must be a string"


def test_now_is_now() -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    created = read({"created": "now"}).created
    assert created.endswith("Z")
    assert before <= datetime.fromisoformat(created) <= datetime.now(UTC)


def test_the_epoch_of_a_version_makes_a_tag() -> None:
    assert read({}, Project("my-app", "1!2.0+local", SpecifierSet(""), 0)).tags == ("1-2.0-local",)
