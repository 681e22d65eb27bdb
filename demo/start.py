"""Start an image that was unpacked into a folder, as a container runtime would, with what this machine has."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo import DemoError
from demo.rootfs import make_folder
from demo.unpack import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PATIENCE = 5  # seconds to stop in, before it is killed


@dataclass(frozen=True)
class Job:
    """What to run: the root folder; from the configuration the command, its environment, folder and user."""

    root: Path
    command: list[str]
    env: dict[str, str]
    folder: str
    user: int
    group: int


@dataclass(frozen=True)
class Running:
    """A service that accepts connections: its process, its port on 127.0.0.1, and the way it was started."""

    process: subprocess.Popen[bytes]
    port: int
    way: str
    output: Path


@contextmanager
def start(root: Path, configuration: Mapping[str, Any], timeout: float = 30) -> Iterator[Running]:
    """Start the image unpacked in ``root`` for as long as the block runs; wait until its port is open.

    ``configuration`` is the image's. The service is told by ``HOST`` and ``PORT`` where to listen.
    """
    port = free_port()
    job = plan(root, configuration.get("config", {}), {"HOST": "127.0.0.1", "PORT": str(port)})
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "output")
        way, command, env = choose_way(job, Path(folder))
        try:
            with output.open("wb") as out, running(command, env=env, stdout=out, stderr=out) as process:
                wait_for_port(process, port, timeout, output)
                yield Running(process, port, way, output)
        finally:
            if way == "runc":  # what it started is no child of the process that was stopped
                delete = [*command[: command.index("run")], "delete", "--force", command[-1]]
                subprocess.run(delete, capture_output=True, check=False)  # noqa: S603


@contextmanager
def running(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` in a process group of its own, and in the end stop that whole group."""
    options |= {"stdin": subprocess.DEVNULL, "start_new_session": True}
    with subprocess.Popen(command, **options) as process:  # noqa: S603
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def plan(root: Path, settings: Mapping[str, Any], environment: dict[str, str]) -> Job:
    """Take the ``config`` part of an image's configuration; return what it says to run."""
    command = [*(settings.get("Entrypoint") or []), *(settings.get("Cmd") or [])]
    if not command:
        message = "the image says neither by an entrypoint nor by a command what to start"
        raise DemoError(message)
    user, group = find_user(root, settings.get("User") or "0:0")
    env = {"PATH": DEFAULT_PATH, "HOME": "/"}
    env |= dict(line.partition("=")[::2] for line in settings.get("Env") or [])
    folder = settings.get("WorkingDir") or "/"
    make_folder(resolve(root, folder))  # as the runtimes do
    return Job(root.resolve(), command, env | environment, folder, user, group)


def find_user(root: Path, name: str) -> tuple[int, int]:
    """Return the numbers for a ``User`` such as ``app``, ``10001`` or ``app:staff``."""
    user, _, group = name.partition(":")
    line = find_account(root, "etc/passwd", user)
    number = int(user) if user.isdigit() else int(line[2])
    if not group:
        return number, int(line[3]) if line else 0
    return number, int(group) if group.isdigit() else int(find_account(root, "etc/group", group)[2])


def find_account(root: Path, file: str, name: str) -> list[str]:
    """Return the fields of an account, by name or number; none for a number that has no account."""
    accounts = resolve(root, file)
    lines = accounts.read_text(encoding="utf-8").splitlines() if accounts.is_file() else []
    for fields in (line.split(":") for line in lines):
        if len(fields) > 3 and name in {fields[0], fields[2]}:
            return fields
    if name.isdigit():
        return []
    message = f"the image has no {name} in /{file}"
    raise DemoError(message)


def choose_way(job: Job, folder: Path) -> tuple[str, list[str], dict[str, str]]:
    """Return a name, a command and its environment, for the first way to start ``job`` that works here."""
    here = ("--root=/", "--wd=/", "true")
    enter = (f"--root={job.root}", f"--wd={job.folder}", "--", *job.command)
    if unshare := shutil.which("unshare"):
        ways = {
            "user namespace": [f"--map-user={job.user}", f"--map-group={job.group}"],
            "user namespace, as its root": ["--map-root-user"],  # all that an older unshare can do
        }
        if os.geteuid() == 0:
            ways = {"chroot": [f"--setuid={job.user}", f"--setgid={job.group}"], **ways}
        for way, options in ways.items():
            attempt = subprocess.run([unshare, *options, *here], capture_output=True, check=False)  # noqa: S603
            if attempt.returncode == 0:
                return way, [unshare, *options, *enter], job.env
    if runc := shutil.which("runc"):
        return "runc", bundle(runc, job, folder), dict(os.environ)
    message = "neither chroot nor a user namespace nor runc works here to start the image with"
    raise DemoError(message)


def bundle(runc: str, job: Job, folder: Path) -> list[str]:
    """Write a runc bundle for ``job`` into ``folder``; return the command that runs it."""
    rootless = os.geteuid() != 0
    subprocess.run([runc, "spec", *(["--rootless"] if rootless else [])], cwd=folder, check=True)  # noqa: S603
    file = folder / "config.json"
    spec = json.loads(file.read_bytes())
    spec["root"] = {"path": str(job.root), "readonly": False}
    spec["process"] |= {
        "terminal": False,
        "args": job.command,
        "cwd": job.folder,
        "env": [f"{name}={value}" for name, value in job.env.items()],
        # Without rights of its own, runc can give the container one user only.
        "user": {"uid": 0, "gid": 0} if rootless else {"uid": job.user, "gid": job.group},
    }
    # The host's network, so that the port can be reached.
    spaces = spec["linux"]["namespaces"]
    spec["linux"]["namespaces"] = [space for space in spaces if space["type"] != "network"]
    file.write_text(json.dumps(spec), encoding="utf-8")
    return [runc, "--root", str(folder / "state"), "run", "--bundle", str(folder), f"demo-{folder.name}"]


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(process: subprocess.Popen[bytes], port: int, timeout: float, output: Path) -> None:
    """Return once somebody listens on ``port``; fail when ``process`` ends, or after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    status = process.poll()
    reason = f"did not open port {port}" if status is None else f"ended with status {status}"
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines() or ["it printed nothing"]
    message = f"the started image {reason}: {lines[-1]}"
    raise DemoError(message)
