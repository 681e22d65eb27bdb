"""Files of a project as they may lie there, and what becomes of them in the image."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import tarfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.faults.trial import Trial
from tests.faults.workshop import BASE, Workshop
from tests.unit.dependencies import package_wheel
from tests.unit.filesystems import folder, link
from tests.unit.locks import write_lock

MIB = 1024 * 1024
TABLE = 'base-image = "oci:base"\nwheel = false\nentrypoint = ["python3"]\n'
COPY = f'{TABLE}copy = [{{ from = "static", to = "/srv" }}]'


def prepare(workshop: Workshop, files: Mapping[str, Any], table: str = COPY) -> None:
    workshop.write_base([*BASE, folder("tmp", 0o1777), folder("usr/bin"), link("bin", "usr/bin")])
    workshop.write_project(table)
    workshop.write_files(files)


def layers(workshop: Workshop) -> list[dict[str, tarfile.TarInfo]]:
    """Return the members of the layers that were added to the base."""
    (layout,) = (workshop.project / "dist").glob("*.oci")
    record = json.loads(layout.with_name(f"{layout.name}.json").read_bytes())
    found = []
    for layer in record["platforms"]["linux/amd64"]["layers"]:
        if layer["holds"] != "base":
            content = gzip.decompress((layout / "blobs" / layer["digest"].replace(":", "/")).read_bytes())
            with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                found.append({info.name: info for info in tar})
    return found


def built(workshop: Workshop) -> tuple[Trial, dict[str, tarfile.TarInfo]]:
    """Build, and return what was said and the members of the first layer that was added."""
    done = workshop.build()
    assert done.code == 0, done.said
    return done, layers(workshop)[0]


def unix_socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("pipe", os.mkfifo, "is neither a file, nor a folder, nor a symlink"),
        ("pipe\n\x1b[2J", os.mkfifo, "is neither a file, nor a folder, nor a symlink"),
        ("socket", unix_socket, "is neither a file, nor a folder, nor a symlink"),
        ("up", lambda path: path.symlink_to("../../home"), "out of what is copied"),
        ("absolute", lambda path: path.symlink_to("/etc/passwd"), "out of what is copied"),
        ("by way of another", lambda path: path.symlink_to("sub/../../../x"), "out of what is copied"),
        ("line\nbreak", lambda path: path.symlink_to("/etc/\x1b[2J"), "out of what is copied"),
        (b"\xff\xfe".decode("utf-8", "surrogateescape"), Path.touch, "is not UTF-8"),
        (".wh.secret", Path.touch, "names that begin with .wh. delete files"),
        (".wh..wh..opq", Path.touch, "names that begin with .wh. delete files"),
        ("sub/.wh.folder", lambda path: path.mkdir(), "names that begin with .wh. delete files"),
    ],
)
def test_file_that_no_image_can_hold(name: str, make: Callable[[Path], object], words: str, workshop: Workshop) -> None:
    (workshop.home / "x").touch()
    prepare(workshop, {"static/sub/a.txt": b"a", f"static/{name}": make})
    workshop.refuse_build(words, deadline=15)


def test_device_among_the_files(workshop: Workshop) -> None:
    prepare(workshop, {}, f'{TABLE}copy = [{{ from = "/dev/zero", to = "/srv/x" }}]')
    workshop.refuse_build("/dev/zero is neither a file nor a folder", deadline=15)


def test_long_and_odd_names_are_kept(workshop: Workshop) -> None:
    names = ["n" * 255, "/".join(["d" * 60] * 8), "line\nbreak", "\x1b[2J", "größe", "back\\slash", " ", "-rf", "*"]
    prepare(workshop, {f"static/{name}": name.encode() for name in names})
    _, members = built(workshop)
    assert {f"srv/{name}" for name in names} <= set(members)


def test_hard_links_are_files_of_their_own(workshop: Workshop) -> None:
    outside = workshop.home / "outside"
    outside.write_bytes(b"shared")
    prepare(workshop, {"static/a": b"a"})
    (workshop.project / "static/b").hardlink_to(workshop.project / "static/a")
    (workshop.project / "static/c").hardlink_to(outside)
    _, members = built(workshop)
    assert [members[f"srv/{name}"].type for name in "abc"] == [tarfile.REGTYPE] * 3


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6755, 0o1755, 0o4711, 0o7777])
def test_setuid_is_stripped(mode: int, workshop: Workshop) -> None:
    prepare(workshop, {"static/tool": b"x"})
    (workshop.project / "static/tool").chmod(mode)
    (workshop.project / "static").chmod(0o2777)
    _, members = built(workshop)
    assert [members[name].mode for name in ("srv", "srv/tool")] == [0o755, 0o755]


def test_setuid_that_is_asked_for_is_given(workshop: Workshop) -> None:
    table = f'{TABLE}copy = [{{ from = "static", to = "/srv", mode = "4755" }}]'
    prepare(workshop, {"static/tool": b"x"}, table)
    assert built(workshop)[1]["srv/tool"].mode == 0o4755


def test_setuid_in_a_wheel_is_stripped(workshop: Workshop) -> None:
    table = f'{TABLE}lock = "pylock.toml"'
    prepare(workshop, {}, table)
    wheel = package_wheel(workshop.project, "demo")
    content = wheel.read_bytes()
    # Its external attributes, with 0104755 in their upper half.
    wheel.write_bytes(content.replace((0o100644 << 16).to_bytes(4, "little"), (0o104755 << 16).to_bytes(4, "little")))
    assert wheel.read_bytes() != content
    write_lock(workshop.project / "pylock.toml", [wheel])
    workshop.write_project(table, needs=["demo"])
    done = workshop.build()
    assert done.code == 0, done.said
    assert not [
        info for layer in layers(workshop) for info in layer.values() if info.mode & 0o7022 and not info.issym()
    ]


def test_world_writable_files_are_reported(workshop: Workshop) -> None:
    table = f'{TABLE}copy = [{{ from = "static", to = "/srv", mode = "0666" }}]'
    prepare(workshop, {"static/a": b"x"}, table)
    done, members = built(workshop)
    assert members["srv/a"].mode == 0o666
    line = "Warning: copy: mode = '0666' lets everybody in the container write to what comes from static"
    assert done.said.splitlines().count(line) == 1


def test_files_that_were_world_writable_are_not(workshop: Workshop) -> None:
    prepare(workshop, {"static/a": b"x"})
    (workshop.project / "static/a").chmod(0o666)
    done, members = built(workshop)
    assert members["srv/a"].mode == 0o644
    assert "Warning" not in done.said


@pytest.mark.parametrize(
    ("to", "path"),
    [("/lib", "usr/lib/a"), ("/lib/sub", "usr/lib/sub/a"), ("/tmp", "tmp/a"), ("/bin", "usr/bin/a"), ("/", "a")],
)
def test_folder_over_a_symlink_of_the_base_or_over_tmp(to: str, path: str, workshop: Workshop) -> None:
    """There is no entry for what the base has: it would replace the symlink, and the mode of /tmp."""
    prepare(workshop, {"static/a": b"x"}, f'{TABLE}copy = [{{ from = "static", to = "{to}" }}]')
    _, members = built(workshop)
    assert path in members
    assert not {"lib", "bin", "tmp", "usr", "usr/lib", "usr/bin", ""} & set(members)


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("/lib", "which is a symlink of the base to the folder /usr/lib"),
        ("/tmp", "which is a folder of the base"),
        ("/usr/lib/libc.so.6/x", "is a file from the base"),
    ],
)
def test_file_over_a_folder_or_a_symlink_of_the_base(to: str, words: str, workshop: Workshop) -> None:
    prepare(workshop, {"a": b"x"}, f'{TABLE}copy = [{{ from = "a", to = "{to}" }}]')
    workshop.refuse_build(words)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param('{ from = "b", to = "/srv" }', id="folders"),
        pytest.param('{ from = "b/x", to = "/srv/x" }', id="a file"),
        pytest.param('{ from = "b", to = "/link" }', id="through a symlink"),
    ],
)
def test_two_parts_that_want_one_path(second: str, workshop: Workshop) -> None:
    table = f'{TABLE}copy = [{{ from = "a", to = "/srv" }}, {{ from = "c", to = "/" }}, {second}]'
    files = {"a/x": b"one", "b/x": b"two", "c/link": lambda path: path.symlink_to("srv")}
    prepare(workshop, files, table)
    workshop.refuse_build("files /srv and files /", "both want the path /srv/x")


def test_file_that_is_already_there_as_a_folder(workshop: Workshop) -> None:
    table = f'{TABLE}copy = [{{ from = "a", to = "/srv/x" }}, {{ from = "b", to = "/srv" }}]'
    prepare(workshop, {"a/y": b"1", "b/x": b"2"}, table)
    workshop.refuse_build("files /srv/x", "files /srv", "/srv/x")


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"x")
    other.replace(path)


def to_a_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(grown, id="it grows"),
        pytest.param(lambda path: os.truncate(path, 1), id="it shrinks"),
        pytest.param(os.utime, id="it is written anew"),
        pytest.param(replaced, id="it is replaced"),
        pytest.param(lambda path: path.unlink(missing_ok=True), id="it is removed"),
        pytest.param(to_a_pipe, id="it becomes a pipe"),
    ],
)
def test_file_that_changes_while_it_is_packed(change: Callable[[Path], object], workshop: Workshop) -> None:
    files = {f"static/{number}": os.urandom(4 * MIB) for number in range(10)}
    prepare(workshop, {**files, "static/last": b"x" * 1000})
    path = workshop.project / "static/last"
    over = threading.Event()

    def is_under_way() -> bool:
        with suppress(FileNotFoundError):
            return any(one.stat().st_size > MIB for one in workshop.cache.glob("v1/incoming/*"))
        return False

    def work() -> None:
        # Once all have been seen, and the first ones are in the layer.
        while not over.wait(0.001) and not is_under_way():
            pass
        while not over.wait(0.002):
            change(path)

    with ThreadPoolExecutor() as pool:
        pool.submit(work)
        try:
            workshop.refuse_build("static/last", deadline=20)
        finally:
            over.set()
