"""Files of dependencies that others would put theirs over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.dependencies import package_wheel
from tests.unit.filesystems import folder, link
from tests.unit.locked import (
    NAME,
    ONE,
    SITE,
    refused,
    write_bases,
)
from tests.unit.locks import write_lock


def test_wheels_that_clash_are_refused_whatever_layers_they_go_into(
    locked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheels = [package_wheel(locked / "wheels", name, {"space.py": name.encode()}) for name in ("one", "two")]
    write_lock(locked / "pylock.toml", wheels)
    for strategy in ("one", "per-package"):
        (line,) = refused(locked, capsys, f'{ONE}\nlayers = "{strategy}"', needs='"one"')
        assert line.startswith("one-1.0-py3-none-any.whl and two-1.0-py3-none-any.whl put different files at /")
        assert line.endswith(f"/{SITE}/space.py: exclude one of them")


@pytest.mark.parametrize(
    "target",
    [
        f"/{SITE}/web/__init__.py",
        f"/{SITE}/web/new.py",
        f"/{SITE}/web",
        f"/{SITE}/fast.so",
        "/app/.venv/bin/web",
        f"/app/.venv/lib64/{NAME}/site-packages/web/__init__.py",
        f"/link/.venv/lib/{NAME}/site-packages/web/__init__.py",
    ],
)
def test_a_copy_among_the_files_of_a_dependency_is_refused(
    target: str, locked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bases(locked, [folder("app"), link("link", "/app")], at="linked")
    (locked / "file.txt").touch()
    (line,) = refused(locked, capsys, f'base-image = "oci:linked"\ncopy = [{{from = "file.txt", to = "{target}"}}]')
    assert line.startswith(f"files {target} would put /")
    assert line.endswith(".whl")
