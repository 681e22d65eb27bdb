from __future__ import annotations

from pathlib import Path

import pytest

from hatch_oci.config import describe
from hatch_oci.errors import ConfigError
from hatch_oci.image.platform import Platform
from hatch_oci.layers.folder import Copy
from tests.unit.projects import TABLE, builder_of

FULL = """
base-image = "python:{env:HATCH_OCI_TEST:3.13}-slim"
platforms = ["linux/arm64/v8"]
repository = "ghcr.io/acme/app"
tags = ["{version}", "latest"]
ports = [8000]
copy = [{ from = "static", to = "/srv/{version}" }]
working-dir = "/srv"
env = { VERSION = "{version}" }
"""

BRACES = "(a literal brace is written twice: {{ or }})"
HOOKS = """
[tool.hatch.build.hooks.everywhere]
dependencies = ["for-everywhere"]
[tool.hatch.build.targets.wheel.hooks.wheel]
dependencies = ["for-the-wheel"]
[tool.hatch.build.targets.oci.hooks.own]
dependencies = ["for-oci"]
[tool.hatch.build.targets.oci.hooks.off]
enable-by-default = false
"""


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SOURCE_DATE_EPOCH", "HATCH_OCI_TEST", "HATCH_BUILD_NO_HOOKS", "HATCH_BUILD_HOOKS_ENABLE"):
        monkeypatch.delenv(name, raising=False)


def test_the_defaults_come_from_the_project(tmp_path: Path) -> None:
    settings = builder_of(tmp_path, project='requires-python = ">=3.9,<3.13"').config.settings
    assert settings.base_image == "python:3.12-slim"
    assert settings.repository == "my-app"
    assert settings.tags == ("1.2.3-local.1",)
    assert settings.created == "2020-02-02T00:00:00Z"
    assert settings.wheel is True


def test_the_table_is_read(tmp_path: Path) -> None:
    settings = builder_of(tmp_path, FULL).config.settings
    assert settings.base_image == "python:3.13-slim"
    assert settings.platforms == (Platform("linux", "arm64"),)
    assert settings.repository == "ghcr.io/acme/app"
    assert settings.tags == ("1.2.3-local.1", "latest")
    assert settings.ports == ("8000/tcp",)
    assert settings.copies == (Copy("static", "/srv/1.2.3+local.1"),)
    assert settings.env == {"VERSION": "1.2.3+local.1"}


def test_an_environment_variable_may_set_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HATCH_OCI_TEST", "3.11")
    assert builder_of(tmp_path, FULL).config.settings.base_image == "python:3.11-slim"


@pytest.mark.parametrize(("epoch", "created"), [("0", "1970-01-01T00:00:00Z"), ("1767225599", "2025-12-31T23:59:59Z")])
def test_the_image_is_as_old_as_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: str, created: str
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    assert builder_of(tmp_path).config.settings.created == created


def test_mistakes_are_told_with_the_full_name_of_the_field(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _ = builder_of(tmp_path, 'prots = [1]\nuser = 1\ntags = ["{nope}"]\n').config.settings
    assert str(caught.value).splitlines()[:2] == [
        f"Field `{TABLE}.prots` is not known; did you mean `ports`?",
        f"Element #1 of field `{TABLE}.tags` cannot be formatted: Unknown context field `nope` {BRACES}",
    ]
    assert caught.value.mistakes[-1] == f"Field `{TABLE}.user` must be a string"


def test_a_source_date_that_is_none_is_told_with_the_other_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(ConfigError) as caught:
        _ = builder_of(tmp_path, "user = 1").config.settings
    assert caught.value.mistakes == [
        "The variable `SOURCE_DATE_EPOCH` must be a number of seconds since 1970",
        f"Field `{TABLE}.user` must be a string",
    ]


@pytest.mark.parametrize(
    ("table", "needed"),
    [
        ("", {"for-everywhere", "for-oci", "for-the-wheel"}),
        ('wheel = "dist/*.whl"', {"for-everywhere", "for-oci"}),
        ("wheel = false", {"for-everywhere", "for-oci"}),
    ],
)
def test_what_the_projects_hooks_need_is_installed_for_an_image_too(
    tmp_path: Path, table: str, needed: set[str]
) -> None:
    assert set(builder_of(tmp_path, table, more=HOOKS).config.dependencies) == needed


def test_without_metadata_an_image_has_title_and_version(tmp_path: Path) -> None:
    assert describe(builder_of(tmp_path).metadata) == {
        "org.opencontainers.image.title": "My.App",
        "org.opencontainers.image.version": "1.2.3+local.1",
    }


METADATA = """
description = "Says hello"
license = "MIT OR Apache-2.0"
authors = [{ name = "Ann" }, { name = "Bob", email = "bob@example.com" }, { email = "c@example.com" }]
[project.urls]
Homepage = "https://example.com"
Documentation = "https://docs.example.com"
Source = "https://git.example.com/app"
Changelog = "https://example.com/changes"
"""


def test_the_projects_metadata_describe_the_image(tmp_path: Path) -> None:
    assert describe(builder_of(tmp_path, project=METADATA).metadata) == {
        "org.opencontainers.image.title": "My.App",
        "org.opencontainers.image.version": "1.2.3+local.1",
        "org.opencontainers.image.description": "Says hello",
        "org.opencontainers.image.authors": "Ann, Bob <bob@example.com>, c@example.com",
        "org.opencontainers.image.licenses": "MIT OR Apache-2.0",
        "org.opencontainers.image.url": "https://example.com",
        "org.opencontainers.image.documentation": "https://docs.example.com",
        "org.opencontainers.image.source": "https://git.example.com/app",
    }


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("homepage", "url"),
        ("Home-Page", "url"),
        ("Source Code", "source"),
        ("repository", "source"),
        ("GitHub", "source"),
        ("GitLab", "source"),
        ("Docs", "documentation"),
        ("Funding", None),
    ],
)
def test_a_link_is_known_by_what_projects_call_it(tmp_path: Path, label: str, key: str | None) -> None:
    project = f'[project.urls]\n"{label}" = "https://example.com/{label[:1]}"'
    described = describe(builder_of(tmp_path, project=project).metadata)
    links = {name: value for name, value in described.items() if value.startswith("https:")}
    assert links == ({f"org.opencontainers.image.{key}": f"https://example.com/{label[:1]}"} if key else {})


def test_of_two_links_the_better_one_is_taken(tmp_path: Path) -> None:
    project = '[project.urls]\nGitHub = "https://example.com/2"\nSource = "https://example.com/1"'
    described = describe(builder_of(tmp_path, project=project).metadata)
    assert described["org.opencontainers.image.source"] == "https://example.com/1"


def test_a_license_that_is_a_text_is_no_expression(tmp_path: Path) -> None:
    described = describe(builder_of(tmp_path, project='license = { text = "do what you want" }').metadata)
    assert "org.opencontainers.image.licenses" not in described
