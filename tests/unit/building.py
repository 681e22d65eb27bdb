"""Builds in this process, on a layout that looks like a Python base, and what they wrote."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from demo.base import Layer, digest, image
from hatch_oci.builder import OCIBuilder
from tests.unit.bases import AMD64
from tests.unit.filesystems import GLIBC_LOADER, Member, elf, file, folder, glibc, link, tar_of
from tests.unit.layouts import write_tagged

PYTHON = [
    folder("usr"),
    folder("usr/lib"),
    folder("tmp", 0o1777),
    link("lib", "usr/lib"),
    link("lib64", "usr/lib"),
    file("usr/lib/ld-linux-x86-64.so.2", b"loader"),
    file("usr/lib/libc.so.6", glibc("2.36")),
    file("usr/local/bin/python3.13", elf(GLIBC_LOADER)),
    link("usr/local/bin/python3", "python3.13"),
]
SETTINGS = {"Env": ["PATH=/usr/local/bin:/usr/bin", "PYTHON_VERSION=3.13.2"], "Cmd": ["python3"]}
WHEEL = '[tool.hatch.build.targets.wheel]\npackages = ["src/my_app"]'
SCRIPT = '[project.scripts]\nmy-app = "my_app:main"'


def write_base(project: Path, members: Sequence[Member] = PYTHON) -> None:
    data = tar_of(members)
    small = image([Layer(data, digest(data), "base")], SETTINGS, AMD64)
    plain = small.manifest.replace(b"tar+gzip", b"tar")
    write_tagged(project / "base", (plain, None), images=(small,))


def build(builder: OCIBuilder) -> Path:
    (artifact,) = builder.build()
    return Path(artifact)


def read(layout_folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the manifest and the config of the first image in a layout."""
    index = json.loads((layout_folder / "index.json").read_bytes())
    manifest = json.loads(blob(layout_folder, index["manifests"][0]).read_bytes())
    return manifest, json.loads(blob(layout_folder, manifest["config"]).read_bytes())


def blob(layout_folder: Path, descriptor: Mapping[str, Any]) -> Path:
    return layout_folder / "blobs" / "sha256" / str(descriptor["digest"]).removeprefix("sha256:")


def names(layout_folder: Path, descriptor: Mapping[str, Any]) -> list[str]:
    with tarfile.open(blob(layout_folder, descriptor)) as tar:
        return tar.getnames()


def fails(builder: OCIBuilder, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Build, and return the lines of the message that it ends with."""
    with pytest.raises(SystemExit) as caught:
        build(builder)
    assert caught.value.code == 1
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    return output.err.splitlines()
