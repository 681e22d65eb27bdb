from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.tags import parse_tag
from packaging.version import Version

from hatch_oci.errors import WheelError
from hatch_oci.layers.fit import check_runs, find_wheel
from hatch_oci.layers.wheel import open_wheel
from tests.unit.wheels import FILENAME, INFO, METADATA, MODULE, hash_of, install, member, write_wheel


def refusal(folder: Path, **parts: Any) -> str:
    """Return why a wheel made of `parts` is refused, by what names it."""
    path = write_wheel(folder, **parts)
    with pytest.raises(WheelError) as error:
        install(path)
    assert str(error.value).startswith((path.name, "cannot read"))
    return str(error.value)


def test_a_wheel_tells_what_it_is(tmp_path: Path) -> None:
    data = {
        "demo_app/__init__.py": b"",
        "Demo_App-1.0.data/purelib/extra/a.py": b"",
        "Demo_App-1.0.data/scripts/x": b"",
    }
    path = write_wheel(
        tmp_path,
        data,
        filename="demo_app-1.0.0-2-py2.py3-none-any.whl",
        info="Demo_App-1.0.dist-info",
        metadata="Metadata-Version: 2.1\nName: Demo.App\nVersion: 1\nRequires-Python: >=3.11,<4\n"
        "\nA text: with a colon",
    )
    with open_wheel(path) as wheel:
        assert (wheel.filename, wheel.name, wheel.version) == (path.name, "Demo.App", Version("1"))
        assert wheel.tags == parse_tag("py2.py3-none-any")
        assert wheel.requires_python == ">=3.11,<4"
        assert wheel.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert wheel.dist_info == "Demo_App-1.0.dist-info"
        assert {"demo_app/__init__.py", "extra/a.py"} <= set(wheel.module_paths)
        assert "Demo_App-1.0.data/scripts/x" not in set(wheel.module_paths)
        assert "Demo_App-1.0.dist-info/RECORD" not in [entry.path for entry in wheel.members]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("run = demo:main", {"run": ("demo", "main")}),
        ("run=demo.cli:App.main", {"run": ("demo.cli", "App.main")}),
        ("run = demo:main [fast,small]", {"run": ("demo", "main")}),
        ("run = demo : main[fast]", {"run": ("demo", "main")}),
        ("Run.It-2 = demo:main", {"Run.It-2": ("demo", "main")}),
        ("a = demo:a\nb = demo:b\n# c = demo:c\n; d = demo:d", {"a": ("demo", "a"), "b": ("demo", "b")}),
        ("run me = demo:main", {"run me": ("demo", "main")}),
        ("run: it = demo:main", {"run: it": ("demo", "main")}),
        ("läuft = demo:main", {"läuft": ("demo", "main")}),
        ("100% = demo:main", {"100%": ("demo", "main")}),
        ("", {}),
    ],
)
@pytest.mark.parametrize("group", ["console_scripts", "gui_scripts"])
def test_entry_points_become_scripts(
    group: str, line: str, expected: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    text = f"[other]\nx = demo:x\nnot a script = at all\n\n[{group}]\n{line}\n"
    with open_wheel(write_wheel(tmp_path, entry_points=text)) as wheel:
        found = {"console_scripts": wheel.console_scripts, "gui_scripts": wheel.gui_scripts}
    assert found == {"console_scripts": {}, "gui_scripts": {}} | {group: expected}


@pytest.mark.parametrize(
    "line",
    [
        "../run = demo:main",
        "/usr/bin/env = demo:main",
        "a/b = demo:main",
        "a\\b = demo:main",
        ".. = demo:main",
        ". = demo:main",
        "run = demo",
        "run = demo:",
        "run = :main",
        "run = demo:main; import os",
        "run = demo:main()",
        "run = demo:main\n  import os",
        "run = demo import x #:main",
        "a\x1b[2J = demo:main",
    ],
)
def test_scripts_that_cannot_be_made_are_refused(line: str, tmp_path: Path) -> None:
    message = refusal(tmp_path, entry_points=f"[console_scripts]\n{line}\n")
    assert "cannot be made" in message
    assert message.isprintable()


@pytest.mark.parametrize("text", ["run = demo:main", "[console_scripts]\nrun", "[console_scripts]\na=b:c\na=b:c", "[x"])
def test_entry_points_that_cannot_be_read_are_refused(text: str, tmp_path: Path) -> None:
    message = refusal(tmp_path, entry_points=text)
    assert message.startswith(f"{FILENAME}: entry_points.txt: ")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/etc/passwd", "/etc/passwd"),
        ("../evil.py", "../evil.py"),
        ("demo/../../evil.py", "demo/../../evil.py"),
        ("demo/./a.py", "demo/./a.py"),
        ("demo//a.py", "demo//a.py"),
        ("..\\evil.py", "..\\\\evil.py"),
        ("C:\\evil.py", "C:\\\\evil.py"),
        ("demo/a.py\0.txt", "demo/a.py\\x00.txt"),
        ("../", "../"),
        ("/", "/"),
        ("", ""),
        ("\0", "\\x00"),
    ],
)
def test_members_that_climb_out_are_refused(name: str, shown: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, raw=[(member(name), b"")]) == f"{FILENAME}: the name of '{shown}' leads out of the wheel"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_members_that_are_no_files_are_refused(kind: int, tmp_path: Path) -> None:
    message = refusal(tmp_path, raw=[(member("demo/x", kind=kind), b"/etc/passwd")])
    assert message == f"{FILENAME}: demo/x is a symlink or a special file, which a wheel cannot hold"


def test_a_member_that_comes_twice_is_refused(tmp_path: Path) -> None:
    twice = [(member("demo/__init__.py"), b"other")]
    assert refusal(tmp_path, raw=twice) == f"{FILENAME} holds demo/__init__.py twice"


def edit(old: str, new: str) -> Callable[[str], str]:
    return lambda record: record.replace(old, new)


ROW = f"demo/__init__.py,{hash_of(MODULE['demo/__init__.py'])},12\n"


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (edit(ROW, ""), "demo/__init__.py has no sha256 hash in RECORD"),
        (edit(ROW, "demo/__init__.py,,\n"), "demo/__init__.py has no sha256 hash in RECORD"),
        (edit(ROW, f"demo/__init__.py,{hash_of(b'', 'md5')},12\n"), "demo/__init__.py has no sha256 hash in RECORD"),
        (edit(ROW, f"demo/__init__.py,{hash_of(b'', 'sha1')},12\n"), "demo/__init__.py has no sha256 hash in RECORD"),
        (edit(ROW, ROW.replace("sha256", "shake_128")), "demo/__init__.py has no sha256 hash in RECORD"),
        (edit(ROW, ROW * 2), "RECORD has a malformed or repeated row: 'demo/__init__.py,"),
        (edit(ROW, ROW.replace(",12", "")), "RECORD has a malformed or repeated row: 'demo/__init__.py,"),
        (edit(ROW, ROW.replace(",12", ",12,")), "RECORD has a malformed or repeated row: 'demo/__init__.py,"),
        (edit(ROW, f"demo/__init__.py,{hash_of(b'')},12\n"), "demo/__init__.py is not the file that RECORD describes"),
        (edit(ROW, "demo/__init__.py,sha256,12\n"), "demo/__init__.py is not the file that RECORD describes"),
        (edit(ROW, "x" * 200_000 + ",,\n" + ROW), "RECORD"),
        (lambda _: "", "demo/__init__.py has no sha256 hash in RECORD"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(record: Callable[[str], str], problem: str, tmp_path: Path) -> None:
    message = refusal(tmp_path, record=record)
    assert message.startswith(FILENAME)
    assert problem in message
    assert len(message) < 400


@pytest.mark.parametrize(
    "record",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.rstrip("\n"),
        lambda text: text + "gone.py,sha256=x,1\n",
        lambda text: text.replace(ROW, f"demo/__init__.py,{hash_of(MODULE['demo/__init__.py'], 'sha512')},\n"),
        lambda text: text.replace(ROW, f"demo/__init__.py,{hash_of(MODULE['demo/__init__.py'], 'sha384')},12\n"),
        lambda text: text.replace("demo/__init__.py", '"demo/__init__.py"'),
    ],
)
def test_a_record_may_be_written_in_many_ways(record: Callable[[str], str], tmp_path: Path) -> None:
    assert install(write_wheel(tmp_path, record=record))


def test_signatures_of_record_need_no_row_and_are_not_installed(tmp_path: Path) -> None:
    signatures = [(member(f"{INFO}/RECORD.jws"), b"{}"), (member(f"{INFO}/RECORD.p7s"), b"")]
    assert not [path for path in install(write_wheel(tmp_path, raw=signatures)) if "RECORD." in path]


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"without": ["METADATA"]}, f"{FILENAME} has no {INFO}/METADATA"),
        ({"without": ["WHEEL"]}, f"{FILENAME} has no {INFO}/WHEEL"),
        ({"without": ["RECORD"]}, f"{FILENAME} has no {INFO}/RECORD"),
        ({"wheel": "Wheel-Version: 2.0\n"}, f"{FILENAME} is of Wheel-Version 2, only 1 is known"),
        ({"wheel": "Generator: x\n"}, f"{FILENAME} is of Wheel-Version (none), only 1 is known"),
        ({"metadata": METADATA.replace("demo", "other")}, f"{FILENAME}: METADATA is that of other 1.0"),
        ({"metadata": METADATA.replace("1.0", "1.1")}, f"{FILENAME}: METADATA is that of demo 1.1"),
        ({"metadata": "Name: demo\n"}, f"{FILENAME}: METADATA: Invalid version: ''"),
        ({"metadata": METADATA + "Requires-Python: latest\n"}, f"{FILENAME}: METADATA: Invalid specifier: 'latest'"),
        ({"metadata": METADATA.replace("1.0", "1.0\n x")}, f"{FILENAME}: METADATA: Invalid version"),
        ({"metadata": METADATA.replace("Name: demo", "Name: x\n y")}, f"{FILENAME}: METADATA is that of x? y 1.0"),
        ({"raw": [(member("a\nb"), b"")]}, f"{FILENAME}: a?b has no sha256 hash in RECORD"),
        ({"filename": "demo.whl"}, "Invalid wheel filename"),
        ({"info": "other-1.0.dist-info"}, "one folder demo-VERSION.dist-info, it has: ['other-1.0.dist-info']"),
        ({"files": {"demo-2.dist-info/x": b""}}, "it has: ['demo-1.0.dist-info', 'demo-2.dist-info']"),
        ({"without": ["METADATA"], "files": {f"{INFO}/METADATA": b"\xff"}}, f"cannot read {INFO}/METADATA: 'utf-8'"),
    ],
)
def test_a_wheel_that_contradicts_itself_is_refused(parts: dict[str, Any], problem: str, tmp_path: Path) -> None:
    assert problem in refusal(tmp_path, **parts)


@pytest.mark.parametrize("missing", ["demo-1.0-py3-none-any.whl", "no/such/demo-1.0-py3-none-any.whl", "folder"])
def test_a_wheel_that_cannot_be_opened_is_named(missing: str, tmp_path: Path) -> None:
    path = tmp_path / missing
    if missing == "folder":
        path /= FILENAME
        path.mkdir(parents=True)
    with pytest.raises(WheelError, match="cannot read the wheel") as error, open_wheel(path):
        pass
    assert str(path) in str(error.value)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    for name in (
        "demo-1.0-py3-none-any.whl",
        "demo-1.0-cp313-cp313-linux_x86_64.whl",
        "demo-1.0-cp312-cp312-linux_x86_64.whl",
        "demo-1.0.1-py3-none-any.whl",
        "other-1.0-py3-none-any.whl",
        "broken.whl",
    ):
        (tmp_path / "dist" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "dist" / name).touch()
    return tmp_path


TAGS = [*parse_tag("cp313-cp313-linux_x86_64"), *parse_tag("py3-none-any")]


@pytest.mark.parametrize("pattern", ["dist/*.whl", "**/*.whl", "dist/demo-1.0-*", "{root}/dist/*.whl"])
def test_the_best_of_the_prebuilt_wheels_is_taken(pattern: str, wheels: Path) -> None:
    found = find_wheel(wheels, pattern.replace("{root}", str(wheels)), "Demo", "1.0.0", TAGS)
    assert found == wheels / "dist/demo-1.0-cp313-cp313-linux_x86_64.whl"


def test_a_prebuilt_wheel_is_taken_by_its_path(wheels: Path) -> None:
    path = wheels / "dist/demo-1.0-cp312-cp312-linux_x86_64.whl"
    assert find_wheel(wheels, str(path), "demo", "1.0", TAGS) == path
    assert find_wheel(wheels, "dist/" + path.name, "demo", "1.0", TAGS) == path


@pytest.mark.parametrize(
    ("pattern", "there"),
    [
        ("dist/other*.whl", "; there is other-1.0-py3-none-any.whl"),
        ("dist/demo-1.0.1*", "; there is demo-1.0.1-py3-none-any.whl"),
        ("build/*.whl", ""),
        ("build/**.whl", ""),
        ("dist/b*", "; there is broken.whl"),
    ],
)
def test_without_a_prebuilt_wheel_there_is_advice(pattern: str, there: str, wheels: Path) -> None:
    with pytest.raises(WheelError) as error:
        find_wheel(wheels, pattern, "demo", "1.0", TAGS)
    assert str(error.value).startswith(f"no wheel of demo 1.0 matches wheel = {pattern!r}{there}")


def test_of_equal_prebuilt_wheels_the_highest_build_is_taken(wheels: Path) -> None:
    for build in ("1", "20", "3b"):
        (wheels / f"dist/demo-1.0-{build}-cp313-cp313-linux_x86_64.whl").touch()
    (wheels / "dist/demo-1.0-11-py3-none-any.whl").touch()
    assert find_wheel(wheels, "dist/*.whl", "demo", "1.0", TAGS).name == "demo-1.0-20-cp313-cp313-linux_x86_64.whl"


def wheel_for(folder: Path, tag: str, requires_python: str) -> Path:
    metadata = METADATA + (f"Requires-Python: {requires_python}\n" if requires_python else "")
    return write_wheel(folder, filename=f"demo-1.0-{tag}.whl", metadata=metadata)


@pytest.mark.parametrize(
    ("tag", "requires_python", "version", "problem"),
    [
        ("py3-none-any", "", "3.13.1", ""),
        ("cp312.cp313-cp313-linux_x86_64", ">=3.13.1", "3.13.1", ""),
        ("py3-none-any", ">=3.13", "3.13.0rc1", ""),
        ("py3-none-any", ">=3.13.2", "3.13", ""),
        ("py3-none-any", "!=3.13.0,<3.13.2", "3.13", ""),
        ("py3-none-any", "==3.13.4", "3.13", ""),
        ("py3-none-any", "<3.13", "3.13", "needs Python <3.13, but the base has TARGET"),
        ("py3-none-any", ">=3.14", "3.13", "needs Python >=3.14, but the base has TARGET"),
        ("py3-none-any", "<3.13", "3.13.1", "needs Python <3.13, but the base has TARGET"),
        ("py3-none-any", ">=3.13.2", "3.13.1", "needs Python >=3.13.2, but the base has TARGET"),
        ("cp312-cp312-linux_x86_64", "", "3.13.1", "is for cp312-cp312-linux_x86_64, which does not run on TARGET"),
        ("cp313-cp313-win32.win_amd64", "", "3.13.1", "is for cp313-cp313-win32, cp313-cp313-win_amd64, which does"),
    ],
)
def test_only_a_wheel_that_runs_is_taken(
    tag: str, requires_python: str, version: str, problem: str, tmp_path: Path
) -> None:
    with open_wheel(wheel_for(tmp_path, tag, requires_python)) as wheel:
        if not problem:
            check_runs(wheel, TAGS, version, "TARGET")
            return
        with pytest.raises(WheelError) as error:
            check_runs(wheel, TAGS, version, "TARGET")
    assert str(error.value).startswith(f"demo-1.0-{tag}.whl {problem}")


def test_a_version_that_is_too_long_for_python_is_told_in_a_line(tmp_path: Path) -> None:
    path = write_wheel(tmp_path)
    with (
        pytest.raises(WheelError, match=r"^demo-9{95}: Exceeds the limit"),
        open_wheel(path, f"demo-{'9' * 5000}-py3-none-any.whl"),
    ):
        pass
