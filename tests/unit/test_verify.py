"""`verify`: the sources are built again, and what an image has otherwise is named, with its likely cause."""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.base import Image, digest
from hatch_oci.cli import main
from tests.unit.bases import AMD64, served
from tests.unit.building import SCRIPT, WHEEL, blob, build, read
from tests.unit.dependencies import package_wheel, snapshot
from tests.unit.filesystems import file
from tests.unit.forgeries import forged, number_of, rewrite, top
from tests.unit.layouts import blob_path
from tests.unit.locked import MAJOR, MINOR, SITE, base_image, layers, locked_project, write_bases
from tests.unit.locks import write_lock
from tests.unit.projects import builder_of
from tests.unit.repositories import committed, name_programs

APP = f"/{SITE}/my_app/__init__.py"
COPY = 'base-image = "oci:base"\ncopy = [{ from = "static", to = "/srv" }]\n'
NEEDS = 'dependencies = ["web"]'


@pytest.fixture
def project(tmp_path: Path, build_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001 - see `locked`
    """Work in a project with a lock and a folder of files."""
    root = locked_project(tmp_path / "work" / "project")
    (root / "static").mkdir()
    (root / "static" / "page.html").write_text("<p>\nhello\n</p>\n")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def layout(project: Path) -> Path:
    """Return the image of the project."""
    return made(project)


def made(root: Path, table: str = "", more: str = "") -> Path:
    return build(builder_of(root, COPY + table, NEEDS, f"{SCRIPT}\n{WHEEL}\n{more}"))


Verify = Callable[..., list[str]]


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Verify:
    """Return what verifies an image, which must end with this exit code, and returns the lines that are told."""

    def run(*arguments: str | Path, expect: int = 1) -> list[str]:
        capsys.readouterr()
        monkeypatch.setenv("HATCH_QUIET", "0")
        assert main(["verify", "-q", *map(str, arguments)]) == expect
        output, errors = capsys.readouterr()
        assert "Traceback" not in errors
        assert "Layer " not in errors
        return output.splitlines()

    return run


def test_another_clone_gives_the_same(
    layout: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verify: Verify
) -> None:
    clone = shutil.copytree(project, tmp_path / "clone", ignore=shutil.ignore_patterns("dist"))
    for path in clone.rglob("*"):
        os.utime(path, (1, 1))
    monkeypatch.chdir(clone)
    monkeypatch.setenv("HATCH_OCI_CACHE_DIR", str(tmp_path / "another"))
    assert verify(layout, expect=0) == [f"same {top(layout)}"]
    assert not (clone / "dist").exists()


def test_the_layout_of_the_project_is_the_default(
    layout: Path, project: Path, build_cache: Path, verify: Verify
) -> None:
    before = snapshot(project), snapshot(build_cache / "v1" / "facts" / "layers")
    assert verify(expect=0) == [f"same {top(layout)}"]
    assert (snapshot(project), snapshot(build_cache / "v1" / "facts" / "layers")) == before
    assert [path.name for path in build_cache.iterdir()] == ["v1"]


def test_what_the_cache_says_of_a_layer_is_not_believed(project: Path, build_cache: Path, verify: Verify) -> None:
    """A layer that was put in the place of another is found, though each build would take it."""
    first = made(project)
    facts = list((build_cache / "v1" / "facts" / "layers").iterdir())
    by_digest = {json.loads(path.read_bytes().partition(b"\n")[2])["digest"]: path for path in facts}
    mine, other = (by_digest[layers(first)[holds]] for holds in ("wheel My.App 1.2.3+local.1", "wheel web 1.0"))
    mine.chmod(0o644)
    mine.write_bytes(other.read_bytes())
    right, web = top(first), layers(first)["wheel web 1.0"]
    layout = made(project)
    assert layers(layout)["wheel My.App 1.2.3+local.1"] == web
    assert verify()[0] == f"oci:{layout} {top(layout)} is not what these sources give: {right}"


@pytest.mark.parametrize("of", ["registry", "archive"])
def test_an_image_elsewhere_is_verified(of: str, layout: Path, project: Path, verify: Verify) -> None:
    if of == "archive":
        (archive,) = builder_of(project, COPY, NEEDS, f"{SCRIPT}\n{WHEEL}").build(versions=["oci-archive"])
        assert verify(f"oci-archive:{archive}", expect=0) == [f"same {top(layout)}"]
        return
    forgery = forged(layout, "files /srv", rewrite("/srv/page.html", bytes.upper), project / "forged")
    manifest, _ = read(forgery)
    blobs = {one["digest"]: blob(forgery, one).read_bytes() for one in (manifest["config"], *manifest["layers"])}
    with served(Image(blob_path(forgery, top(forgery)).read_bytes(), blobs)) as registry:
        _, found, _ = verify(f"{registry.address}/app:1")
    assert "/srv/page.html: content, byte 1, line 1: '<P>' in the image, '<p>' built now" in found


@pytest.mark.parametrize("holds", ["wheel My.App 1.2.3+local.1", "files /srv", "wheel fast 1.0", "base"])
def test_a_damaged_layer_is_named_with_the_file(holds: str, layout: Path, verify: Verify) -> None:
    path = blob_path(layout, layers(layout)[holds])
    data = bytearray(path.read_bytes())
    # Not where there is but padding between files.
    at = len(data) // 4
    data[at] ^= 1
    path.chmod(0o644)
    # Not in place: the cache may have the very same file.
    path.unlink()
    path.write_bytes(data)
    verdict, found, cause = verify()
    assert verdict == f"oci:{layout} {top(layout)} is damaged"
    # A base's history says something else of it than the record.
    shown = "" if holds == "base" else f" ({holds})"
    assert found.startswith(f"layer {number_of(layout, holds)}{shown}")
    assert f"it is not what its digest {layers(layout)[holds]} says: byte {at}" in found
    assert ": /" in found
    assert cause == "Likely cause: the image was changed after it was built"


def test_a_layer_that_is_cut_short_is_named_with_where_it_ends(project: Path, verify: Verify) -> None:
    for number in range(40):
        # As different as they are large, so that many bytes are left of them.
        (project / "static" / f"{number:02}").write_bytes(
            b"".join(digest(bytes([number, n])).encode() for n in range(99))
        )
    layout = made(project)
    path = blob_path(layout, layers(layout)["files /srv"])
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) * 3 // 4])
    found = verify()[1]
    assert re.match(
        rf"layer {number_of(layout, 'files /srv')} \(files /srv\): /srv(/\d\d)?: cannot be read; it is not", found
    )
    assert f"byte {len(data) * 3 // 4}: its end in the image, 0x" in found


def test_a_sparse_layout_is_verified_by_its_digest(
    project: Path, monkeypatch: pytest.MonkeyPatch, verify: Verify
) -> None:
    base = base_image(AMD64, (), f"{MAJOR}.{MINOR}.2")
    with served(base) as registry:
        table = f'base-image = "{registry.address}/app@{digest(base.manifest)}"'
        build(builder_of(project, table, NEEDS, f"{SCRIPT}\n{WHEEL}"))
        with monkeypatch.context() as patch:
            patch.setenv("HATCH_OCI_SPARSE", "1")
            layout = build(builder_of(project, table, NEEDS, f"{SCRIPT}\n{WHEEL}"))
        assert not blob_path(layout, json.loads(base.manifest)["layers"][0]["digest"]).exists()
        assert verify(expect=0) == [f"same {top(layout)}"]


def test_damage_that_the_cache_shares_is_found(layout: Path, verify: Verify) -> None:
    path = blob_path(layout, layers(layout)["files /srv"])
    path.chmod(0o644)
    with path.open("r+b") as shared:
        shared.seek(path.stat().st_size // 2)
        byte = shared.read(1)
        shared.seek(-1, os.SEEK_CUR)
        shared.write(bytes([byte[0] ^ 1]))
    assert verify()[0] == f"oci:{layout} {top(layout)} is damaged"
    assert made(Path.cwd()) == layout
    verify(expect=0)


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


def test_a_large_file_is_compared_to_its_end(project: Path, tmp_path: Path, verify: Verify) -> None:
    (project / "static" / "page.html").write_bytes(b"a\n" * 100_000)
    forgery = forged(
        made(project), "files /srv", rewrite("/srv/page.html", lambda data: data[:-1] + b"b"), tmp_path / "forged"
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


def test_a_mode_is_named(layout: Path, project: Path, verify: Verify) -> None:
    (project / "static" / "page.html").chmod(0o755)
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


def test_a_file_more_or_less_is_named(layout: Path, project: Path, verify: Verify) -> None:
    (project / "static" / "page.html").rename(project / "static" / "site.html")
    assert verify()[1].endswith("/srv/page.html: is only in the image")
    (project / "static" / "site.html").rename(project / "static" / "page.html")
    (project / "static" / "about.html").write_text("")
    assert verify()[1].endswith("/srv/about.html: is only built now")
    assert layout.exists()


def test_a_package_of_the_lock_is_named(layout: Path, project: Path, verify: Verify) -> None:
    newer = package_wheel(
        project / "wheels", "web", version="1.1", requires=["fast"], entry_points="[console_scripts]\nweb = web:main\n"
    )
    lock = (project / "pylock.toml").read_text()
    fast = lock[lock.index('[[packages]]\nname = "fast"') :]
    write_lock(project / "pylock.toml", [newer])
    with (project / "pylock.toml").open("a") as file:
        file.write(fast)
    _, found, cause = verify()
    where = f"layer {number_of(layout, 'wheel web 1.0')} (wheel web 1.0; built now: wheel web 1.1)"
    assert found == f"{where}: /{SITE}/web-1.0.dist-info: is only in the image"
    assert cause == "Likely cause: another lock: ~ python web: 1.0 → 1.1"


def test_another_base_is_named(layout: Path, project: Path, verify: Verify) -> None:
    _, config = read(layout)
    before = config["config"]["Labels"]["org.opencontainers.image.base.digest"]
    shutil.rmtree(project / "base")
    write_bases(project, [file("etc/new", b"new")])
    _, found, cause = verify()
    assert found.startswith("layer 1 (base): /etc/new: is only built now")
    assert cause.startswith(f"Likely cause: another base: {before} below the image, sha256:")


@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_another_compressor_is_named(compression: str, project: Path, verify: Verify) -> None:
    layout = made(project, f'compression = "{compression}"')
    made_of(project)
    _, found, cause = verify(layout)
    assert found.startswith("layer 2 (venv /app/.venv): has the same files, compressed to other bytes: byte 0: 0x")
    assert cause == "Likely cause: another compressor, or another `compression`"


def made_of(project: Path, table: str = "") -> None:
    """Change the project's table."""
    builder_of(project, COPY + table, NEEDS, f"{SCRIPT}\n{WHEEL}")


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
    table: str, found: str, cause: str, layout: Path, project: Path, verify: Verify
) -> None:
    made_of(project, table)
    _, told, why = verify(layout)
    assert told.startswith(found)
    assert why == f"Likely cause: {cause}"


def test_a_layer_more_is_named(layout: Path, project: Path, verify: Verify) -> None:
    builder_of(project, 'base-image = "oci:base"\n', NEEDS, f"{SCRIPT}\n{WHEEL}")
    number = number_of(layout, "files /srv")
    _, found, _ = verify(layout)
    assert found.startswith(f"layer {number} (files /srv; built now: wheel My.App 1.2.3+local.1): /srv")


def test_an_index_is_compared_image_by_image(project: Path, verify: Verify) -> None:
    both = 'platforms = ["linux/amd64", "linux/arm64"]\n'
    layout = made(project, both)
    assert verify(expect=0) == [f"same {top(layout)}"]
    made_of(project, f'{both}annotations = {{ a = "b" }}')
    assert "annotations.a" in verify()[1]


def test_files_that_are_not_committed_are_named(layout: Path, project: Path, verify: Verify) -> None:
    (project / ".gitignore").write_text("dist\n")
    committed(project)
    verify(expect=0)
    (project / "static" / "page.html").write_text("<p>\nhullo\n</p>\n")
    _, found, cause = verify(layout)
    assert "/srv/page.html: content, byte 5, line 2: 'hello' in the image, 'hullo' built now" in found
    assert cause == "Likely cause: files that are not committed: static/page.html"


def test_to_ask_git_starts_nothing_that_the_repository_names(
    layout: Path, project: Path, tmp_path: Path, verify: Verify
) -> None:
    (project / ".gitignore").write_text("dist\n")
    committed(project)
    name_programs(project, tmp_path / "trace")
    page = project / "static" / "page.html"
    page.write_text(page.read_text().upper())
    # Of another date, so that git would like to note that it is the same.
    os.utime(project / "pyproject.toml", (1, 1))
    assert verify(layout)[2] == "Likely cause: files that are not committed: static/page.html"
    assert not (tmp_path / "trace").exists()


def test_a_project_that_cannot_be_built_says_why(
    layout: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_of(project, "nothing = 1")
    with pytest.raises(SystemExit) as caught:
        main(["verify", str(layout)])
    assert caught.value.code == 1
    assert "nothing" in capsys.readouterr().err


def test_without_an_image_it_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_of(project)
    assert main(["verify"]) == 1
    assert capsys.readouterr().err.startswith(f"Error: no image in {project / 'dist'}")
