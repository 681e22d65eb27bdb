from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from hatch_oci.registry.credentials import Lookup, auth_files, find_credential
from tests.unit.programs import Programs, answering, knowing
from tests.unit.test_credentials import HUB_KEY, encoded, login, user_of, write


def from_file(path: Path, registry: str = "r.example", repository: str = "team/app", **more: str) -> Lookup:
    return find_credential(registry, repository, {"REGISTRY_AUTH_FILE": str(path), **more})


def test_a_helper_for_the_host_beats_that_for_all_which_beats_the_file(tmp_path: Path, programs: Programs) -> None:
    programs.helper("host", answering("host", "x"))
    programs.helper("all", answering("all", "x"))
    document: dict[str, Any] = {
        "auths": {"r.example": login("file"), "r.example/team/app": login("deep")},
        "credHelpers": {"r.example": "host", "other.example": "all"},
        "credsStore": "all",
    }

    def credential() -> tuple[str, str]:
        found = from_file(write(tmp_path / "x.json", document)).credential
        assert found
        return found.username, found.source

    path = tmp_path / "x.json"
    assert credential() == ("host", f"docker-credential-host (credHelpers key r.example in {path})")
    del document["credHelpers"]["r.example"]
    assert credential() == ("all", f"docker-credential-all (credsStore in {path})")
    del document["credsStore"]
    assert credential() == ("deep", f"key r.example/team/app in {path}")


def test_a_helper_that_knows_nothing_leads_on(tmp_path: Path, programs: Programs) -> None:
    programs.helper("host", knowing("other.example", "host", "x"))
    programs.helper("all", knowing("r.example", "all", "x"))
    document: dict[str, Any] = {
        "auths": {"r.example": login("file")},
        "credHelpers": {"https://r.example/v2/": "host"},
        "credsStore": "all",
    }
    assert user_of(from_file(write(tmp_path / "x.json", document))) == "all"
    programs.helper("all", knowing("other.example", "all", "x"))
    assert user_of(from_file(tmp_path / "x.json")) == "file"
    document["auths"] = {}
    assert user_of(from_file(write(tmp_path / "x.json", document))) is None


def test_a_helper_that_fails_is_told_of_and_passed_over(tmp_path: Path, programs: Programs) -> None:
    programs.helper("host", "echo hidden; exit 3")
    document = {
        "auths": {"r.example": login("file")},
        "credHelpers": {"r.example": "host"},
        "credsStore": "absent-from-here",
    }
    path = write(tmp_path / "x.json", document)
    lookup = from_file(path)
    assert lookup.credential
    assert lookup.credential.username == "file"
    assert lookup.problems == (
        f"docker-credential-host failed with exit code 3 (credHelpers key r.example in {path})",
        f"docker-credential-absent-from-here is not installed (credsStore in {path})",
    )


@pytest.mark.parametrize("server", ["https://index.docker.io/v1/", "docker.io"])
def test_a_helper_may_know_docker_hub_by_its_url_or_its_name(server: str, tmp_path: Path, programs: Programs) -> None:
    programs.helper("x", knowing(server, "ann", "x"))
    path = write(tmp_path / "config.json", {"credsStore": "x"})
    assert user_of(find_credential("docker.io", "library/python", {"REGISTRY_AUTH_FILE": str(path)})) == "ann"


@pytest.mark.skipif(sys.platform != "linux", reason="Podman keeps its file elsewhere")
def test_podmans_file_of_a_machine_without_sessions_is_looked_for() -> None:
    path = Path(f"/run/containers/{os.getuid()}/auth.json")
    assert path in auth_files({})
    assert path not in auth_files({"XDG_RUNTIME_DIR": "/run/user/1"})


def test_a_key_counts_in_whatever_case(tmp_path: Path) -> None:
    path = write(tmp_path / "config.json", {"auths": {"R.Example/team": login("ann")}})
    assert user_of(find_credential("r.example", "team/app", {"REGISTRY_AUTH_FILE": str(path)})) == "ann"


def test_helpers_are_asked_for_docker_hub_by_its_old_url(tmp_path: Path, programs: Programs) -> None:
    programs.helper("hub", knowing(HUB_KEY, "ann", "x"))
    path = write(tmp_path / "x.json", {"credsStore": "hub"})
    assert user_of(from_file(path, "docker.io", "library/python")) == "ann"
    path = write(tmp_path / "x.json", {"credHelpers": {"docker.io": "hub"}})
    assert user_of(from_file(path, "docker.io", "library/python")) == "ann"


def test_a_helper_gives_an_identity_token_to_the_user_token(tmp_path: Path, programs: Programs) -> None:
    programs.helper("acr", answering("<token>", "idt"))
    credential = from_file(write(tmp_path / "x.json", {"credsStore": "acr"})).credential
    assert credential
    assert (credential.username, credential.password, credential.identity_token) == ("", "", "idt")


def test_an_empty_helper_is_none(tmp_path: Path) -> None:
    document = {"credsStore": "", "credHelpers": {"r.example": ""}, "auths": {"r.example": login("ann")}}
    assert user_of(from_file(write(tmp_path / "x.json", document))) == "ann"


def test_the_variable_of_pipelines_starts_no_helper(tmp_path: Path, programs: Programs) -> None:
    programs.helper("trap", f"touch {tmp_path}/started; exit 1")
    text = json.dumps({"credsStore": "trap", "credHelpers": {"r.example": "trap"}, "auths": {"r.example": {}}})
    assert find_credential("r.example", "app", {"DOCKER_AUTH_CONFIG": text}) == Lookup(
        None, ("DOCKER_AUTH_CONFIG",), ()
    )
    assert not (tmp_path / "started").exists()


def test_a_helper_with_a_path_for_a_name_is_not_started(tmp_path: Path, programs: Programs) -> None:
    programs.helper("trap", f"touch {tmp_path}/started")
    path = write(tmp_path / "x.json", {"credsStore": "x/../docker-credential-trap"})
    lookup = from_file(path)
    assert lookup.problems == (
        f"'x/../docker-credential-trap' is no name of a credential helper (credsStore in {path})",
    )
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", ": not valid JSON: Expecting value: line 1 column 1 (char 0)"),
        (
            "{'auths': {}}",
            ": not valid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        ("[]", ": must be an object"),
        ('{"auths": []}', " → auths: must be an object"),
        ('{"auths": {"r.example": "x"}}', " → auths.r.example: must be an object"),
        ('{"auths": {"r.example": {"auth": 5}}}', " → auths.r.example.auth: must be a string"),
        ('{"credsStore": 5}', " → credsStore: must be a string"),
        ('{"credHelpers": 5}', " → credHelpers: must be an object"),
        ('{"credHelpers": {"r.example": []}}', " → credHelpers.r.example: must be a string"),
    ],
)
def test_a_broken_file_is_told_of_and_passed_over(text: str, problem: str, home: Path, tmp_path: Path) -> None:
    docker = write(home / ".docker/config.json", {"auths": {"r.example": login("ann")}})
    path = write(tmp_path / "x.json", text)
    lookup = from_file(path)
    assert lookup.problems == (f"{path}{problem}",)
    assert lookup.places == (str(path), str(docker))
    assert lookup.credential
    assert lookup.credential.username == "ann"


@pytest.mark.parametrize(
    "auth",
    ["hidden", encoded("hidden"), "hidden:hidden", "hiddén", "a", "/////w==", encoded("hidden").encode().hex()],
)
def test_an_entry_that_is_not_base64_is_told_of_without_it(auth: str) -> None:
    text = json.dumps({"auths": {"r.example": {"auth": auth}}})
    lookup = find_credential("r.example", "app", {"DOCKER_AUTH_CONFIG": text})
    assert lookup == Lookup(
        None,
        ("DOCKER_AUTH_CONFIG",),
        ("DOCKER_AUTH_CONFIG → auths.r.example: `auth` is not the base64 of USER:PASSWORD",),
    )


def test_a_variable_of_other_bytes_is_told_of() -> None:
    lookup = find_credential("r.example", "app", {"DOCKER_AUTH_CONFIG": '{"auths": "\udcff"}'})
    assert len(lookup.problems) == 1
    assert lookup.problems[0].startswith("DOCKER_AUTH_CONFIG: not valid JSON: 'utf-8' codec can't decode byte 0xff")


def test_places_that_cannot_be_read_are_told_of(home: Path, tmp_path: Path) -> None:
    (home / ".docker/config.json").mkdir(parents=True)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "run").write_text("a file, no folder")
    large = write(tmp_path / "config/containers/auth.json", json.dumps({"auths": {}}) + " " * 1024 * 1024)
    environ = {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert from_file(tmp_path / "loop", **environ) == Lookup(
        None,
        (),
        (
            f"cannot read {tmp_path}/loop: Too many levels of symbolic links",
            f"cannot read {home}/.docker/config.json: Is a directory",
            f"cannot read {tmp_path}/run/containers/auth.json: Not a directory",
            f"{large} is larger than a file of credentials is",
        ),
    )


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    text = json.dumps({"auths": {"r.example": login("ann")}})
    assert user_of(from_file(write(tmp_path / "x.json", text.ljust(1024 * 1024)))) == "ann"
