from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hatch_oci.errors import SourceError
from hatch_oci.layers.entry import Kind
from hatch_oci.layers.folder import Copy, copy_entries
from hatch_oci.layers.layer import write_layer
from hatch_oci.store.blobs import BlobStore
from tests.unit.copies import ALL, copied, failure, files, write_static
from tests.unit.wheels import content_of


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_static(tmp_path / "project")


def test_a_folder_is_copied_with_all_in_it(project: Path) -> None:
    entries = copied(ALL, project)
    assert " ".join(path.removeprefix("srv/") for path in entries) == (
        "srv .env css css/print.css css/style.css empty img img/logo.svg img/raw img/raw/logo.psd index.html run"
    )
    for path, entry in entries.items():
        if entry.kind is Kind.FILE:
            assert content_of(entry).decode() == path.removeprefix("srv/")


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (("*.css",), (), "css/print.css css/style.css"),
        (("css/",), (), "css/print.css css/style.css"),
        (("css",), ("print.*",), "css/style.css"),
        (("img/*",), (), "img/logo.svg img/raw/logo.psd"),
        (("/img/*.svg", "run"), (), "img/logo.svg run"),
        (("*", "!*.psd", "!.env"), ("css",), "img/logo.svg index.html run"),
        ((), ("*.css", "/img/", ".env"), "index.html run"),
        ((), ("*", "!index.html"), "index.html"),
        ((), ("**/logo.*", "run/", "css"), ".env index.html run"),
    ],
)
def test_patterns_are_those_of_gitignore(
    include: tuple[str, ...], exclude: tuple[str, ...], expected: str, project: Path
) -> None:
    found = files(Copy("static", "/srv", include, exclude), project)
    assert " ".join(path.removeprefix("srv/") for path in found) == expected


@pytest.mark.parametrize(
    ("include", "exclude"), [(("/*.css",), ()), (("nothing",), ()), ((), ("*",)), (("run",), ("run",))]
)
def test_patterns_that_leave_nothing_are_refused(
    include: tuple[str, ...], exclude: tuple[str, ...], project: Path
) -> None:
    copy = Copy("static", "/srv", include, exclude)
    assert failure(copy, project) == "copy: nothing in static matches its include and exclude"


@pytest.mark.parametrize(
    ("include", "exclude"), [(("!",), ()), ((), ("\\",)), (("*.css", "\\"), ()), (("*",), ("ok", "!"))]
)
def test_a_pattern_that_is_none_is_named(include: tuple[str, ...], exclude: tuple[str, ...], project: Path) -> None:
    wrong = "'!'" if "!" in include + exclude else r"'\\'"
    assert wrong in failure(Copy("static", "/srv", include, exclude), project)


def test_patterns_take_folders_only_with_files_in_them(project: Path) -> None:
    included = copied(replace(ALL, include=("*.svg",)), project)
    assert list(included) == ["srv", "srv/img", "srv/img/logo.svg"]
    assert "srv/empty" in copied(replace(ALL, exclude=("*.svg",)), project)


def test_modes_tell_only_whether_a_file_can_be_run(project: Path) -> None:
    (project / "static/css").chmod(0o700)
    (project / "static/index.html").chmod(0o606)
    (project / "static/img/logo.svg").chmod(0o6711)
    modes = {path: entry.mode for path, entry in copied(ALL, project).items()}
    assert (modes["srv/css"], modes["srv/index.html"], modes["srv/img/logo.svg"]) == (0o755, 0o644, 0o755)
    assert (modes["srv/run"], modes["srv"]) == (0o755, 0o755)


@pytest.mark.parametrize(("mode", "of_folders"), [(0o644, 0o755), (0o600, 0o700), (0o440, 0o550)])
@pytest.mark.parametrize("include", [(), ("*.css",)])
def test_a_mode_is_for_files_and_folders_can_be_entered(
    include: tuple[str, ...], mode: int, of_folders: int, project: Path
) -> None:
    entries = copied(replace(ALL, include=include, mode=mode), project)
    assert entries["srv/css/style.css"].mode == mode
    assert (entries["srv/css"].mode, entries["srv"].mode) == (of_folders, of_folders)


@pytest.mark.parametrize("include", [(), ("*.css",)])
def test_an_owner_gets_all_that_is_copied(include: tuple[str, ...], project: Path) -> None:
    (project / "static/css/link.css").symlink_to("style.css")
    entries = copied(replace(ALL, target="/data/files", include=include, uid=1000, gid=1001), project)
    owners = {path: (entry.uid, entry.gid) for path, entry in entries.items()}
    assert owners.pop("data") == (0, 0)
    assert set(owners.values()) == {(1000, 1001)}
    assert {"data/files", "data/files/css", "data/files/css/link.css", "data/files/css/style.css"} <= owners.keys()


@pytest.mark.parametrize(
    ("source", "target", "path"),
    [
        ("static/run", "/usr/bin/start", "usr/bin/start"),
        ("static/run", "/usr/bin/", "usr/bin/run"),
        ("static/run", "/", "run"),
        ("./static/../static/run", "/a", "a"),
        ("static/img/logo.svg", "/srv/", "srv/logo.svg"),
    ],
)
def test_a_file_goes_to_its_target_or_into_it(source: str, target: str, path: str, project: Path) -> None:
    assert files(Copy(source, target), project) == [path]


@pytest.mark.parametrize("target", ["/", "/srv", "/srv/"])
def test_a_folder_goes_to_its_target_with_or_without_a_slash(target: str, project: Path) -> None:
    prefix = "srv/" if "srv" in target else ""
    assert f"{prefix}css/style.css" in copied(Copy("static", target), project)


def test_an_empty_folder_is_copied(project: Path) -> None:
    assert list(copied(Copy("static/empty", "/var/empty"), project)) == ["var", "var/empty"]


@pytest.mark.parametrize("source", ["nothing", "static/index.html/x", "static/pipe"])
def test_a_source_that_is_no_file_and_no_folder_is_named(source: str, project: Path) -> None:
    os.mkfifo(project / "static/pipe")
    assert failure(Copy(source, "/srv"), project) == f"copy: {source} is neither a file nor a folder of the project"


@pytest.mark.parametrize(("include", "exclude"), [(("*",), ()), ((), ("a",))])
def test_patterns_for_a_file_are_not_taken_in_silence(
    include: tuple[str, ...], exclude: tuple[str, ...], project: Path
) -> None:
    assert failure(Copy("static/run", "/srv", include, exclude), project) == (
        "copy: include and exclude choose from a folder, but static/run is a file"
    )


def test_what_is_left_out_is_not_looked_into(project: Path) -> None:
    real = project.resolve()
    left_out = {str(real / "static/img"), str(real / "static/run")}.__contains__
    found = {entry.path for entry in copy_entries(ALL, project, left_out)}
    assert found == {
        "srv",
        "srv/css",
        "srv/css/print.css",
        "srv/css/style.css",
        "srv/empty",
        "srv/.env",
        "srv/index.html",
    }


ELSEWHERE = """
import sys
from pathlib import Path
from hatch_oci.layers.entry import complete
from hatch_oci.layers.folder import Copy, copy_entries
assert sys.getfilesystemencoding() == "ascii", sys.getfilesystemencoding()
for source, include in (("st\\xe4tic", ("*.\\xe4",)), ("st\\xe4tic/\\xfc.\\xe4", ())):
    for entry in complete(copy_entries(Copy(source, "/srv/", include), Path(sys.argv[1])), lambda _path: False):
        print(ascii((entry.path, entry.link, b"".join(entry.content()) if entry.content else b"")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has other locales than UTF-8's")
def test_the_locale_does_not_get_into_names(project: Path) -> None:
    (project / "stätic").mkdir()
    (project / "stätic/ü.ä").write_text("content")
    (project / "stätic/link.ä").symlink_to("ü.ä")
    env = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [sys.executable, "-c", ELSEWHERE, str(project)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert [ast.literal_eval(line) for line in done.stdout.splitlines()] == [
        ("srv", "", b""),
        ("srv/link.ä", "ü.ä", b""),
        ("srv/ü.ä", "", b"content"),
        ("srv", "", b""),
        ("srv/ü.ä", "", b"content"),
    ]


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        # Sockets' paths are short: a relative one is.
        here = Path.cwd()
        os.chdir(path.parent)
        try:
            listener.bind(path.name)
        finally:
            os.chdir(here)


@pytest.mark.parametrize("make", [os.mkfifo, make_socket])
def test_special_files_are_refused(make: Callable[[Path], None], project: Path) -> None:
    path = project / "static/css/special"
    make(path)
    assert failure(ALL, project) == f"copy: {path} is neither a file, nor a folder, nor a symlink; exclude it"
    assert "srv/css/special" not in files(replace(ALL, exclude=("special",)), project)


def test_whiteouts_in_the_project_are_refused(project: Path) -> None:
    (project / "static/css/.wh.style.css").touch()
    assert "names that begin with .wh. delete files" in failure(ALL, project)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such names")
def test_names_that_are_not_utf8_are_refused(project: Path) -> None:
    (project / "static" / os.fsdecode(b"caf\xe9")).touch()
    assert failure(ALL, project) == r"cannot pack 'srv/caf\udce9': its name is not UTF-8"


def grow(path: Path) -> None:
    with path.open("a") as file:
        file.write("more")


def shrink(path: Path) -> None:
    os.truncate(path, 3)


def touch(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def change_place(path: Path) -> None:
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [grow, shrink, touch, change_place])
@pytest.mark.parametrize("when", ["before it is read", "while it is read"])
def test_a_file_that_changes_is_refused(change: Callable[[Path], None], when: str, project: Path) -> None:
    path = project / "static/index.html"
    path.write_bytes(b"x" * 600_000)
    entry = copied(ALL, project)["srv/index.html"]
    assert entry.content is not None
    pieces = iter(entry.content())
    if when == "while it is read":
        next(pieces)
        if change is change_place:
            return  # who has it open reads the old one to its end
    change(path)
    with pytest.raises(SourceError) as error:
        list(pieces)
    assert str(error.value) == f"{path} changed while the image was built; build again"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_file_that_became_a_pipe_is_refused_and_not_waited_for(project: Path) -> None:
    entry = copied(ALL, project)["srv/index.html"]
    path = project / "static/index.html"
    path.unlink()
    os.mkfifo(path)
    assert entry.content is not None
    with pytest.raises(SourceError) as error:
        list(entry.content())
    assert str(error.value) == f"{path} changed while the image was built; build again"


def test_a_file_that_vanishes_is_named_and_no_layer_is_left(project: Path, tmp_path: Path) -> None:
    entries = copied(ALL, project).values()
    (project / "static/run").unlink()
    store = BlobStore(tmp_path / "cache")
    with pytest.raises(SourceError) as error:
        write_layer(entries, "", "gzip", store)
    assert str(error.value) == f"cannot read {project / 'static/run'}: No such file or directory"
    assert [path for path in store.folder.rglob("*") if path.is_file()] == []


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything: be somebody else for a moment."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_that_may_not_be_read_is_named() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "static/secret").mkdir(parents=True)
        (root / "static/secret").chmod(0)
        with as_nobody():
            assert failure(ALL, root) == f"copy: cannot read {root / 'static/secret'}: Permission denied"
        (root / "static/secret").chmod(0o700)
