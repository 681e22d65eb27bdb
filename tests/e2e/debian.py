"""A base of Debian's own Python for two architectures, of which this machine can run one."""

import platform
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .bases import PATH
from .layers import OCI, Layer, pack, write_layout
from .registries import push_manifest, resolve
from .requirements import missing
from .shell import run

REPOSITORY, TAG = "library/debian-python", "slim"
# By architecture, the number that its ELF files bear (e_machine).
ARCHITECTURES = {"amd64": 62, "arm64": 183}
PLATFORMS = tuple(f"linux/{architecture}" for architecture in ARCHITECTURES)

_LEFT_OUT = ("usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache/apt")


def push_debian(registry: str, scratch: Path) -> None:
    """Make the base for both architectures, and push them and their index to `registry`."""
    children = []
    with ThreadPoolExecutor() as pool:
        layers = pool.map(lambda architecture: _unpack(architecture, scratch / f"{architecture}-root"), ARCHITECTURES)
    for architecture, layer in zip(ARCHITECTURES, layers, strict=True):
        layout = scratch / architecture
        write_layout(layout, [layer], _config(architecture, layer))
        target = f"docker://{registry}/{REPOSITORY}:{architecture}"
        run("skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", f"oci:{layout}:base", target)
        children.append(
            resolve(registry, REPOSITORY, architecture) | {"platform": {"os": "linux", "architecture": architecture}}
        )
        shutil.rmtree(layout)
    index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": children}
    push_manifest(registry, REPOSITORY, TAG, index)


def _unpack(architecture: str, root: Path) -> Layer:
    """Unpack Debian's packages and configure none, for which their programs would have to run here."""
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")
    options = (f"--arch={architecture}", "--download-only", "--variant=minbase", "--include=python3")
    done = run("debootstrap", *options, suite, root, expect=None, timeout=900)
    if done.code != 0:
        missing(f"a debootstrap that works for {architecture}: {done.stdout[-500:]} {done.stderr[-500:]}")
    packages = sorted((root / "var/cache/apt/archives").glob("*.deb"))
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in packages:
        run(
            "bash",
            "-o",
            "pipefail",
            "-c",
            'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"',
            "unpack",
            package,
            root,
        )
    for path in _LEFT_OUT:
        shutil.rmtree(root / path, ignore_errors=True)
    layer = pack(root, root.with_suffix(".tar"))
    shutil.rmtree(root)
    return layer


def _config(architecture: str, layer: Layer) -> dict[str, Any]:
    return {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": [f"PATH={PATH}"], "Cmd": ["python3"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
    }
