"""What is told of an image that could not start, and what is let pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from hatch_oci.base.outline import Outline
from hatch_oci.base.python import Libc
from hatch_oci.errors import RunError
from hatch_oci.ground import Ground
from hatch_oci.installation import Installation
from hatch_oci.layers.entry import Entry, file_entry, link_entry
from hatch_oci.layers.venv import venv_entries, wheel_entries
from hatch_oci.layers.wheel import open_wheel
from hatch_oci.lock.dependencies import Dependency
from hatch_oci.running import check_runs
from hatch_oci.store.blobs import BlobStore
from tests.unit.dependencies import Files, dependency, package_wheel
from tests.unit.filesystems import elf
from tests.unit.locks import GLIBC, MUSL
from tests.unit.wheels import VENV

BASE = Outline(
    {
        "": {"bin": "usr/bin"},
        "usr": {},
        "usr/bin": {"sh": None, "env": None, "server": None},
        "usr/local": {},
        "usr/local/bin": {"python3.13": None},
        "srv": {},
    }
)
PATH = "/app/.venv/bin:/usr/local/bin:/usr/bin:/bin"


@dataclass
class Image:
    """An image that is put together by and by."""

    folder: Path
    store: BlobStore
    stack: ExitStack
    dependencies: list[Dependency] = field(default_factory=list)
    laid: list[Entry] = field(default_factory=list)
    app: Path | None = None
    system_site_packages: bool = False

    def depends_on(self, name: str, files: Files | None = None, entry_points: str = "") -> None:
        path = package_wheel(self.folder, name, files, entry_points=entry_points)
        self.dependencies.append(dependency(self.store, path))

    def holds(self, files: Files | None = None, entry_points: str = "", tag: str = "py3-none-any") -> None:
        self.app = package_wheel(self.folder, "app", files, entry_points=entry_points, tag=tag)

    def check(self, *command: str, path: str = PATH, libc: Libc | None = GLIBC, venv: bool = True) -> None:
        ground = Ground(BASE)
        installation = None
        if venv:
            its_venv = replace(VENV, system_site_packages=self.system_site_packages)
            ground.lay(venv_entries(its_venv), "venv")
            app = self.stack.enter_context(open_wheel(self.app)) if self.app else None
            installation = Installation(its_venv, tuple(self.dependencies), app=app)
        ground.lay(self.laid, "files")
        if installation and installation.app:
            ground.lay(wheel_entries(installation.app, installation.venv, requested=True), "app")
        check_runs(command, path, ground, installation, libc)

    def problems(self, *command: str, path: str = PATH, libc: Libc | None = GLIBC, venv: bool = True) -> list[str]:
        with pytest.raises(RunError) as caught:
            self.check(*command, path=path, libc=libc, venv=venv)
        return str(caught.value).split("\n")


@pytest.fixture
def image(tmp_path: Path, store: BlobStore) -> Iterator[Image]:
    with ExitStack() as stack:
        yield Image(tmp_path / "wheels", store, stack)


CONSOLE = "[console_scripts]\napp = app.cli:main\n"
MODULES = {"app/__init__.py": b"", "app/cli.py": b"def main(): ..."}


@pytest.mark.parametrize(
    "command",
    [
        ("/app/.venv/bin/app",),
        ("app", "--port", "80"),
        ("python", "-m", "app"),
        ("python3", "-m", "app.cli"),
        ("python3.13", "-m", "http.server"),
        ("/app/.venv/bin/python", "-c", "import nothing"),
        ("python", "-m"),
        ("python", "-I", "-m", "app"),
        ("server",),
        ("/bin/sh", "-c", "nothing"),
        ("./run.sh",),
        ("../run.sh",),
        ("uvicorn", "app:app"),
        ("python", "-m", "uvicorn.workers"),
        (),
    ],
)
def test_what_is_there_is_let_pass(command: Sequence[str], image: Image) -> None:
    image.depends_on("uvicorn", entry_points="[console_scripts]\nuvicorn = uvicorn.main:main\n")
    image.holds(MODULES, CONSOLE)
    image.check(*command)


def test_a_program_that_is_nowhere_is_told_with_the_scripts_that_there_are(image: Image) -> None:
    image.depends_on("uvicorn", entry_points="[console_scripts]\nuvicorn = uvicorn.main:main\n")
    image.holds(MODULES, CONSOLE)
    (line,) = image.problems("appp")
    assert line == f"entrypoint: appp is in no folder of PATH ({PATH}); scripts of the venv: app, uvicorn"
    assert image.problems("/app/bin/app") == [
        "entrypoint: /app/bin/app is not in the image; scripts of the venv: app, uvicorn"
    ]


def test_of_many_scripts_some_are_named(image: Image) -> None:
    image.depends_on("many", {f"many-1.0.data/scripts/s{number}": b"" for number in range(9)})
    assert image.problems("x")[0].endswith("scripts of the venv: s0, s1, s2, s3, s4, s5, s6, s7, …")


def test_without_a_venv_there_are_no_scripts(image: Image) -> None:
    assert image.problems("x", path="/usr/bin:", venv=False) == [
        "entrypoint: x is in no folder of PATH (/usr/bin:); scripts of the venv: none"
    ]
    image.check("server", venv=False)


def test_a_program_is_found_by_its_name_only_in_the_folders_of_path(image: Image) -> None:
    image.holds(MODULES, CONSOLE)
    assert "is in no folder of PATH (/usr/bin)" in image.problems("app", path="/usr/bin")[0]
    # An empty part is not the root.
    image.laid = [file_entry("tool", b"", 0o755)]
    assert "is in no folder of PATH (:/usr/bin:)" in image.problems("tool", path=":/usr/bin:")[0]


def test_a_script_whose_module_is_in_no_wheel_is_told(image: Image) -> None:
    image.holds({"app/__init__.py": b""}, CONSOLE)
    assert image.problems("app") == ["entrypoint: app needs the module app.cli, which is in no wheel that goes in"]
    for group in ("console_scripts", "gui_scripts"):
        image.holds({"app/__init__.py": b""}, f"[{group}]\napp = gone:main\n")
        assert image.problems("app") == ["entrypoint: app needs the module gone, which is in no wheel that goes in"]


@pytest.mark.parametrize("program", ["python", "python3", "python3.13", "/app/.venv/bin/python"])
def test_a_module_to_run_that_is_in_no_wheel_is_told(program: str, image: Image) -> None:
    image.holds(MODULES)
    assert image.problems(program, "-m", "app.web") == [
        f"entrypoint: {program} needs the module app.web, which is in no wheel that goes in"
    ]


@pytest.mark.parametrize(
    ("files", "module"),
    [
        ({"app/cli/__init__.py": b""}, "app.cli"),
        ({"app/cli.cpython-313-x86_64-linux-gnu.so": b""}, "app.cli"),
        ({"app/cli.pyc": b""}, "app.cli"),
        ({"app.cpython-313-x86_64-linux-gnu.so": b""}, "app.cli"),
        ({"app-1.0.data/purelib/app/cli.py": b""}, "app.cli"),
        ({"app-1.0.data/platlib/app/cli.py": b""}, "app.cli"),
        ({"app.pth": b"/srv/app\n"}, "app.cli"),
        ({"space/app/cli.py": b""}, "space.app.cli"),
        ({"app/ns/x.py": b""}, "app.ns"),
    ],
)
def test_a_module_in_whatever_form_is_let_pass(files: Files, module: str, image: Image) -> None:
    image.holds(files, f"[console_scripts]\napp = {module}:main\n")
    image.check("app")


def test_a_module_of_a_dependency_or_of_the_base_is_let_pass(image: Image) -> None:
    image.depends_on("flask", {"flask/__init__.py": b""})
    image.depends_on("six", {"six.py": b""})
    image.depends_on("native", {"native.abi3.so": b""})
    for module in ("flask.cli", "six", "native", "json.tool"):
        image.holds(MODULES, f"[console_scripts]\napp = {module}:main\n")
        image.check("app")
    image.holds(MODULES, "[console_scripts]\napp = torch.distributed.run:main\n")
    assert image.problems("app") == [
        "entrypoint: app needs the module torch.distributed.run, which is in no wheel that goes in"
    ]
    image.system_site_packages = True
    image.check("app")
    image.check("python", "-m", "torch.distributed.run")


def test_a_module_of_a_copied_folder_is_let_pass(image: Image) -> None:
    # `python -m` looks into the working folder, and PYTHONPATH may name others.
    image.holds(MODULES)
    image.laid = [file_entry("srv/manage.py", b""), file_entry("srv/site/__init__.py", b"")]
    image.check("python", "-m", "manage")
    image.check("python", "-m", "site.web")


def test_a_relative_program_is_let_pass_since_the_working_folder_tells_where_it_is(image: Image) -> None:
    image.laid = [file_entry("srv/bin/run", b"#!/bin/sh\n", 0o755)]
    image.check("bin/run")


@pytest.mark.parametrize(
    ("line", "interpreter"),
    [
        (b"#!/bin/bash\n", "/bin/bash"),
        (b"#! /bin/bash -e\nrest", "/bin/bash"),
        (b"#!/usr/bin/python3", "/usr/bin/python3"),
        (b"#!/opt/gr\xc3\xb6\xc3\x9fe\n", "/opt/größe"),
        (b"#!/bin/bash" + b" x" * 5000, "/bin/bash"),
    ],
)
def test_an_interpreter_that_is_not_there_is_told(line: bytes, interpreter: str, image: Image) -> None:
    image.laid = [file_entry("srv/run", line, 0o755)]
    assert image.problems("/srv/run") == [
        f"entrypoint: /srv/run wants {interpreter} to run it, which is not in the image"
    ]


@pytest.mark.parametrize(
    "content", [b"#!/bin/sh\n", b"#!/usr/bin/env python\n", b"#!\n", b"#! \n", b"", b"\x7fELF\0", b"no line", b"\xff"]
)
def test_what_needs_no_interpreter_or_has_it_is_let_pass(content: bytes, image: Image) -> None:
    image.laid = [file_entry("srv/run", content, 0o755), link_entry("srv/link", "run")]
    image.check("/srv/run")
    image.check("/srv/link")


def test_a_line_that_ends_as_on_windows_is_told(image: Image) -> None:
    # The kernel looks for "/bin/sh\r".
    image.laid = [file_entry("srv/run", b"#!/bin/sh\r\nexit\r\n", 0o755)]
    assert "/srv/run" in image.problems("/srv/run")[0]


def needing(*symbols: bytes) -> bytes:
    return elf(None, rest=b"\0" + b"\0".join(symbols) + b"\0")


LINUX = "cp313-cp313-linux_x86_64"


def test_binaries_of_the_app_that_need_a_newer_glibc_are_told(image: Image) -> None:
    files = {
        "app/__init__.py": b"GLIBC_2.99",
        "app/_a.so": needing(b"GLIBC_2.2.5", b"GLIBC_2.34"),
        "app.libs/libx-1.so.3": needing(b"GLIBC_2.38", b"GLIBC_PRIVATE"),
    }
    image.holds(files, tag=LINUX)
    assert image.problems() == [f"app-1.0-{LINUX}.whl needs glibc ≥ 2.38, the base has 2.36"]
    image.check(libc=Libc("glibc", 2, 38))
    assert image.problems(libc=MUSL) == [
        f"app-1.0-{LINUX}.whl needs glibc, the base has musl 1.2: build it on such a system"
    ]
    image.check(libc=None)


@pytest.mark.parametrize("library", [b"libc.musl-x86_64.so.1", b"ld-musl-aarch64.so.1"])
def test_binaries_of_the_app_that_need_musl_are_told(library: bytes, image: Image) -> None:
    image.holds({"app/_a.so": needing(library)}, tag=LINUX)
    assert image.problems() == [f"app-1.0-{LINUX}.whl: app/_a.so needs musl, the base has glibc 2.36"]
    image.check(libc=MUSL)


@pytest.mark.parametrize("tag", ["cp313-cp313-manylinux_2_17_x86_64", "py3-none-any"])
def test_a_tag_that_tells_of_the_c_library_is_believed(tag: str, image: Image) -> None:
    image.holds({"app/_a.so": needing(b"GLIBC_2.99")}, tag=tag)
    image.check()


def test_binaries_that_need_no_c_library_are_let_pass(image: Image) -> None:
    image.holds({"app/_a.so": needing(b"GLIBCXX_3.4.30", b"xGLIBC_2.99", b"GLIBC_2.1"), "app/b.so": b""}, tag=LINUX)
    image.check()


def test_all_that_is_wrong_is_told_at_once(image: Image) -> None:
    script = {"app-1.0.data/scripts/start": b"#!/bin/bash\n", "app/_a.so": needing(b"GLIBC_2.38")}
    image.holds(script, "[console_scripts]\nstart2 = gone:main\n", tag=LINUX)
    assert image.problems("start") == [
        "entrypoint: start wants /bin/bash to run it, which is not in the image",
        f"app-1.0-{LINUX}.whl needs glibc ≥ 2.38, the base has 2.36",
    ]
    assert image.problems("start2") == [
        "entrypoint: start2 needs the module gone, which is in no wheel that goes in",
        f"app-1.0-{LINUX}.whl needs glibc ≥ 2.38, the base has 2.36",
    ]


def test_an_interpreter_and_a_module_that_are_missing_are_both_told(image: Image) -> None:
    image.laid = [file_entry("srv/python", b"#!/opt/python\n", 0o755)]
    assert image.problems("/srv/python", "-m", "gone") == [
        "entrypoint: /srv/python wants /opt/python to run it, which is not in the image",
        "entrypoint: /srv/python needs the module gone, which is in no wheel that goes in",
    ]
