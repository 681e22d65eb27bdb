from __future__ import annotations

from pathlib import Path

import pytest

from hatch_oci.errors import OCIError, SourceError, WheelError
from hatch_oci.layers.entry import Kind
from hatch_oci.layers.venv import Venv, venv_entries
from tests.unit.wheels import FILENAME, INFO, MODULE, SITE, VENV, content_of, hash_of, install, write_wheel

DATA = "demo-1.0.data"


def text_of(path: Path, name: str) -> str:
    return content_of(install(path)[name]).decode()


def test_a_venv_is_a_config_and_links_to_the_base() -> None:
    entries = {entry.path: entry for entry in venv_entries(VENV)}
    links = {path: entry.link for path, entry in entries.items() if entry.kind is Kind.LINK}
    assert links == {
        "app/.venv/bin/python": "/usr/local/bin/python3.13",
        "app/.venv/bin/python3": "python",
        "app/.venv/bin/python3.13": "python",
        "app/.venv/lib64": "lib",
    }
    assert content_of(entries["app/.venv/pyvenv.cfg"]).decode() == (
        "home = /usr/local/bin\n"
        "include-system-site-packages = false\n"
        "version = 3.13.1\n"
        "executable = /usr/local/bin/python3.13\n"
    )
    assert {path for path, entry in entries.items() if entry.kind is Kind.FOLDER} == {"app/.venv", SITE}


def test_a_free_threaded_python_has_folders_of_its_own() -> None:
    venv = Venv("/opt/v", "/usr/bin/python3.14t", "python3.14t", "3.14.0")
    assert (venv.bin, venv.site_packages) == ("/opt/v/bin", "opt/v/lib/python3.14t/site-packages")
    assert {"opt/v/bin/python3.14t", venv.site_packages} < {entry.path for entry in venv_entries(venv)}


@pytest.mark.parametrize(
    ("member", "path"),
    [
        ("demo/a.py", f"{SITE}/demo/a.py"),
        ("top.pth", f"{SITE}/top.pth"),
        (f"{DATA}/purelib/demo/a.py", f"{SITE}/demo/a.py"),
        (f"{DATA}/platlib/demo/a.so", f"{SITE}/demo/a.so"),
        (f"{DATA}/scripts/tool", "app/.venv/bin/tool"),
        (f"{DATA}/data/share/man/man1/demo.1", "app/.venv/share/man/man1/demo.1"),
        (f"{DATA}/data/top.txt", "app/.venv/top.txt"),
        (f"{DATA}/headers/demo.h", "app/.venv/include/site/python3.13/demo/demo.h"),
        ("other-1.0.data/scripts/tool", f"{SITE}/other-1.0.data/scripts/tool"),
    ],
)
@pytest.mark.parametrize("executable", [False, True])
def test_every_scheme_has_its_place(member: str, path: str, executable: bool, tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, MODULE | {member: b"data"}, executable=[member] if executable else [])
    entry = install(wheel)[path]
    assert content_of(entry) == b"data"
    assert entry.mode == (0o755 if executable or "bin/" in path else 0o644)
    assert (entry.uid, entry.gid) == (0, 0)


@pytest.mark.parametrize("name", ["unknown/a", "a", "scripts", "Scripts/a", "purelib", "stdlib/a", "include/a"])
def test_a_scheme_that_no_venv_has_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(WheelError) as error:
        install(write_wheel(tmp_path, {f"{DATA}/{name}": b""}))
    assert str(error.value) == f"{FILENAME}: {DATA}/{name} is in no scheme that a venv has"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"#!python\nprint()\n", b"#!/app/.venv/bin/python\nprint()\n"),
        (b"#!pythonw\nprint()\n", b"#!/app/.venv/bin/python\nprint()\n"),
        (b"#!python -E -s\nprint()\n", b"#!/app/.venv/bin/python\nprint()\n"),
        (b"#!python\r\nprint()\r\n", b"#!/app/.venv/bin/python\nprint()\r\n"),
        (b"#!python", b"#!/app/.venv/bin/python\n"),
        (b"#!/usr/bin/env python\n", b"#!/usr/bin/env python\n"),
        (b"#!python3\nprint()\n", b"#!/app/.venv/bin/python\nprint()\n"),
        (b"#!python3.13t -I\n", b"#!/app/.venv/bin/python\n"),
        (b"#! python\n", b"#! python\n"),
        (b"#!/bin/sh\n#!python\n", b"#!/bin/sh\n#!python\n"),
        (b" #!python\n", b" #!python\n"),
        (b"\x7fELF\0\n\xff", b"\x7fELF\0\n\xff"),
        (b"", b""),
    ],
)
def test_scripts_get_the_venvs_python(text: bytes, expected: bytes, tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, {f"{DATA}/scripts/tool": text})
    assert content_of(install(wheel)["app/.venv/bin/tool"]) == expected
    assert f"../../../bin/tool,{hash_of(expected)},{len(expected)}\n" in text_of(wheel, f"{SITE}/{INFO}/RECORD")


def test_only_scripts_have_their_first_line_changed(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, {"demo/tool": b"#!python\n", f"{DATA}/data/tool": b"#!python\n"})
    assert text_of(wheel, f"{SITE}/demo/tool") == text_of(wheel, "app/.venv/tool") == "#!python\n"


@pytest.mark.parametrize("group", ["console_scripts", "gui_scripts"])
@pytest.mark.parametrize(
    ("value", "imported", "called"),
    [
        ("demo:main", "from demo import main", "main()"),
        ("demo.cli:App.run [extra]", "from demo.cli import App", "App.run()"),
    ],
)
def test_entry_points_become_small_programs(group: str, value: str, imported: str, called: str, tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, entry_points=f"[{group}]\nrun = {value}\n")
    assert install(wheel)["app/.venv/bin/run"].mode == 0o755
    assert text_of(wheel, "app/.venv/bin/run") == (
        f'#!/app/.venv/bin/python\nimport sys\n\n{imported}\n\nif __name__ == "__main__":\n    sys.exit({called})\n'
    )


def test_of_two_scripts_of_one_name_the_console_one_is_taken(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, entry_points="[console_scripts]\nrun = demo:a\n[gui_scripts]\nrun = demo:b\n")
    assert "import a\n" in text_of(wheel, "app/.venv/bin/run")


def test_record_lists_what_is_installed(tmp_path: Path) -> None:
    files = {"demo/__init__.py": b"x", "demo/läuft, so.py": b"yy", f"{DATA}/data/etc/demo.conf": b""}
    wheel = write_wheel(tmp_path, files, entry_points="[console_scripts]\nrun = demo:main\n")
    script = text_of(wheel, "app/.venv/bin/run").encode()
    lines = text_of(wheel, f"{SITE}/{INFO}/RECORD").splitlines()
    assert [line for line in lines if INFO not in line] == [
        f"../../../bin/run,{hash_of(script)},{len(script)}",
        f"../../../etc/demo.conf,{hash_of(b'')},0",
        f"demo/__init__.py,{hash_of(b'x')},1",
        f'"demo/läuft, so.py",{hash_of(b"yy")},2',
    ]
    installer = b"hatch-oci-image\n"
    assert f"{INFO}/INSTALLER,{hash_of(installer)},{len(installer)}" in lines
    assert f"{INFO}/REQUESTED,{hash_of(b'')},0" in lines
    assert f"{INFO}/RECORD,," in lines
    installed = {path for path, entry in install(wheel).items() if entry.kind is Kind.FILE}
    assert len(lines) == len(installed)


def test_hashes_of_another_kind_stay_in_record(tmp_path: Path) -> None:
    row = f"demo/__init__.py,{hash_of(MODULE['demo/__init__.py'], 'sha512')},"
    wheel = write_wheel(tmp_path, record=lambda text: "\n".join([row, *text.splitlines()[1:]]))
    assert f"{row}{len(MODULE['demo/__init__.py'])}\n" in text_of(wheel, f"{SITE}/{INFO}/RECORD")


@pytest.mark.parametrize("requested", [True, False])
def test_only_what_was_asked_for_is_requested(requested: bool, tmp_path: Path) -> None:
    entries = install(write_wheel(tmp_path), requested=requested)
    assert (f"{SITE}/{INFO}/REQUESTED" in entries) is requested
    assert ("REQUESTED" in content_of(entries[f"{SITE}/{INFO}/RECORD"]).decode()) is requested


@pytest.mark.parametrize("name", ["INSTALLER", "REQUESTED", "direct_url.json"])
def test_what_an_installer_writes_is_not_taken_from_the_wheel(name: str, tmp_path: Path) -> None:
    entries = install(write_wheel(tmp_path, MODULE | {f"{INFO}/{name}": b"forged"}), requested=False)
    assert b"forged" not in {content_of(entry) for entry in entries.values() if entry.content}
    rows = content_of(entries[f"{SITE}/{INFO}/RECORD"]).decode()
    assert hash_of(b"forged") not in rows
    assert (f"{INFO}/{name}" in rows) is (name == "INSTALLER")


def test_a_file_of_such_a_name_elsewhere_is_kept(tmp_path: Path) -> None:
    assert f"{SITE}/demo/INSTALLER" in install(write_wheel(tmp_path, {"demo/INSTALLER": b""}))


@pytest.mark.parametrize("name", ["bin/python", "bin/python3", "bin/python3.13", "pyvenv.cfg", "lib64"])
def test_no_wheel_replaces_a_part_of_the_venv(name: str, tmp_path: Path) -> None:
    with pytest.raises(WheelError) as error:
        install(write_wheel(tmp_path, {f"{DATA}/data/{name}": b""}))
    assert str(error.value) == f"{FILENAME} would replace /app/.venv/{name}, a part of the venv itself"


@pytest.mark.parametrize("script", ["python", "python3", "python3.13"])
def test_no_script_replaces_python(script: str, tmp_path: Path) -> None:
    for wheel in (
        write_wheel(tmp_path / "1", {f"{DATA}/scripts/{script}": b""}),
        write_wheel(tmp_path / "2", entry_points=f"[console_scripts]\n{script} = demo:main\n"),
        write_wheel(tmp_path / "3", entry_points=f"[gui_scripts]\n{script} = demo:main\n"),
    ):
        with pytest.raises(WheelError, match=f"{FILENAME} would replace /app/.venv/bin/{script}, "):
            install(wheel)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"a/b.py": b"", f"{DATA}/purelib/a/b.py": b""}, f"two files of one layer want the path /{SITE}/a/b.py"),
        ({"a": b"", "a/b.py": b""}, f"/{SITE}/a would be both a file and the folder of /{SITE}/a/b.py"),
        ({f"{DATA}/data/lib": b""}, "/app/.venv/lib would be both a file and the folder of"),
        ({f"{DATA}/data/bin/run": b""}, "two files of one layer want the path /app/.venv/bin/run"),
        ({f"{DATA}/scripts/run": b""}, "two files of one layer want the path /app/.venv/bin/run"),
        ({f"{DATA}/scripts/.wh.sh": b""}, "names that begin with .wh. delete files"),
        ({".wh..wh..opq": b""}, "names that begin with .wh. delete files"),
    ],
)
def test_files_of_a_wheel_that_get_into_each_others_way_are_refused(
    files: dict[str, bytes], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError) as error:
        install(write_wheel(tmp_path, files, entry_points="[console_scripts]\nrun = demo:main\n"))
    assert problem in str(error.value)


def test_scripts_that_delete_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OCIError, match=r"names that begin with \.wh\. delete files"):
        install(write_wheel(tmp_path, entry_points="[console_scripts]\n.wh.sh = demo:main\n"))


def test_the_order_of_a_wheels_members_does_not_matter(tmp_path: Path) -> None:
    files = {f"demo/{name}.py": name.encode() for name in "cab"}
    one, two = (
        install(write_wheel(tmp_path / str(number), dict(order)))
        for number, order in enumerate((files.items(), reversed(files.items())))
    )
    assert [(path, content_of(entry) if entry.content else b"") for path, entry in one.items()] == [
        (path, content_of(entry) if entry.content else b"") for path, entry in two.items()
    ]
