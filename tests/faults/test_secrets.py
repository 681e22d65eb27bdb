"""What leaves the machine of a user who has secrets everywhere, and what is told of those that are about to."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import pytest

from demo.registry import Handler, Registry
from tests.e2e.tokens import basic
from tests.faults.test_files import TABLE, layers, prepare
from tests.faults.test_locks import PACKAGE
from tests.faults.trial import Trial
from tests.faults.workshop import BASE, Workshop, base_of, layer_of
from tests.unit.bases import served
from tests.unit.dependencies import package_wheel
from tests.unit.filesystems import tar_of
from tests.unit.guards import Guard

REGISTRY, INDEX, PROXY, ENV, NETRC = (
    f"{name}/pass+word" for name in ("registry", "index", "proxy", "variable", "netrc")
)
KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n-----END OPENSSH PRIVATE KEY-----\n"
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A registry, and an index, that want passwords, and repeat those that are wrong."""

    def guard(request: Handler) -> None:
        shown = request.headers.get("Authorization", "")
        if shown == f"Basic {basic('me', REGISTRY)}":
            request.answer()
        else:
            message = json.dumps({"errors": [{"code": "UNAUTHORIZED", "message": f"{shown} is wrong: {REGISTRY}"}]})
            request.reply(401, message.encode(), {"WWW-Authenticate": 'Basic realm="x"'})

    with served(base_of(layer_of(gzip.compress(tar_of(BASE))))) as registry:
        for method in ("GET", "HEAD", "POST"):
            registry.answers[method, "*"] = guard
        yield registry


def settle(workshop: Workshop, registry: Registry, url_user: str = "") -> None:
    """Give the user passwords in Docker's file, netrc, the environment, a proxy's URL and a lock."""
    docker = workshop.home / ".docker"
    docker.mkdir()
    (docker / "config.json").write_text(json.dumps({"auths": {registry.address: {"auth": basic("me", REGISTRY)}}}))
    netrc = workshop.home / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login me password {NETRC}\n")
    netrc.chmod(0o600)
    # It is no proxy, and says so.
    proxy, index = (f"http://me:{quote(secret, '')}@{registry.address}" for secret in (PROXY, ENV))
    workshop.env.update(
        HATCH_VERBOSE="3",
        HTTPS_PROXY=proxy,
        HTTP_PROXY=proxy,
        AWS_SECRET_ACCESS_KEY=ENV,
        PIP_INDEX_URL=index,
        UV_INDEX_URL=index,
        HATCH_INDEX_AUTH=ENV,
    )
    wheel = package_wheel(workshop.folder / "wheels", "demo")
    wanted = basic("me", INDEX if url_user else NETRC)

    def give(request: Handler) -> None:
        right = request.headers.get("Authorization") == f"Basic {wanted}"
        request.reply(200 if right else 401, wheel.read_bytes() if right else b"", {})

    registry.answers["GET", f"/{wheel.name}"] = give
    url = f"http://{url_user}{registry.address}/{wheel.name}?token={quote(INDEX, '')}"
    pinned = sha256(wheel.read_bytes()).hexdigest()
    workshop.write_files({"static/a": b"x"})
    table = f'base-image = "{registry.address}/app:1"\nwheel = false\nlock = "pylock.toml"\nentrypoint = ["python3"]'
    workshop.write_project(f'{table}\ncopy = [{{ from = "static", to = "/srv" }}]', needs=["demo"])
    lock = f'{PACKAGE}wheels = [{{name = "{wheel.name}", url = "{url}", hashes = {{sha256 = "{pinned}"}}}}]\n'
    (workshop.project / "pylock.toml").write_text(lock)


def check_no_secret(workshop: Workshop, tried: Iterable[Trial]) -> None:
    """See that none of them is in what was said, nor in any file but the user's own."""
    own = {workshop.home, workshop.project / "pylock.toml", workshop.project / "pyproject.toml"}
    files = [path for path in workshop.folder.rglob("*") if path.is_file()]
    written = [path for path in files if not {path, *path.parents} & own]
    assert written
    texts = [*(done.said.encode() for done in tried), *map(unpacked, written)]
    for secret in (REGISTRY, INDEX, PROXY, ENV, NETRC):
        for spelling in (secret, quote(secret, ""), basic("me", secret)):
            assert not [text[:2000] for text in texts if spelling.encode() in text]


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return data


@pytest.mark.parametrize("url_user", ["", f"me:{quote(INDEX, '')}@"], ids=["netrc", "in the URL"])
def test_no_secret_leaves_with_an_image(url_user: str, workshop: Workshop, registry: Registry) -> None:
    settle(workshop, registry, url_user)
    looked = workshop.inspect(f"{registry.address}/app:1", "-vvv")
    assert looked.code == 0, looked.said
    done = workshop.build()
    assert done.code == 0, done.said
    assert "GET" in looked.said
    (layout,) = (workshop.project / "dist").glob("*.oci")
    pushed = workshop.push(str(layout), f"{registry.address}/mine", "-vvv")
    assert pushed.code == 1, "this registry takes nothing"
    check_no_secret(workshop, [looked, done, pushed])


def test_no_secret_is_in_an_error(workshop: Workshop, registry: Registry, amount: Callable[[int, int], int]) -> None:
    settle(workshop, registry)
    said = []
    elsewhere = "registry.invalid/app:1"
    # A proxy that fails is tried for some seconds.
    said += [workshop.inspect(elsewhere, "-vvv") for _ in range(amount(0, 1))]
    netrc = workshop.home / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login me password {ENV}\n")
    said.append(workshop.build())
    netrc.write_text(f"{NETRC} {ENV}\n")
    said.append(workshop.build())
    workshop.env.update(HATCH_OCI_REGISTRY=registry.address, HATCH_OCI_USER="me", HATCH_OCI_AUTH=ENV)
    said.append(workshop.inspect(f"{registry.address}/app:1", "-vvv"))
    del workshop.env["HATCH_OCI_USER"]
    said.append(workshop.inspect(f"{registry.address}/app:1", "-vvv"))
    workshop.env["HTTPS_PROXY"] = f"http://me:{quote(PROXY, '')}@[127.0.0.1"
    said.append(workshop.inspect(elsewhere, "-vvv"))
    assert [done.code for done in said] == [1] * len(said)
    check_no_secret(workshop, said)


SECRETS = {
    ".env": b"PASSWORD=hunter2",
    "conf/.env.production": b"",
    ".netrc": b"",
    ".npmrc": b"",
    ".pypirc": b"",
    ".git-credentials": b"",
    "home/.docker/config.json": b"{}",
    "home/.aws/credentials": b"",
    "home/.kube/config": b"",
    ".ssh/known_hosts": b"",
    "keys/id_rsa": KEY,
    "keys/id_ed25519": KEY,
    "keys/server.pem": CERTIFICATE + KEY.replace(b"OPENSSH ", b""),
    "keys/server.key": KEY.replace(b"OPENSSH", b"ENCRYPTED"),
    "sub/.git/config": b"",
    "sub/.git/objects/ab/cd": b"",
}
HARMLESS = {
    ".env.example": b"",
    ".env.sample": b"",
    ".gitignore": b"",
    ".github/workflows/ci.yml": b"",
    "environment": b"",
    "keys/id_rsa.pub": b"ssh-rsa AAAA",
    "keys/ca.pem": CERTIFICATE,
    "keys/translations.key": b"title = Title",
    "slides.key": b"PK\3\4",
    "config.json": b"{}",
    "credentials": b"",
    "config/credentials.py": b"",
    "i18n/empty.pem": b"",
    "sub/.git": b"gitdir: ../.git/worktrees/x",
}


@pytest.mark.few(4)
@pytest.mark.parametrize("name", SECRETS)
def test_warning_of_secrets_in_the_build_context(name: str, workshop: Workshop) -> None:
    prepare(workshop, {"static/page.html": b"x", f"static/{name}": SECRETS[name]})
    done = workshop.build()
    assert done.code == 0, done.said
    (warning,) = [line for line in done.said.splitlines() if line.startswith("Warning")]
    shown = name.partition(".git/")[0] + ".git" if ".git/" in name else name.replace("/known_hosts", "")
    assert warning == f"Warning: copy: static holds what looks secret: {shown}; `exclude` it if it should not be there"
    assert "hunter2" not in done.said


def test_warning_of_secrets_names_a_few_and_comes_once(workshop: Workshop) -> None:
    prepare(workshop, {f"static/{name}": data for name, data in (SECRETS | HARMLESS).items() if name != "sub/.git"})
    done = workshop.build()
    (warning,) = [line for line in done.said.splitlines() if line.startswith("Warning")]
    assert " and 11 more; " in warning
    assert warning.count(", ") == 3


def test_no_warning_without_secrets(workshop: Workshop) -> None:
    prepare(workshop, {f"static/{name}": data for name, data in HARMLESS.items()})
    done = workshop.build()
    assert done.code == 0, done.said
    assert "Warning" not in done.said


@pytest.mark.parametrize(
    "copy",
    [
        pytest.param('{ from = "static", to = "/srv", exclude = [".env", "*.pem"] }', id="excluded"),
        pytest.param('{ from = "static", to = "/srv", include = ["*.html"] }', id="not included"),
        pytest.param('{ from = "static/.env", to = "/srv/.env" }', id="named"),
    ],
)
def test_no_warning_of_secrets_that_were_seen_to(copy: str, workshop: Workshop) -> None:
    files = {"static/page.html": b"x", "static/.env": b"x", "static/key.pem": KEY}
    prepare(workshop, files, f"{TABLE}copy = [{copy}]")
    done = workshop.build()
    assert done.code == 0, done.said
    assert "Warning" not in done.said


def test_only_the_wheel_and_what_was_named_leave(workshop: Workshop) -> None:
    """And the wheel, too, is looked through."""
    table = 'base-image = "oci:base"\nlock = false\nentrypoint = ["python3"]'
    wheel = '[tool.hatch.build.targets.wheel]\npackages = ["src/my_app"]'
    prepare(workshop, {**SECRETS, "src/my_app/__init__.py": b"", "src/my_app/.env": b"PASSWORD=hunter2"}, table)
    workshop.write_project(table, wheel)
    done = workshop.build()
    assert done.code == 0, done.said
    held = {name for layer in layers(workshop) for name in layer}
    assert not [name for name in held if Path(name).name in {Path(secret).name for secret in SECRETS} - {".env"}]
    (warning,) = [line for line in done.said.splitlines() if line.startswith("Warning")]
    advice = "`exclude` it in [tool.hatch.build.targets.wheel] if it should not be there"
    assert warning.endswith(f".whl holds what looks secret: my_app/.env; {advice}")


def test_a_registry_gets_no_more_than_its_own_password(workshop: Workshop, registry: Registry) -> None:
    """Not those of the index beside it, nor of the proxy, nor of the environment."""
    guard = Guard(registry, "Basic", public=True)
    registry.answers["GET", "*"] = guard.answer
    settle(workshop, registry)
    workshop.inspect(f"{registry.address}/app:1")
    assert guard.shown
    assert set(guard.shown) <= {"", f"Basic {basic('me', REGISTRY)}"}
