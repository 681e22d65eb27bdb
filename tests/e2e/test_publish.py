"""`hatch publish -p oci`, by a Hatch in an environment of its own that has the plugin."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from .logins import PASSWORD, assert_no_secret_said, htpasswd, own_variables
from .projects import REPOSITORY, layout_of
from .pushes import build_small, own_storage, pull, tags_of, top_digest
from .registries import serve
from .samples import PUBLIC, TAG
from .shell import Finished, run

pytestmark = pytest.mark.e2e


class Scene(NamedTuple):
    """A project whose image is built and belongs to a registry, and the Hatch that publishes it."""

    hatch: Path
    project: Path
    address: str
    env: dict[str, str]

    def publish(self, *options: str | Path, expect: int = 0, env: Mapping[str, str] | None = None) -> Finished:
        """Publish what was built."""
        command = (self.hatch, "publish", "-p", "oci", *options)
        return run(*command, env={**self.env, **(env or {})}, cwd=self.project, expect=expect)


@pytest.fixture(scope="module")
def own_hatch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the environment: Hatch, and this plugin as a user would install it."""
    folder = tmp_path_factory.mktemp("hatch") / "venv"
    run(sys.executable, "-m", "venv", folder)
    # Not compiled: that takes longer than all that runs of it.
    install = ("-m", "pip", "install", "--quiet", "--no-compile", "hatch", REPOSITORY)
    run(folder / "bin" / "python", *install, timeout=600)
    return folder / "bin" / "hatch"


@pytest.fixture
def scene(
    own_hatch: Path, project: Path, user: dict[str, str], sample_storage: Path, tmp_path: Path
) -> Iterator[Scene]:
    with serve(own_storage(sample_storage, tmp_path / "storage"), tmp_path / "registry") as address:
        env = user | {"BASE_IMAGE": f"{address}/{PUBLIC}:{TAG}", "BELONGS": f"{address}/acme/app"}
        build_small(project, env)
        yield Scene(own_hatch, project, address, env)


def test_what_was_built_is_what_is_published(
    own_hatch: Path, project: Path, sample_storage: Path, user: dict[str, str], env: dict[str, str], tmp_path: Path
) -> None:
    """Both by the real `hatch`, the wheel and all, on the base with Python."""
    with serve(own_storage(sample_storage, tmp_path / "storage"), tmp_path / "registry") as address:
        run(own_hatch, "build", "-t", "oci", env=env, cwd=project, timeout=600)
        digest = top_digest(layout_of(project))
        done = run(own_hatch, "publish", "-p", "oci", "-o", f"repository={address}/acme/app", env=env, cwd=project)
        assert f"{address}/acme/app@{digest}" in done.stdout + done.stderr
        assert top_digest(layout_of(project)) == digest
        assert pull(f"{address}/acme/app:1.0.0", tmp_path / "pulled", user) == digest


def test_the_image_goes_where_it_belongs(scene: Scene, tmp_path: Path) -> None:
    done = scene.publish()
    digest = top_digest(layout_of(scene.project))
    assert f"{scene.address}/acme/app:1.0.0" in done.stdout + done.stderr
    assert pull(f"{scene.address}/acme/app:1.0.0", tmp_path / "pulled", scene.env) == digest


def test_the_table_and_the_options_say_where_else(scene: Scene, tmp_path: Path) -> None:
    with (scene.project / "pyproject.toml").open("a") as file:
        file.write(f'\n[tool.hatch.publish.oci]\nrepository = "{scene.address}/table/app"\ntags = ["1", "latest"]\n')
    scene.publish()
    assert sorted(tags_of(scene.address, "table/app")) == ["1", "latest"]
    scene.publish("-o", f"repository={scene.address}/option/app", "-o", "tag=2", "-o", "digest-file=digest.txt")
    assert tags_of(scene.address, "option/app") == ["2"]
    digest = (scene.project / "digest.txt").read_text().strip()
    assert pull(f"{scene.address}/option/app:2", tmp_path / "pulled", scene.env) == digest
    assert tags_of(scene.address, "acme/app") == []


def test_what_is_named_is_published(scene: Scene) -> None:
    layout = layout_of(scene.project).rename(scene.project / "moved")
    scene.publish(layout)
    assert tags_of(scene.address, "acme/app") == ["1.0.0"]


def test_an_unknown_option_is_told_with_those_that_there_are(scene: Scene) -> None:
    done = scene.publish("-o", "repo=x", "-o", "tags=1", expect=1)
    said = done.stdout + done.stderr
    assert "Option `repo` is not known" in said
    assert "Option `tags` is not known" in said
    assert "repository, tag, digest-file" in said
    assert "Traceback" not in said
    assert tags_of(scene.address, "acme/app") == []


def test_missing_credentials_give_a_hint(scene: Scene, tmp_path: Path) -> None:
    scratch = tmp_path / "guarded"
    with serve(tmp_path / "guarded-storage", scratch, auth=htpasswd(scratch)) as guarded:
        option = ("-o", f"repository={guarded}/acme/app")
        done = scene.publish(*option, expect=1)
        said = " ".join((done.stdout + done.stderr).split())
        assert f"docker login {guarded}" in said
        assert "HATCH_OCI_USER" in said
        assert "Traceback" not in said
        done = scene.publish(*option, env=own_variables(guarded))
        assert f"{guarded}/acme/app:1.0.0" in done.stdout + done.stderr
        assert_no_secret_said([PASSWORD], done)


def test_where_nothing_was_built_it_says_what_to_do(scene: Scene) -> None:
    layout_of(scene.project).rename(scene.project / "moved")
    done = scene.publish(expect=1)
    assert "run `hatch build -t oci`" in " ".join((done.stdout + done.stderr).split())
