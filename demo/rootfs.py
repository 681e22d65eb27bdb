"""Assemble a root file system out of the Python that runs this, and of the libraries it needs."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from demo import DemoError

# Not needed to run a service; tkinter alone would pull in a dozen libraries of X11.
LEFT_OUT = (
    *("test", "tests", "idlelib", "tkinter", "turtledemo", "turtle.py", "_tkinter.*"),
    *("_test*.so", "_ctypes_test*.so", "_xxtestfuzz*.so", "xxlimited*.so"),
    *("__pycache__", "site-packages", "dist-packages", "config-*"),
)

# What every manylinux wheel may count on (the policies of auditwheel), whether Python itself needs it or not. libc
# loads libgcc_s also when a thread is cancelled; without it the process dies there.
COMPANIONS = (
    *("libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libm.so.6", "libresolv.so.2"),
    *("libgcc_s.so.1", "libstdc++.so.6"),
)

ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost\n",
}

LDD_LINE = re.compile(r"^\s+(?:(?P<name>\S+) => )?(?P<file>/.*?)(?: \(0x[0-9a-f]+\))?$")


@dataclass(frozen=True)
class Linked:
    """What some ELF files need: the loader's path, and by name the libraries as found on this machine."""

    loader: Path
    libraries: dict[str, Path]


def assemble_python(root: Path) -> str:
    """Put the running interpreter (the base one, of a venv) into the folder ``root``, below ``/usr/local``.

    What ``root`` already has is kept: an empty folder becomes a complete small system, and in an unpacked
    distribution, which should be the one of this machine, only the missing libraries are added.
    Returns Python's version, such as ``3.13.1``.
    """
    if sys.platform != "linux":
        message = f"a root file system can be assembled on Linux only, not on {sys.platform}"
        raise DemoError(message)
    executable, stdlib = base_executable(), Path(sysconfig.get_path("stdlib"))
    add_system_folders(root)

    name = stdlib.name  # python3.13, or python3.13t
    programs, library = root / "usr/local/bin", root / "usr/local/lib" / name
    copy_file(executable, make_folder(programs) / name)
    copy_stdlib(stdlib, library)
    link(programs / "python3", name)
    link(programs / "python", name)
    if sys.platlibdir != "lib":  # Fedora's Python looks below lib64
        link(root / "usr/local" / sys.platlibdir, "lib")

    # The originals are asked: they may name their libraries by a path relative to their own.
    extensions = [stdlib / file.relative_to(library) for file in sorted(library.rglob("*.so"))]
    copy_libraries(linked([executable, *extensions]), root)
    return platform.python_version()


def base_executable() -> Path:
    """Return the interpreter's own file, also when a virtual environment runs this."""
    name = f"python{sysconfig.get_python_version()}"
    for candidate in (getattr(sys, "_base_executable", ""), f"{sys.base_prefix}/bin/{name}"):
        if candidate and Path(candidate).is_file():
            return Path(candidate).resolve()
    message = f"the interpreter behind {sys.executable} was not found"
    raise DemoError(message)


def add_system_folders(root: Path) -> None:
    """Add to ``root`` the folders and accounts that every system has."""
    make_folder(root)
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        here, there = Path("/", name), root / name
        # Where this machine's /lib is a link to usr/lib, paths below both are in use.
        if here.is_symlink() and not os.path.lexists(there):
            make_folder(root / here.resolve().relative_to("/"))
            there.symlink_to(here.resolve().relative_to("/"))
    for name in ("dev", "etc", "proc", "root", "sys"):
        make_folder(root / name)
    make_folder(root / "tmp", 0o1777)
    for name, text in ACCOUNTS.items():
        file = root / name
        if not file.exists():
            file.write_text(text, encoding="utf-8")
            file.chmod(0o644)


def copy_stdlib(source: Path, target: Path) -> None:
    """Copy the standard library ``source`` to ``target``, without what ``LEFT_OUT`` names."""
    for folder, subfolders, files in os.walk(source):
        subfolders[:] = [name for name in subfolders if not left_out(name)]
        place = make_folder(target / Path(folder).relative_to(source))
        for name in files:
            file = Path(folder, name)
            if not left_out(name) and file.is_file():
                copy_file(file, place / name)
    make_folder(target / "site-packages")


def left_out(name: str) -> bool:
    """Tell whether a file or folder of the standard library stays behind."""
    return any(fnmatch(name, pattern) for pattern in LEFT_OUT)


def linked(files: list[Path]) -> Linked:
    """Return the loader of ``files`` and all libraries that they need, directly or not."""
    ldd = shutil.which("ldd")
    if ldd is None:
        message = "the program ldd is needed to find Python's libraries"
        raise DemoError(message)
    # Its exit status is no help: it also complains about an extension module that needs no library.
    done = subprocess.run([ldd, *files], capture_output=True, text=True, check=False)  # noqa: S603
    loader: Path | None = None
    libraries: dict[str, Path] = {}
    for line in done.stdout.splitlines():
        match = LDD_LINE.match(line)
        if match is None:
            continue  # a heading, the vdso, or what an extension module lacks on this machine too
        file = Path(match["file"])
        if match["name"] is None:
            loader = file
        else:
            libraries.setdefault(match["name"], file)
    if loader is None or not any(name.startswith("libc.") for name in libraries):
        message = f"ldd names no loader or no C library for {files[0]}; is that Python linked statically?"
        raise DemoError(message)
    return Linked(loader, libraries)


def copy_libraries(needed: Linked, root: Path) -> None:
    """Copy the loader to its own path, and the libraries that ``root`` lacks to beside libc.

    The folder of libc is the one that every loader searches without a cache and without settings; paths
    that are written into the files themselves (an RPATH) come first, but lead nowhere in ``root``.
    """
    loader = needed.loader.parent.resolve().relative_to("/") / needed.loader.name
    if not (root / loader).exists():
        make_folder((root / loader).parent)
        copy_file(needed.loader, root / loader)

    libc = next(file for name, file in needed.libraries.items() if name.startswith("libc."))
    folder = libc.parent.resolve().relative_to("/")
    bare = folder.relative_to("usr") if folder.is_relative_to("usr") else folder
    companions = {name: libc.parent / name for name in COMPANIONS if (libc.parent / name).exists()}
    libraries = companions | needed.libraries
    for name, file in sorted(libraries.items()):
        present = (root / bare / name).exists() or (root / "usr" / bare / name).exists()
        # libpython belongs to the interpreter, whatever version of it a distribution may have.
        if not present or name.startswith("libpython"):
            copy_file(file, make_folder(root / folder) / name)


def make_folder(path: Path, mode: int = 0o755) -> Path:
    """Make the folder ``path`` and its parents, where they are missing, readable for all; return it."""
    if not path.is_dir():
        if path.parent != path:
            make_folder(path.parent)
        path.mkdir()
        path.chmod(mode)  # apart from mkdir, which heeds the umask
    return path


def copy_file(source: Path, target: Path) -> None:
    """Copy the content of a file, readable for all, and executable if the original is."""
    target.unlink(missing_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if source.stat().st_mode & 0o111 else 0o644)


def link(path: Path, target: str) -> None:
    """Make ``path`` a symlink to ``target``, also where it was one before."""
    path.unlink(missing_ok=True)
    path.symlink_to(target)
