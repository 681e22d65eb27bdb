"""A project with a lock, bases for it, and what came of building it."""

from __future__ import annotations

import json
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from demo.base import Image, Layer, digest, image
from tests.unit.bases import AMD64, ARM64, index_of
from tests.unit.building import SCRIPT, WHEEL, build, fails, names
from tests.unit.dependencies import package_wheel
from tests.unit.filesystems import Member, elf, file, folder, glibc, link, tar_of
from tests.unit.layouts import write_tagged
from tests.unit.locks import write_lock
from tests.unit.projects import builder_of

MAJOR, MINOR = sys.version_info[:2]
NAME = f"python{MAJOR}.{MINOR}"
CP = f"cp{MAJOR}{MINOR}"
SITE = f"app/.venv/lib/{NAME}/site-packages"
STDLIB = f"usr/local/lib/{NAME}"
LOADERS = {"amd64": "ld-linux-x86-64.so.2", "arm64": "ld-linux-aarch64.so.1"}
BOTH = 'base-image = "oci:base"\nplatforms = ["linux/amd64", "linux/arm64"]'
ONE = 'base-image = "oci:base"'


def locked_project(root: Path) -> Path:
    """Write a project with a lock of a pure wheel and a compiled one, and bases for two platforms."""
    (root / "src" / "my_app").mkdir(parents=True)
    (root / "src" / "my_app" / "__init__.py").write_text("def main(): ...\n")
    write_bases(root)
    pure = package_wheel(root / "wheels", "web", requires=["fast"], entry_points="[console_scripts]\nweb = web:main\n")
    native = [
        package_wheel(root / "wheels", "fast", {"fast.so": machine.encode()}, tag=f"{CP}-{CP}-manylinux_2_17_{machine}")
        for machine in ("x86_64", "aarch64")
    ]
    write_lock(root / "pylock.toml", [pure])
    hashes = [(wheel.name, digest(wheel.read_bytes()).removeprefix("sha256:")) for wheel in native]
    listed = ", ".join(f'{{path = "wheels/{name}", hashes = {{sha256 = "{hexes}"}}}}' for name, hexes in hashes)
    with (root / "pylock.toml").open("a") as lock:
        lock.write(f'[[packages]]\nname = "fast"\nversion = "1.0"\nwheels = [{listed}]\n')
    return root


def base_image(architecture: Mapping[str, str], more: Sequence[Member], version: str) -> Image:
    """Return an image with the Python that runs this, as far as a build looks at it."""
    loader = LOADERS[architecture["architecture"]]
    members = [
        *(folder("usr"), folder("usr/lib"), link("lib", "usr/lib"), link("lib64", "usr/lib")),
        *(file(f"usr/lib/{loader}", b"loader"), file("usr/lib/libc.so.6", glibc("2.36"))),
        file(f"usr/local/bin/{NAME}", elf(f"/lib/{loader}")),
        link("usr/local/bin/python3", NAME),
        *more,
    ]
    data = tar_of(members)
    settings = {"Env": ["PATH=/usr/local/bin:/usr/bin", f"PYTHON_VERSION={version}"]}
    small = image([Layer(data, digest(data), "base")], settings, architecture)
    return Image(small.manifest.replace(b"tar+gzip", b"tar"), small.blobs)


def write_bases(root: Path, more: Sequence[Member] = (), version: str = f"{MAJOR}.{MINOR}.2", at: str = "base") -> None:
    """Write a layout with an index of bases for two platforms."""
    images = [base_image(one, more, version) for one in (AMD64, ARM64)]
    both = index_of([(one.manifest, {"platform": for_}) for one, for_ in zip(images, (AMD64, ARM64), strict=True)])
    write_tagged(root / at, (both, None), images=tuple(images))


def made(root: Path, table: str = ONE, needs: str = '"web"', more: str = "", project: str = "") -> Path:
    """Build a project that needs these packages; return the layout."""
    return build(builder_of(root, table, f"dependencies = [{needs}]\n{project}", f"{SCRIPT}\n{WHEEL}\n{more}"))


def refused(
    root: Path, capsys: pytest.CaptureFixture[str], table: str = ONE, more: str = "", **parts: str
) -> list[str]:
    """Build it, and return the lines of the message that it ends with."""
    project = f"dependencies = [{parts.get('needs', chr(34) + 'web' + chr(34))}]"
    return fails(builder_of(root, table, project, f"{SCRIPT}\n{WHEEL}\n{more}"), capsys)


def record(result: Path) -> dict[str, Any]:
    """Return the record of a build."""
    return dict(json.loads(result.with_name(f"{result.name}.json").read_bytes()))


def layers(result: Path, platform: str = "linux/amd64") -> dict[str, str]:
    """Return the digests of the layers by what they hold."""
    return {layer["holds"]: layer["digest"] for layer in record(result)["platforms"][platform]["layers"]}


def held(result: Path, holds: str) -> list[str]:
    """Return the names in the layer that holds that."""
    return names(result, {"digest": layers(result)[holds]})


def contents_of(path: Path) -> dict[str, bytes]:
    """Return the files of a layer."""
    with tarfile.open(path) as tar:
        return {info.name: file.read() for info in tar if info.isfile() and (file := tar.extractfile(info))}
