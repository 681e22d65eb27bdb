"""Files of credentials that are none, and credential helpers that do what they want."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.registry import Handler, Registry
from tests.faults.test_locks import PACKAGE
from tests.faults.test_locks import TABLE as LOCKED
from tests.faults.workshop import BASE, Workshop, base_of, layer_of
from tests.unit.bases import served
from tests.unit.filesystems import tar_of
from tests.unit.programs import Programs

MIB = 1024 * 1024
SECRET = "hunter2-of-the-user"


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A registry that lets nobody in."""

    def refuse(request: Handler) -> None:
        request.reply(401, b"{}", {"WWW-Authenticate": 'Basic realm="x"'})

    with served(base_of(layer_of(gzip.compress(tar_of(BASE))))) as registry:
        registry.answers["GET", "*"] = registry.answers["HEAD", "*"] = refuse
        yield registry


def text(content: str | bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content.encode() if isinstance(content, str) else content)


def hole(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 * 1024 * MIB)


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(hole, "is larger than a file of credentials is", id="3 GiB"),
        pytest.param(os.mkfifo, "a pipe or a device", id="pipe"),
        pytest.param(lambda path: path.symlink_to("/dev/zero"), "a pipe or a device", id="device"),
        pytest.param(Path.mkdir, "Is a directory", id="folder"),
        pytest.param(lambda path: path.symlink_to(path), "Too many levels", id="symlink to itself"),
        pytest.param(text(""), "not valid JSON", id="empty"),
        pytest.param(text(f"password: {SECRET}"), "not valid JSON", id="no JSON"),
        pytest.param(text(b"\xff\xfe" + SECRET.encode()), "not valid JSON", id="no UTF-8"),
        pytest.param(text("[" * 100_000), "nested too deeply", id="deep"),
        pytest.param(text(f'["{SECRET}"]'), "must be an object", id="an array"),
        pytest.param(text(json.dumps({"auths": SECRET})), "must be an object", id="auths that are none"),
        pytest.param(text(json.dumps({"credsStore": [SECRET]})), "must be a string", id="a store that is none"),
        pytest.param(
            text(json.dumps({"credsStore": "../helper"})), "is no name of a credential", id="a path for a store"
        ),
        pytest.param(
            text(json.dumps({"credsStore": "\x1b[2J\n"})), "is no name of a credential", id="escapes of a terminal"
        ),
    ],
)
def test_file_of_credentials_that_is_none(
    make: Callable[[Path], object], words: str, workshop: Workshop, registry: Registry
) -> None:
    path = workshop.home / "auth.json"
    make(path)
    workshop.env["REGISTRY_AUTH_FILE"] = str(path)
    done = workshop.inspect(f"{registry.address}/app:1", "-q", deadline=15)
    done.check_refusal(words)
    assert SECRET not in done.said


def test_file_of_credentials_with_an_entry_that_is_none(workshop: Workshop, registry: Registry) -> None:
    path = workshop.home / "auth.json"
    for entry in ({"auth": SECRET}, {"auth": [SECRET]}, {"username": {"a": SECRET}}, SECRET, {"auth": "/////w=="}):
        path.write_text(json.dumps({"auths": {registry.address: entry}}))
        workshop.env["REGISTRY_AUTH_FILE"] = str(path)
        done = workshop.inspect(f"{registry.address}/app:1", "-q")
        done.check_refusal("auth.json")
        assert SECRET not in done.said


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(os.mkfifo, id="pipe"),
        pytest.param(text(b"\xff\xfe"), id="no UTF-8"),
        pytest.param(text(f"machine 127.0.0.1 {SECRET} x"), id="no netrc"),
        pytest.param(lambda path: path.symlink_to(path), id="symlink to itself"),
    ],
)
def test_netrc_that_is_none(make: Callable[[Path], object], workshop: Workshop, registry: Registry) -> None:
    make(workshop.home / ".netrc")
    workshop.write_base()
    workshop.write_project(LOCKED, needs=["demo"])
    url = f"http://{registry.address}/demo-1.0-py3-none-any.whl"
    wheels = f'wheels = [{{url = "{url}", hashes = {{sha256 = "{"0" * 64}"}}}}]'
    (workshop.project / "pylock.toml").write_text(f"{PACKAGE}{wheels}\n")
    workshop.refuse_build("put its credentials into ~/.netrc", deadline=15)


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("script", "words"),
    [
        pytest.param(f"while :; do printf %10000s {SECRET}; done", "answered with more than 65536 bytes", id="endless"),
        pytest.param(
            f"yes {SECRET} | head -c 20000000 >&2; echo {SECRET}; exit 3", "exit code 3", id="megabytes of errors"
        ),
        pytest.param(f"echo {SECRET}; echo {SECRET} >&2", "did not answer with Username and Secret", id="nonsense"),
        pytest.param(f"echo {SECRET}; echo {SECRET} >&2; exit 1", "failed with exit code 1", id="failure"),
        pytest.param(f'echo \'{{"Username": "a", "Secret": ["{SECRET}"]}}\'', "did not answer with", id="other types"),
        pytest.param(f"printf '\\377{SECRET}'", "did not answer with", id="no UTF-8"),
        pytest.param(f"kill -SEGV $$; echo {SECRET}", "failed with exit code", id="crash"),
        pytest.param("exec 1>&-; exec 2>&-; kill $$", "failed with exit code", id="closed"),
    ],
)
def test_credential_helper_that_does_what_it_wants(
    script: str, words: str, workshop: Workshop, registry: Registry
) -> None:
    write_helper(workshop, script)
    done = workshop.inspect(f"{registry.address}/app:1", "-vvv", deadline=15)
    assert SECRET not in done.said
    # What -v shows beside the error is not what is looked at here.
    assert words in done.said.rpartition("Error: ")[2]
    assert done.code == 1
    assert len(done.said) < 10_000


def test_credential_helper_that_hangs(
    workshop: Workshop, registry: Registry, amount: Callable[[int, int], int]
) -> None:
    """It is waited for a minute, since it may ask its user something. (In CI, not to its end.)"""
    write_helper(workshop, f"echo $$ >{workshop.folder}/pid; echo {SECRET}; exec sleep 600")
    start = time.monotonic()
    if amount(0, 1):
        workshop.inspect(f"{registry.address}/app:1", "-q", deadline=90).check_refusal("gave no answer in 60 s")
        assert time.monotonic() - start < 80
    else:
        with pytest.raises(subprocess.TimeoutExpired):
            workshop.inspect(f"{registry.address}/app:1", "-q", deadline=3)
        os.kill(int((workshop.folder / "pid").read_text()), signal.SIGKILL)


def write_helper(workshop: Workshop, script: str) -> None:
    """Put a helper into the PATH, and let Docker's file name it."""
    programs = workshop.folder / "bin"
    programs.mkdir()
    Programs(programs).helper("x", script)
    workshop.env["PATH"] = f"{programs}{os.pathsep}{workshop.env['PATH']}"
    docker = workshop.home / ".docker"
    docker.mkdir()
    (docker / "config.json").write_text('{"credsStore": "x"}')
