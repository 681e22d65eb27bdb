"""docker-registry with htpasswd: where a user's password is found, and what he reads when it is none of them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .inspections import VERBOSE, error_of, inspect, inspect_json
from .logins import PASSWORD, USER, assert_no_secret_said, htpasswd, login, own_variables
from .registries import requests_of, serve
from .samples import PRIVATE, TAG, sample
from .tokens import basic

pytestmark = pytest.mark.e2e

Place = Callable[[str, dict[str, str]], tuple[dict[str, str], str]]
SECRETS = [PASSWORD, basic(USER, PASSWORD)]


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Answer where the registry keeps its log."""
    return tmp_path / "registry"


@pytest.fixture
def address(scratch: Path, sample_storage: Path) -> Iterator[str]:
    """Serve the sample to those who are in the htpasswd file."""
    with serve(sample_storage, scratch, auth=htpasswd(scratch)) as address:
        yield address


def _in_file(path: str, **variables: str) -> Place:
    """Log in with an auth file below the home, which `variables` name in their own way."""

    def place(address: str, user: dict[str, str]) -> tuple[dict[str, str], str]:
        home = Path(user["HOME"])
        login(address, home / path, user)
        return user | {name: str(home / value) for name, value in variables.items()}, path

    return place


def _in_runtime_folder(address: str, user: dict[str, str]) -> tuple[dict[str, str], str]:
    folder = Path(user["HOME"], "run")
    folder.mkdir(mode=0o700)
    user |= {"XDG_RUNTIME_DIR": str(folder)}
    # Where skopeo writes it by itself.
    login(address, None, user)
    return user, "run/containers/auth.json"


def _in_variable(address: str, user: dict[str, str]) -> tuple[dict[str, str], str]:
    file = Path(user["HOME"], "auth.json")
    login(address, file, user)
    text = file.read_text()
    file.unlink()
    return user | {"DOCKER_AUTH_CONFIG": text}, "DOCKER_AUTH_CONFIG"


def _in_own_variables(address: str, user: dict[str, str]) -> tuple[dict[str, str], str]:
    return user | own_variables(address), "HATCH_OCI_"


PLACES: dict[str, Place] = {
    "own variables": _in_own_variables,
    "REGISTRY_AUTH_FILE": _in_file("somewhere/auth.json", REGISTRY_AUTH_FILE="somewhere/auth.json"),
    "DOCKER_AUTH_CONFIG": _in_variable,
    "DOCKER_CONFIG": _in_file("docker/config.json", DOCKER_CONFIG="docker"),
    "home of Docker": _in_file(".docker/config.json"),
    "XDG_RUNTIME_DIR": _in_runtime_folder,
    "XDG_CONFIG_HOME": _in_file("settings/containers/auth.json", XDG_CONFIG_HOME="settings"),
    "home of Podman": _in_file(".config/containers/auth.json"),
}


@pytest.mark.parametrize("place", sorted(PLACES))
def test_a_login_is_found_and_its_place_is_told(place: str, address: str, user: dict[str, str]) -> None:
    user, source = PLACES[place](address, user)
    seen = inspect_json(f"{address}/{PRIVATE}:{TAG}", user)
    assert seen["digest"] == sample().digest
    assert source in seen["reached"]["credentials"]


def test_the_first_place_wins(address: str, user: dict[str, str]) -> None:
    """The file that the variable names holds the wrong password; the right one, in Docker's, is not tried."""
    user, _ = PLACES["home of Docker"](address, user)
    user, source = PLACES["REGISTRY_AUTH_FILE"](address, user)
    file = Path(user["REGISTRY_AUTH_FILE"])
    file.write_text(file.read_text().replace(basic(USER, PASSWORD), basic(USER, "yesterday's")))
    line = error_of(f"{address}/{PRIVATE}:{TAG}", user)
    assert source in line
    assert address in line
    assert "401" in line


def test_the_own_variables_are_for_one_registry_only(address: str, user: dict[str, str], scratch: Path) -> None:
    line = error_of(f"{address}/{PRIVATE}:{TAG}", user | own_variables("registry.example.com"))
    assert address in line
    # docker-registry logs every password that it refuses.
    assert "authenticating user" not in (scratch / "registry.log").read_text()
    assert requests_of(scratch)


def test_without_a_login_one_line_says_what_was_tried_and_what_to_do(address: str, user: dict[str, str]) -> None:
    line = error_of(f"{address}/{PRIVATE}:{TAG}", user)
    assert address in line
    assert PRIVATE in line
    assert "credentials" in line
    assert "login" in line or "HATCH_OCI_USER" in line


def test_no_secret_is_said_however_talkative(address: str, user: dict[str, str]) -> None:
    """Neither with the right password, nor with one that is refused."""
    right, _ = PLACES["home of Docker"](address, user)
    assert_no_secret_said(SECRETS, inspect(f"{address}/{PRIVATE}:{TAG}", right, *VERBOSE))
    wrong = right | own_variables(address) | {"HATCH_OCI_AUTH": "yesterday's password"}
    done = inspect(f"{address}/{PRIVATE}:{TAG}", wrong, *VERBOSE, expect=1)
    assert_no_secret_said(["yesterday's password", basic(USER, "yesterday's password")], done)
