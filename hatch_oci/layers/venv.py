"""A virtual environment, made without running the Python it is for, and wheels installed into it."""

from __future__ import annotations

import csv
import io
import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from hatch_oci.errors import WheelError
from hatch_oci.layers.entry import Entry, Kind, file_entry, folder_entry, link_entry
from hatch_oci.layers.member import shown
from hatch_oci.layers.wheel import Member, Wheel, record_hash

Compiler = Callable[[bytes, str], Entry | None]
"""Returns the bytecode of a module's source, which lies at a path; None where it cannot be compiled."""

_INSTALLER = b"hatch-oci-image\n"
_OURS = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")
"""Files of a `.dist-info` that the installer writes, never the wheel (the recording installed projects spec)."""


@dataclass(frozen=True, slots=True)
class Venv:
    """Where a venv lies in the image, and the Python of the base that runs it."""

    prefix: str
    """An absolute path."""

    python: str
    """The base's binary, an absolute path."""

    python_name: str
    """Its name with the minor version, e.g. `python3.13` or `python3.13t`."""

    python_version: str
    system_site_packages: bool = False
    """Whether it sees the packages that the base brings."""

    @property
    def python_minor(self) -> tuple[int, int]:
        """Major and minor version."""
        major, minor = self.python_name.removeprefix("python").removesuffix("t").split(".")
        return int(major), int(minor)

    @property
    def bin(self) -> str:
        """The folder of scripts, absolute."""
        return f"{self.prefix}/bin"

    @property
    def site_packages(self) -> str:
        """The folder of modules, relative to the root as entries' paths are."""
        return f"{self.prefix.strip('/')}/lib/{self.python_name}/site-packages"


def venv_entries(venv: Venv) -> list[Entry]:
    """Return the venv itself (PEP 405), which alone depends on the base's patch level."""
    root = venv.prefix.strip("/")
    settings = {
        "home": posixpath.dirname(venv.python),
        "include-system-site-packages": str(venv.system_site_packages).lower(),
        "version": venv.python_version,
        "executable": venv.python,
    }
    config = "".join(f"{key} = {value}\n" for key, value in settings.items())
    return [
        folder_entry(root),
        file_entry(f"{root}/pyvenv.cfg", config.encode()),
        link_entry(f"{root}/bin/python", venv.python),
        link_entry(f"{root}/bin/python3", "python"),
        link_entry(f"{root}/bin/{venv.python_name}", "python"),
        link_entry(f"{root}/lib64", "lib"),
        folder_entry(venv.site_packages),
    ]


def installed_files(
    wheel: Wheel, venv: Venv, *, requested: bool = False, compile_to: Compiler | None = None
) -> Iterator[tuple[Entry, str]]:
    """Yield a wheel's files as installed into the venv, each with its hash as RECORD has it.

    `requested` marks what was asked for by its name; `compile_to` adds the bytecode of modules. A `WheelError` where
    the wheel wants to go anywhere else.
    """
    info = f"{venv.site_packages}/{wheel.dist_info}"
    files = [
        *(_member_entry(wheel, member, venv) for member in _own_members(wheel)),
        *_script_entries(wheel, venv),
        _written(f"{info}/INSTALLER", _INSTALLER),
    ]
    if requested:
        files.append(_written(f"{info}/REQUESTED", b""))
    if compile_to:
        files += list(_bytecode(files, venv, compile_to))
    rows = {entry.path: (digest, entry.size) for entry, digest in files}
    record = file_entry(f"{info}/RECORD", _record(rows, f"{info}/RECORD", venv))
    venv_paths = {entry.path for entry in venv_entries(venv) if entry.kind is not Kind.FOLDER}
    for entry, digest in [*files, (record, "")]:
        if entry.path in venv_paths:
            message = f"{wheel.filename} would replace /{shown(entry.path)}, a part of the venv itself"
            raise WheelError(message)
        yield entry, digest


def wheel_entries(wheel: Wheel, venv: Venv, *, requested: bool, compile_to: Compiler | None = None) -> list[Entry]:
    """Return the entries of `installed_files`."""
    return [entry for entry, _ in installed_files(wheel, venv, requested=requested, compile_to=compile_to)]


def _written(path: str, data: bytes) -> tuple[Entry, str]:
    return file_entry(path, data), record_hash(data)


def _bytecode(files: Sequence[tuple[Entry, str]], venv: Venv, compile_to: Compiler) -> Iterator[tuple[Entry, str]]:
    taken = {entry.path for entry, _ in files}
    for entry, _ in files:
        if entry.content and entry.path.endswith(".py") and entry.path.startswith(f"{venv.site_packages}/"):
            compiled = compile_to(b"".join(entry.content()), entry.path)
            # One that the wheel brings along is the wheel's affair.
            if compiled and compiled.path not in taken and compiled.content:
                yield compiled, record_hash(b"".join(compiled.content()))


def _own_members(wheel: Wheel) -> Iterator[Member]:
    ours = {f"{wheel.dist_info}/{name}" for name in _OURS}
    return (member for member in wheel.members if member.path not in ours)


def _member_entry(wheel: Wheel, member: Member, venv: Venv) -> tuple[Entry, str]:
    """Return where a member goes, with its hash for RECORD."""
    mode = 0o755 if member.executable else 0o644
    read = partial(wheel.read, member)
    data_folder = wheel.dist_info.removesuffix(".dist-info") + ".data"
    top, _, rest = member.path.partition("/")
    if top != data_folder:
        path = f"{venv.site_packages}/{member.path}"
        return Entry(path, Kind.FILE, mode, member.size, content=read, packed=wheel.packed(member)), member.record_hash
    scheme, _, rest = rest.partition("/")
    folder = _schemes(wheel, venv).get(scheme)
    if scheme == "data" and rest.startswith("lib64/"):
        # In a venv a symlink to lib.
        rest = f"lib/{rest.removeprefix('lib64/')}"
    if folder is None or not rest:
        message = f"{wheel.filename}: {shown(member.path)} is in no scheme that a venv has"
        raise WheelError(message)
    if scheme == "scripts":
        data = _rewrite_shebang(b"".join(read()), venv)
        return file_entry(f"{folder}/{rest}", data, 0o755), record_hash(data)
    packed = wheel.packed(member)
    return Entry(f"{folder}/{rest}", Kind.FILE, mode, member.size, content=read, packed=packed), member.record_hash


def _schemes(wheel: Wheel, venv: Venv) -> dict[str, str]:
    root = venv.prefix.strip("/")
    return {
        "purelib": venv.site_packages,
        "platlib": venv.site_packages,
        "scripts": f"{root}/bin",
        "data": root,
        "headers": f"{root}/include/site/{venv.python_name}/{wheel.name}",
    }


def _rewrite_shebang(data: bytes, venv: Venv) -> bytes:
    """Put the venv's Python in place of a first line that begins with `#!python`, whatever follows, as pip does."""
    if not data.startswith(b"#!python"):
        return data
    return f"#!{venv.bin}/python\n".encode() + data.partition(b"\n")[2]


def _script_entries(wheel: Wheel, venv: Venv) -> Iterator[tuple[Entry, str]]:
    for name, (module, attribute) in {**wheel.gui_scripts, **wheel.console_scripts}.items():
        data = _script(venv, module, attribute).encode()
        yield file_entry(f"{venv.bin.strip('/')}/{name}", data, 0o755), record_hash(data)


def _script(venv: Venv, module: str, attribute: str) -> str:
    return (
        f"#!{venv.bin}/python\n"
        "import sys\n"
        "\n"
        f"from {module} import {attribute.partition('.')[0]}\n"
        "\n"
        'if __name__ == "__main__":\n'
        f"    sys.exit({attribute}())\n"
    )


def _record(rows: dict[str, tuple[str, int]], record_path: str, venv: Venv) -> bytes:
    """Return RECORD, its paths relative to site-packages, in their order; its own row has no hash."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    site = f"{venv.site_packages}/"
    for path in sorted([*rows, record_path]):
        digest, size = rows.get(path, ("", ""))
        relative = path[len(site) :] if path.startswith(site) else posixpath.relpath(f"/{path}", f"/{site}")
        writer.writerow((relative, digest, size))
    return text.getvalue().encode()
