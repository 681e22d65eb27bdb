"""The base images: one like `python:3.X-slim` in three forms, and the small old one with nulls in its config."""

import json
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from demo.rootfs import assemble_python

from .layers import OCI, Layer, pack, small_layer, write_layout
from .registries import push_blob, push_manifest, resolve
from .requirements import missing
from .shell import run

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHON = "library/python"
# Tags of the three forms of one and the same base.
FORMS = {"oci": f"{MINOR}-slim", "docker": f"{MINOR}-slim-docker", "index": f"{MINOR}-slim-index"}
SEED, SEED_TAG = "dotnet/core/aspnet", "2.2"

# Found first along PATH, but gone in the last layer: it must not be taken for the base's Python.
DECOY = "usr/local/sbin/python3"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DOCKER = "application/vnd.docker"


def push_all(registry: str, scratch: Path) -> None:
    """Make every base, and push it to `registry`."""
    layout = scratch / "layout"
    _write_python(layout, scratch)
    target = f"docker://{registry}/{PYTHON}"
    copy = ("skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false")
    run(*copy, f"oci:{layout}:base", f"{target}:{FORMS['oci']}")
    run(*copy, "--format=v2s2", f"oci:{layout}:base", f"{target}:{FORMS['docker']}")
    _push_index(registry, layout)
    _push_seed(registry)
    shutil.rmtree(layout)


def _write_python(layout: Path, scratch: Path) -> None:
    root = scratch / "rootfs"
    _debootstrap(root)
    version = assemble_python(root)
    links = [f"usr/local/bin/{name}" for name in ("python", "python3")]
    for link in links:
        (root / link).unlink(missing_ok=True)
    decoy, last = scratch / "decoy", scratch / "last"
    _write(decoy / DECOY, "#!/bin/sh\nexit 3\n", mode=0o755)
    _write((last / DECOY).with_name(f".wh.{Path(DECOY).name}"), "")
    for link in links:
        (last / link).parent.mkdir(parents=True, exist_ok=True)
        (last / link).symlink_to(f"python{MINOR}")
    layers = [
        pack(root, scratch / "1.tar", without=["./usr/share", "./usr/local"]),
        pack(root, scratch / "2.tar", members=["usr/share"]),
        pack(decoy, scratch / "3.tar"),
        pack(root, scratch / "4.tar", members=["usr/local"]),
        pack(last, scratch / "5.tar"),
    ]
    for folder in (root, decoy, last):
        shutil.rmtree(folder)
    write_layout(layout, layers, _config(layers, version))


def _debootstrap(root: Path) -> None:
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")
    done = run("debootstrap", "--variant=minbase", suite, root, expect=None, timeout=900)
    if done.code != 0:
        missing(f"a debootstrap that works here: {done.stdout[-500:]} {done.stderr[-500:]}")
    for path in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man"):
        shutil.rmtree(root / path, ignore_errors=True)


def _config(layers: list[Layer], version: str) -> dict[str, Any]:
    commands = ["debootstrap", "usr/share", "a decoy", "Python", "links"]
    history: list[dict[str, Any]] = [
        {"created": "2024-05-14T00:00:00Z", "created_by": f"/bin/sh -c {command}"} for command in commands
    ]
    history.append({"created": "2024-05-14T00:00:00Z", "created_by": 'CMD ["python3"]', "empty_layer": True})
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-05-14T00:00:00Z",
        "config": {
            "Env": [f"PATH={PATH}", "LANG=C.UTF-8", f"PYTHON_VERSION={version}"],
            "Cmd": ["python3"],
            "Labels": {"vendor": "the base"},
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": history,
    }


def _push_index(registry: str, layout: Path) -> None:
    # The foreign platform comes first: whoever takes the first child has the wrong image.
    amd64 = resolve(registry, PYTHON, FORMS["oci"])
    manifest = _read(layout, amd64["digest"])
    config = _read(layout, manifest["config"]["digest"]) | {"architecture": "arm64", "variant": "v8"}
    manifest["config"] |= push_blob(registry, PYTHON, json.dumps(config).encode())
    push_manifest(registry, PYTHON, f"{FORMS['oci']}-arm64", manifest)
    arm64 = resolve(registry, PYTHON, f"{FORMS['oci']}-arm64")
    children = [
        arm64 | {"platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
        amd64 | {"platform": {"os": "linux", "architecture": "amd64"}},
    ]
    index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": children}
    push_manifest(registry, PYTHON, FORMS["index"], index)


def _push_seed(registry: str) -> None:
    parts = [small_layer({f"opt/part{number}.txt": f"part {number}\n"}) for number in range(1, 5)]
    settings = {
        "Hostname": "",
        "User": "",
        "Env": [f"PATH={PATH}", "ASPNETCORE_URLS=http://+:80"],
        "Cmd": ["bash"],
        "Entrypoint": None,
        "Labels": None,
        "Volumes": None,
        "OnBuild": None,
        "WorkingDir": "",
        "Image": "sha256:" + "0" * 64,
    }
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2019-12-28T12:00:00Z",
        "container": "f" * 64,
        "container_config": settings | {"Cmd": ["/bin/sh", "-c", "#(nop) CMD"]},
        "docker_version": "18.06.3-ce",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in parts]},
        "history": [{"created": "2019-12-28T12:00:00Z", "created_by": f"part {n}"} for n in range(1, 5)],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{DOCKER}.distribution.manifest.v2+json",
        "config": {"mediaType": f"{DOCKER}.container.image.v1+json"}
        | push_blob(registry, SEED, json.dumps(config).encode()),
        "layers": [
            {"mediaType": f"{DOCKER}.image.rootfs.diff.tar.gzip"} | push_blob(registry, SEED, content)
            for content, _ in parts
        ],
    }
    push_manifest(registry, SEED, SEED_TAG, manifest)


def _read(layout: Path, digest: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((layout / "blobs" / digest.replace(":", "/")).read_text())
    return document


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
