"""`verify`: what an image has otherwise is named, with its likely cause."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.building import SCRIPT, WHEEL, read
from tests.unit.dependencies import package_wheel
from tests.unit.filesystems import file
from tests.unit.forgeries import forged, number_of, rewrite, top
from tests.unit.locked import SITE, write_bases
from tests.unit.locks import write_lock
from tests.unit.projects import builder_of
from tests.unit.repositories import committed, name_programs
from tests.unit.verifying import NEEDS, Verify, made, set_table

APP = f"/{SITE}/my_app/__init__.py"


@pytest.fixture
def layout(sources: Path) -> Path:
    """Return the image of the sources."""
    return made(sources)


@pytest.mark.parametrize(
    ("holds", "at", "change", "found"),
    [
        (
            "wheel My.App 1.2.3+local.1",
            APP,
            lambda data: data.replace(b"def", b"DEF"),
            "content, byte 0, line 1: 'DEF main(): ...' in the image, 'def main(): ...' built now",
        ),
        (
            "files /srv",
            "/srv/page.html",
            lambda data: data.replace(b"hello", b"hell"),
            "size 14 in the image, 15 built now, content, byte 8, line 2: 'hell' in the image, 'hello' built now",
        ),
        (
            "wheel fast 1.0",
            f"/{SITE}/fast.so",
            lambda data: b"\xff" + data[1:],
            "content, byte 0: 0xff in the image, 0x78 built now",
        ),
    ],
)
def test_a_byte_is_named(
    holds: str, at: str, change: Callable[[bytes], bytes], found: str, layout: Path, tmp_path: Path, verify: Verify
) -> None:
    forgery = forged(layout, holds, rewrite(at, change), tmp_path / "forged")
    verdict, told, cause = verify(forgery)
    assert verdict == f"oci:{forgery} {top(forgery)} is not what these sources give: {top(layout)}"
    assert told == f"layer {number_of(layout, holds)} ({holds}): {at}: {found}"
    assert cause.endswith("or the image was changed after it was built")


def test_a_large_file_is_compared_to_its_end(sources: Path, tmp_path: Path, verify: Verify) -> None:
    (sources / "static" / "page.html").write_bytes(b"a\n" * 100_000)
    forgery = forged(
        made(sources), "files /srv", rewrite("/srv/page.html", lambda data: data[:-1] + b"b"), tmp_path / "forged"
    )
    assert verify(forgery)[1].endswith("content, byte 199999, line 100000: 'ab' in the image, 'a' built now")


def test_a_generator_is_named(layout: Path, tmp_path: Path, verify: Verify) -> None:
    at = f"/{SITE}/my_app-1.2.3+local.1.dist-info/WHEEL"
    forgery = forged(
        layout,
        "wheel My.App 1.2.3+local.1",
        rewrite(at, lambda data: data.replace(b"hatchling", b"hatchlinx")),
        tmp_path / "forged",
    )
    _, found, cause = verify(forgery)
    assert "line 2: 'Generator: hatchlinx " in found
    assert cause == "Likely cause: another hatchling, which the wheel names"


def test_a_mode_is_named(layout: Path, sources: Path, verify: Verify) -> None:
    (sources / "static" / "page.html").chmod(0o755)
    number = number_of(layout, "files /srv")
    assert verify()[1] == f"layer {number} (files /srv): /srv/page.html: mode 0644 in the image, 0755 built now"


def test_another_owner_and_link_are_named(layout: Path, tmp_path: Path, verify: Verify) -> None:
    def edit(info: tarfile.TarInfo, data: bytes) -> bytes:
        if info.name.endswith("page.html"):
            info.uid, info.mtime = 7, 0
        return data

    forgery = forged(layout, "files /srv", edit, tmp_path / "forged")
    assert verify(forgery)[1].endswith(
        "/srv/page.html: owner 7:0 in the image, 0:0 built now, "
        "date 1970-01-01T00:00:00+00:00 in the image, 1980-01-01T00:00:00+00:00 built now"
    )


def test_a_file_more_or_less_is_named(layout: Path, sources: Path, verify: Verify) -> None:
    (sources / "static" / "page.html").rename(sources / "static" / "site.html")
    assert verify()[1].endswith("/srv/page.html: is only in the image")
    (sources / "static" / "site.html").rename(sources / "static" / "page.html")
    (sources / "static" / "about.html").write_text("")
    assert verify()[1].endswith("/srv/about.html: is only built now")
    assert layout.exists()


def test_a_package_of_the_lock_is_named(layout: Path, sources: Path, verify: Verify) -> None:
    newer = package_wheel(
        sources / "wheels", "web", version="1.1", requires=["fast"], entry_points="[console_scripts]\nweb = web:main\n"
    )
    lock = (sources / "pylock.toml").read_text()
    fast = lock[lock.index('[[packages]]\nname = "fast"') :]
    write_lock(sources / "pylock.toml", [newer])
    with (sources / "pylock.toml").open("a") as file:
        file.write(fast)
    _, found, cause = verify()
    where = f"layer {number_of(layout, 'wheel web 1.0')} (wheel web 1.0; built now: wheel web 1.1)"
    assert found == f"{where}: /{SITE}/web-1.0.dist-info: is only in the image"
    assert cause == "Likely cause: another lock: ~ python web: 1.0 → 1.1"


def test_another_base_is_named(layout: Path, sources: Path, verify: Verify) -> None:
    _, config = read(layout)
    before = config["config"]["Labels"]["org.opencontainers.image.base.digest"]
    shutil.rmtree(sources / "base")
    write_bases(sources, [file("etc/new", b"new")])
    _, found, cause = verify()
    assert found.startswith("layer 1 (base): /etc/new: is only built now")
    assert cause.startswith(f"Likely cause: another base: {before} below the image, sha256:")


@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_another_compressor_is_named(compression: str, sources: Path, verify: Verify) -> None:
    layout = made(sources, f'compression = "{compression}"')
    set_table(sources)
    _, found, cause = verify(layout)
    assert found.startswith("layer 2 (venv /app/.venv): has the same files, compressed to other bytes: byte 0: 0x")
    assert cause == "Likely cause: another compressor, or another `compression`"


@pytest.mark.parametrize(
    ("table", "found", "cause"),
    [
        (
            'env = { GREETING = "hi" }',
            "the configuration: config.Env.GREETING is None in the image, 'hi' built now",
            "another pyproject.toml, or another value of a variable in it",
        ),
        (
            'created = "2020-01-01T00:00:00Z"',
            "the configuration: config.Labels.org.opencontainers.image.created is ",
            "another `created`, or another SOURCE_DATE_EPOCH",
        ),
        (
            'annotations = { a = "b" }',
            "the manifest: annotations.a is None in the image, 'b' built now",
            "another pyproject.toml, or another value of a variable in it",
        ),
        (
            'platforms = ["linux/arm64"]',
            "platforms: linux/amd64 in the image, linux/arm64 built now",
            "another `platforms`",
        ),
    ],
)
def test_another_setting_is_named(
    table: str, found: str, cause: str, layout: Path, sources: Path, verify: Verify
) -> None:
    set_table(sources, table)
    _, told, why = verify(layout)
    assert told.startswith(found)
    assert why == f"Likely cause: {cause}"


def test_a_layer_more_is_named(layout: Path, sources: Path, verify: Verify) -> None:
    builder_of(sources, 'base-image = "oci:base"\n', NEEDS, f"{SCRIPT}\n{WHEEL}")
    number = number_of(layout, "files /srv")
    _, found, _ = verify(layout)
    assert found.startswith(f"layer {number} (files /srv; built now: wheel My.App 1.2.3+local.1): /srv")


def test_files_that_are_not_committed_are_named(layout: Path, sources: Path, verify: Verify) -> None:
    (sources / ".gitignore").write_text("dist\n")
    committed(sources)
    verify(expect=0)
    (sources / "static" / "page.html").write_text("<p>\nhullo\n</p>\n")
    _, found, cause = verify(layout)
    assert "/srv/page.html: content, byte 5, line 2: 'hello' in the image, 'hullo' built now" in found
    assert cause == "Likely cause: files that are not committed: static/page.html"


def test_to_ask_git_starts_nothing_that_the_repository_names(
    layout: Path, sources: Path, tmp_path: Path, verify: Verify
) -> None:
    (sources / ".gitignore").write_text("dist\n")
    committed(sources)
    name_programs(sources, tmp_path / "trace")
    page = sources / "static" / "page.html"
    page.write_text(page.read_text().upper())
    # Of another date, so that git would like to note that it is the same.
    os.utime(sources / "pyproject.toml", (1, 1))
    assert verify(layout)[2] == "Likely cause: files that are not committed: static/page.html"
    assert not (tmp_path / "trace").exists()
