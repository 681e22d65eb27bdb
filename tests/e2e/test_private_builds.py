"""All of it: `hatch build -t oci` on a base that takes a password, a token, an own authority and a plain store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from . import bases
from .certificates import trust
from .images import read_image
from .logins import USER, assert_no_secret_kept, assert_no_secret_said, assert_no_secret_sent, login, own_variables
from .projects import TAG, environment, hatch, layout_of, record_of
from .requirements import require
from .shell import run
from .vaults import Vault, serve_vault, users

pytestmark = pytest.mark.e2e


@pytest.fixture
def vault(registry_storage: Path, tmp_path: Path) -> Iterator[Vault]:
    """Serve the bases, of which the user may pull Python's."""
    with serve_vault(registry_storage, tmp_path / "vault", users(bases.PYTHON)) as vault:
        yield vault


@pytest.mark.parametrize("place", ["a file of Docker", "variables"])
def test_the_example_is_built_on_a_private_base(place: str, vault: Vault, project: Path, tmp_path: Path) -> None:
    require("skopeo")
    home = tmp_path / "home"
    env = environment(home, BASE_IMAGE=f"{vault.address}/{bases.PYTHON}:{bases.FORMS['index']}")
    # Not SSL_CERT_FILE: that is also for the index from which Hatch installs the plugin.
    for address in (vault.address, vault.tokens.address):
        trust(home, address, vault.authority)
    if place == "variables":
        env |= own_variables(vault.address)
    else:
        login(vault.address, home / ".docker" / "config.json", env)
    done = hatch(project, env, "-v", "build", "-t", "oci")

    image = read_image(layout_of(project))
    assert image.descriptor["digest"] in record_of(project).read_text()
    run("skopeo", "--insecure-policy", "copy", f"oci:{layout_of(project)}:{TAG}", f"dir:{tmp_path / 'copy'}")
    assert {user for user, _ in vault.tokens.scopes} == {USER}
    assert_no_secret_sent(vault.credentials, [*vault.store.hop_log, *vault.store.log])
    assert_no_secret_said(vault.secrets, done)
    assert_no_secret_kept(vault.secrets, project / "dist")
