"""Wheels in a project's cache: those of the stack, and any number of made ones, with a lock."""

from __future__ import annotations

import hashlib
import itertools
import zipfile
from typing import TYPE_CHECKING

from bench.files import code
from bench.images import layers_of
from hatch_oci.layers.wheel import record_hash

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.images import Layer
    from bench.projects import Project

_MODULES = 10
_MEAN = 4096
_DATE = (1980, 1, 1, 0, 0, 0)


def forget_layers(project: Project, base: Sequence[Layer]) -> None:
    """Remove what was built, and its layers from the cache, but for those of its base: the wheels stay there."""
    if project.image.exists():
        kept = {layer.digest for layer in base}
        for layer in layers_of(project.image):
            if layer.digest not in kept:
                project.cached(layer.digest).unlink(missing_ok=True)
    project.clean()


def write_wheels(folder: Path, count: int) -> None:
    """Write so many wheels, `made0` and so on, and a lock, pylock.toml.

    The wheels have the same modules but for their first lines.
    """
    modules = list(itertools.islice(code(_MEAN), _MODULES))
    lock = ['lock-version = "1.0"', 'created-by = "bench"', "packages = []" if count == 0 else ""]
    for number in range(count):
        name = f"made{number}"
        path = folder / f"{name}-1-py3-none-any.whl"
        files = {f"{name}/{module}": f"# {name}\n".encode() + data for module, data in modules}
        _write_wheel(path, name, files)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lock += ["[[packages]]", f'name = "{name}"', 'version = "1"']
        lock += [f'wheels = [{{ path = "{path.name}", hashes = {{ sha256 = "{digest}" }} }}]']
    (folder / "pylock.toml").write_text("\n".join(lock) + "\n", "utf-8")


def _write_wheel(path: Path, name: str, files: dict[str, bytes]) -> None:
    info = f"{name}-1.dist-info"
    files |= {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{file},{record_hash(data)},{len(data)}" for file, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for file, data in files.items():
            archive.writestr(zipfile.ZipInfo(file, _DATE), data, zipfile.ZIP_DEFLATED, 1)
