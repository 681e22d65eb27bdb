"""Images as running services: under runc, under podman, or in a bare chroot."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from .registries import OPENER
from .shell import SEARCH_PATH, run


@contextmanager
def unpacked(layout: Path, tag: str, bundle: Path) -> Iterator[Path]:
    """Unpack an image to a runtime bundle, and remove its many files at the end."""
    try:
        run("umoci", "unpack", "--image", f"{layout}:{tag}", bundle)
        yield bundle
    finally:
        shutil.rmtree(bundle, ignore_errors=True)


def read_process(bundle: Path) -> dict[str, Any]:
    """Answer what the bundle would run: args, env, cwd and user."""
    process: dict[str, Any] = json.loads((bundle / "config.json").read_text())["process"]
    return process


@contextmanager
def runc(
    bundle: Path, port: int, *, env: Mapping[str, str], user: int | None = None, read_only: bool = False
) -> Iterator[None]:
    """Run the bundle's own command on the host's network until the block ends."""
    _edit(bundle / "config.json", env=env, user=user, read_only=read_only)
    name = f"e2e-{uuid.uuid4().hex}"
    command = ["runc", "--root", str(bundle / "state")]

    def stop() -> None:
        run(*command, "delete", "--force", name, expect=None)

    with _service([*command, "run", "--bundle", str(bundle), name], port, bundle / "log", stop):
        yield


@contextmanager
def chroot(bundle: Path, port: int, *, env: Mapping[str, str], user: int) -> Iterator[None]:
    """Run the bundle's command with nothing but chroot and an own user id."""
    process = read_process(bundle)
    variables = [*process["env"], *(f"{key}={value}" for key, value in env.items())]
    root = str(bundle / "rootfs")
    # env is the image's own: it sets the folder and the variables as a runtime would.
    command = ["chroot", f"--userspec={user}:{user}", root, "/usr/bin/env", "-i", "-C", process["cwd"]]
    with _service([*command, *variables, *process["args"]], port, bundle / "log", lambda: None):
        yield


class Podman(NamedTuple):
    """A podman with images, containers and state in a folder of its own."""

    command: Sequence[str]
    environment: Mapping[str, str]

    def __call__(self, *arguments: str | Path) -> str:
        """Run podman, and answer what it says."""
        return run(*self.command, *arguments, env=os.environ | self.environment).stdout

    def images(self) -> dict[str, str]:
        """Answer the digests of the configs of all images, by their names."""
        lines = self("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines()
        return dict(line.split() for line in lines)

    @contextmanager
    def running(self, image: str, port: int, *, env: Mapping[str, str]) -> Iterator[None]:
        """Run an image on the host's network until the block ends."""
        name = f"e2e-{uuid.uuid4().hex}"
        # Without explicit limits podman asks for some that a container's root may not set.
        options = [f"--name={name}", "--network=host", "--ulimit=nofile=1024:4096", "--ulimit=nproc=1024:2048"]
        options += [f"--env={key}={value}" for key, value in env.items()]

        def stop() -> None:
            run(*self.command, "rm", "--force", "--time=0", name, env=os.environ | self.environment, expect=None)

        log = Path(self.environment["CONTAINERS_CONF"]).with_name("log")
        with _service([*self.command, "run", *options, image], port, log, stop, self.environment):
            yield


@contextmanager
def podman() -> Iterator[Podman]:
    """Yield a podman, and remove all that it has at the end."""
    # Not pytest's folder: podman's paths may have 50 characters.
    scratch = Path(tempfile.mkdtemp(prefix="e2e-"))
    folders = [f"--root={scratch / 'root'}", f"--runroot={scratch / 'run'}", f"--tmpdir={scratch / 'tmp'}"]
    command = ["podman", *folders, "--storage-driver=overlay", "--runtime=runc", "--cgroup-manager=cgroupfs"]
    # Locks in that folder too, in place of the ones in shared memory that all of a machine's podmans use.
    (scratch / "containers.conf").write_text('[engine]\nlock_type = "file"\n')
    try:
        yield Podman(command, {"CONTAINERS_CONF": str(scratch / "containers.conf")})
    finally:
        # The storage driver keeps its folder mounted on itself.
        run("umount", "--lazy", scratch / "root" / "overlay", expect=None)
        shutil.rmtree(scratch, ignore_errors=True)


def free_port() -> int:
    """Answer a port that nobody listens on, and that the kernel will give to nobody who asks for any.

    The service listens on it only later, and the registries and servers of other tests ask for any port meanwhile.
    """
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        # Not random's: pytest-randomly gives that the same seed in every worker.
        port = first // 2 + secrets.randbelow(first // 2)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def fetch(port: int, path: str) -> str:
    """Answer what the service on `port` says to a GET of `path`."""
    with OPENER.open(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
        text: str = response.read().decode()
    return text


def _edit(config: Path, *, env: Mapping[str, str], user: int | None, read_only: bool) -> None:
    document = json.loads(config.read_text())
    process = document["process"]
    process["terminal"] = False
    process["env"] += [f"{key}={value}" for key, value in env.items()]
    if user is not None:
        process["user"] = {"uid": user, "gid": user}
    # Nothing may lend rights to a service that should run without any.
    process["capabilities"] = {}
    document["root"]["readonly"] = read_only
    namespaces = document["linux"]["namespaces"]
    document["linux"]["namespaces"] = [each for each in namespaces if each["type"] != "network"]
    config.write_text(json.dumps(document))


@contextmanager
def _service(
    command: Sequence[str],
    port: int,
    log: Path,
    stop: Callable[[], None],
    environment: Mapping[str, str] | None = None,
) -> Iterator[None]:
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            env=os.environ | {"PATH": SEARCH_PATH, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait(process, port, log)
            yield
        finally:
            stop()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=30)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    message = f"nothing listens on port {port}; exit code {process.poll()}:\n{log.read_text(errors='replace')}"
    raise AssertionError(message)
