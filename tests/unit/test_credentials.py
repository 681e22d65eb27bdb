from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_oci.errors import RegistryError
from hatch_oci.registry.credentials import Credential, Lookup, find_credential
from tests.unit.documents import JSON_VALUES

HUB_KEY = "https://index.docker.io/v1/"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def login(user: str) -> dict[str, str]:
    """Return an entry of `auths` as `docker login` writes it."""
    return {"auth": encoded(f"{user}:of-{user}")}


def write(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def found(auths: dict[str, Any], registry: str = "r.example", repository: str = "team/app") -> Lookup:
    return find_credential(registry, repository, {"DOCKER_AUTH_CONFIG": json.dumps({"auths": auths})})


def user_of(lookup: Lookup) -> str | None:
    assert lookup.problems == ()
    return lookup.credential.username if lookup.credential else None


def test_the_first_place_that_knows_the_registry_wins(home: Path, tmp_path: Path) -> None:
    def file(path: Path) -> str:
        return str(write(path, {"auths": {"r.example": login(path.parent.name)}}))

    chosen, docker = file(tmp_path / "chosen/x.json"), file(tmp_path / "docker/config.json")
    runtime = file(tmp_path / "run/containers/auth.json")
    config = file(tmp_path / "config/containers/auth.json")
    home_docker, home_config = file(home / ".docker/config.json"), file(home / ".config/containers/auth.json")
    environ = {
        "HATCH_OCI_REGISTRY": "r.example",
        "HATCH_OCI_USER": "own",
        "HATCH_OCI_AUTH": "secret",
        "REGISTRY_AUTH_FILE": chosen,
        "DOCKER_AUTH_CONFIG": json.dumps({"auths": {"r.example": login("pipeline")}}),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }

    def source() -> str:
        lookup = find_credential("r.example", "team/app", environ)
        assert lookup.credential
        assert not lookup.problems
        return lookup.credential.source

    assert source() == "HATCH_OCI_USER and HATCH_OCI_AUTH"
    environ["HATCH_OCI_REGISTRY"] = "other.example"
    assert source() == f"key r.example in {chosen}"
    del environ["REGISTRY_AUTH_FILE"]
    assert source() == "key r.example in DOCKER_AUTH_CONFIG"
    del environ["DOCKER_AUTH_CONFIG"]
    assert source() == f"key r.example in {docker}"
    Path(docker).unlink()
    assert source() == f"key r.example in {runtime}"
    del environ["DOCKER_CONFIG"]
    assert source() == f"key r.example in {home_docker}"
    Path(home_docker).unlink()
    assert source() == f"key r.example in {runtime}"
    del environ["XDG_RUNTIME_DIR"]
    assert source() == f"key r.example in {config}"
    del environ["XDG_CONFIG_HOME"]
    assert source() == f"key r.example in {home_config}"
    Path(home_config).unlink()
    assert find_credential("r.example", "team/app", environ) == Lookup(
        None, ("HATCH_OCI_USER (which is for other.example)",), ()
    )


def test_where_was_looked_is_told_in_order(home: Path, tmp_path: Path) -> None:
    other = {"auths": {"other.example": login("x")}}
    chosen, docker = write(tmp_path / "chosen.json", other), write(home / ".docker/config.json", other)
    lookup = find_credential(
        "r.example", "app", {"REGISTRY_AUTH_FILE": str(chosen), "DOCKER_AUTH_CONFIG": "{}", "DOCKER_CONFIG": ""}
    )
    assert lookup == Lookup(None, (str(chosen), "DOCKER_AUTH_CONFIG", str(docker)), ())


def test_the_environment_is_that_of_the_process_if_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": {"r.example": login("ann")}}))
    assert user_of(find_credential("r.example", "app")) == "ann"


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"HATCH_OCI_REGISTRY": "r.example"}, "HATCH_OCI_USER and HATCH_OCI_AUTH"),
        ({"HATCH_OCI_USER": "ann", "HATCH_OCI_AUTH": "x"}, "HATCH_OCI_REGISTRY"),
        ({"HATCH_OCI_REGISTRY": "r.example", "HATCH_OCI_USER": "ann", "HATCH_OCI_AUTH": ""}, "HATCH_OCI_AUTH"),
    ],
)
def test_variables_that_are_not_all_set_are_refused(given: dict[str, str], missing: str) -> None:
    with pytest.raises(RegistryError) as caught:
        find_credential("r.example", "app", given)
    assert str(caught.value) == (
        f"{missing} must be set, too: HATCH_OCI_REGISTRY, HATCH_OCI_USER, HATCH_OCI_AUTH go together"
    )


@pytest.mark.parametrize(
    ("named", "registry", "meant"),
    [
        ("r.example", "r.example", True),
        ("https://r.example/", "r.example", True),
        ("r.example:5000", "r.example:5000", True),
        ("r.example", "r.example:5000", False),
        ("r.example/team", "r.example", False),
        ("example", "r.example", False),
        ("docker.io", "docker.io", True),
        ("index.docker.io", "docker.io", True),
        ("registry-1.docker.io", "docker.io", True),
        (HUB_KEY, "docker.io", True),
        ("docker.io", "r.example", False),
        ("index.docker.io", "index.docker.io.r.example", False),
    ],
)
def test_variables_are_for_the_one_registry_that_they_name(named: str, registry: str, meant: bool) -> None:
    environ = {"HATCH_OCI_REGISTRY": named, "HATCH_OCI_USER": "ann", "HATCH_OCI_AUTH": "secret"}
    credential = find_credential(registry, "team/app", environ).credential
    assert credential == (Credential("HATCH_OCI_USER and HATCH_OCI_AUTH", "ann", "secret") if meant else None)


def test_the_key_of_the_longest_path_wins() -> None:
    auths = {
        "r.example": login("host"),
        "r.example/team": login("team"),
        "r.example/team/app": login("app"),
        "r.example/team/application": login("other"),
        "r.example/te": login("half"),
    }
    assert user_of(found(auths)) == "app"
    del auths["r.example/team/app"]
    assert user_of(found(auths)) == "team"
    assert user_of(found(auths, repository="team/deep/app")) == "team"
    assert user_of(found(auths, repository="else/app")) == "host"
    assert user_of(found(auths, "r.example:5000")) is None


@pytest.mark.parametrize(
    "key",
    [
        "https://r.example",
        "http://r.example",
        "https://r.example/",
        "https://r.example/v1/",
        "https://r.example/v2/",
        "r.example/v2",
        "https://r.example/team/app",
        "https://r.example/team/",
    ],
)
def test_old_keys_that_are_urls_count(key: str) -> None:
    assert user_of(found({key: login("ann")})) == "ann"


@pytest.mark.parametrize("repository", ["team/v1", "team/v2/app"])
def test_a_repository_that_is_called_like_a_version_is_no_version(repository: str) -> None:
    auths = {"r.example/team": login("team"), f"r.example/{repository}": login("own")}
    assert user_of(found(auths, repository=repository)) == "own"
    assert user_of(found({f"r.example/{repository}": login("own")}, repository="team/app")) is None


@pytest.mark.parametrize(
    "key",
    [
        HUB_KEY,
        "docker.io",
        "index.docker.io",
        "https://registry-1.docker.io/v2/",
        "docker.io/library",
        "docker.io/library/python",
    ],
)
def test_docker_hub_has_several_names(key: str) -> None:
    assert user_of(found({key: login("ann")}, "docker.io", "library/python")) == "ann"
    assert user_of(found({key: login("ann")}, "r.example", "library/python")) is None


def test_an_empty_entry_is_no_credential() -> None:
    auths: dict[str, Any] = {
        "r.example/team/app": {},
        "r.example/team": {"auth": "", "username": "", "password": None},
        "https://r.example": None,
        "r.example": login("ann"),
    }
    assert user_of(found(auths)) == "ann"
    del auths["r.example"]
    assert user_of(found(auths)) is None
    for entry in ({"username": "ann"}, {"password": "x"}, {"auth": encoded("ann:")}, {"auth": encoded(":x")}):
        assert user_of(found({"r.example": entry})) is None


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"username": "ann", "password": "x:y"}, Credential("", "ann", "x:y")),
        ({"auth": encoded("ann:x:y"), "username": "bob", "password": "z"}, Credential("", "ann", "x:y")),
        ({"auth": encoded("änn:pässwörd")}, Credential("", "änn", "pässwörd")),
        ({"auth": encoded("ann:abcd").rstrip("=")}, Credential("", "ann", "abcd")),
        ({"auth": encoded("ann:abc").rstrip("=")}, Credential("", "ann", "abc")),
        ({"auth": f" {encoded('ann:x')}\n"}, Credential("", "ann", "x")),
        ({"auth": encoded("ann:x\0\0")}, Credential("", "ann", "x")),
        ({"auth": encoded("<token>:idt")}, Credential("", identity_token="idt")),
        ({"username": "<token>", "password": "idt"}, Credential("", identity_token="idt")),
        ({"auth": encoded("ann:"), "identitytoken": "idt"}, Credential("", "ann", identity_token="idt")),
        ({"identitytoken": "idt", "registrytoken": "rt"}, Credential("", identity_token="idt")),
        ({"registrytoken": "rt"}, Credential("", registry_token="rt")),
        ({"auth": encoded("ann:x"), "registrytoken": "rt"}, Credential("", registry_token="rt")),
        ({"username": "ann", "password": "x", "email": 5, "more": {}}, Credential("", "ann", "x")),
    ],
)
def test_an_entry_is_read_in_all_its_forms(entry: dict[str, Any], expected: Credential) -> None:
    credential = found({"r.example": entry}).credential
    assert credential
    assert credential.source == "key r.example in DOCKER_AUTH_CONFIG"
    assert {**_fields(credential), "source": ""} == _fields(expected)


def _fields(credential: Credential) -> dict[str, str]:
    return {name: getattr(credential, name) for name in Credential.__slots__}


def test_a_credential_is_shown_without_its_secrets() -> None:
    for credential in (
        Credential("here", "ann", "hidden"),
        Credential("here", "ann", identity_token="hidden"),
        Credential("here", registry_token="hidden"),
    ):
        assert "hidden" not in repr(credential)
        assert "hidden" in credential.secrets
        assert "" not in credential.secrets


def test_the_header_has_user_and_secret() -> None:
    assert Credential("", "ann", "x:y").basic == f"Basic {encoded('ann:x:y')}"
    assert Credential("", "änn", "ü").basic == f"Basic {encoded('änn:ü')}"
    assert Credential("", "ann", identity_token="idt").basic == f"Basic {encoded('ann:idt')}"
    assert Credential("", identity_token="idt").basic == f"Basic {encoded('<token>:idt')}"
    assert encoded("ann:x:y") in Credential("", "ann", "x:y").secrets


def test_a_secret_of_bytes_that_are_not_utf_8_is_sent_as_it_is() -> None:
    environ = {"HATCH_OCI_REGISTRY": "r.example", "HATCH_OCI_USER": "ann", "HATCH_OCI_AUTH": "x\udcff"}
    credential = find_credential("r.example", "app", environ).credential
    assert credential
    assert base64.b64decode(credential.basic.removeprefix("Basic ")) == b"ann:x\xff"


TEXTS = st.text() | st.sampled_from(["", "<token>", "a:b", encoded("a:b"), encoded("<token>:b"), "0", "none"])
ENTRIES = (
    st.dictionaries(st.sampled_from(["auth", "username", "password", "identitytoken", "registrytoken"]), TEXTS)
    | JSON_VALUES
)
KEYS = st.sampled_from(["r.example", "r.example/team", "https://r.example/v1/", "docker.io", HUB_KEY]) | st.text()
FILES = (
    st.fixed_dictionaries(
        {},
        optional={
            "auths": st.dictionaries(KEYS, ENTRIES) | JSON_VALUES,
            "credHelpers": st.dictionaries(KEYS, TEXTS | JSON_VALUES) | JSON_VALUES,
            "credsStore": TEXTS | JSON_VALUES,
        },
    )
    | JSON_VALUES
)


@given(FILES, st.sampled_from(["r.example", "docker.io"]))
def test_any_document_gives_a_lookup(tmp_path_factory: pytest.TempPathFactory, document: Any, registry: str) -> None:
    path = write(tmp_path_factory.getbasetemp() / "any.json", json.dumps(document))
    for environ in ({"REGISTRY_AUTH_FILE": str(path)}, {"DOCKER_AUTH_CONFIG": path.read_text()}):
        # Only variables of this plugin, which are not set here, raise an error.
        lookup = find_credential(registry, "team/app", environ)
        assert len(lookup.places) == 1
        assert all(problem.isprintable() for problem in lookup.problems)
        if lookup.credential:
            assert lookup.credential.secrets
            assert lookup.credential.basic.isascii()
