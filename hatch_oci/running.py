"""Whether an image will run, as far as it can be told without running it; asked before anything is written."""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterator, Mapping

from hatch_oci.base.python import Libc
from hatch_oci.errors import RunError
from hatch_oci.ground import Ground
from hatch_oci.image.document import printable
from hatch_oci.installation import Installation
from hatch_oci.layers.wheel import Wheel

_LISTED = 8
_LONGEST_LINE = 4096
_GLIBC_NEED = re.compile(rb"\x00GLIBC_2\.(\d{1,3})(?:\.\d+)?(?=\x00)")
_MUSL_NEED = re.compile(rb"\x00(?:libc\.musl-[a-z0-9_]+\.so\.1|ld-musl-[a-z0-9_]+\.so\.1)\x00")


def check_runs(
    command: tuple[str, ...],
    path: str,
    ground: Ground,
    installation: Installation | None,
    libc: Libc | None,
) -> None:
    """Raise a `RunError` with a line for each reason why the image could not start.

    `command` is the entrypoint and cmd that the build sets, empty where they are the base's own; `path` is PATH.
    """
    problems = list(_check_command(command, path, ground, installation)) if command else []
    if installation and installation.app and libc:
        problems += _check_libc(installation.app, libc)
    if problems:
        raise RunError("\n".join(problems))


def _check_command(
    command: tuple[str, ...], path: str, ground: Ground, installation: Installation | None
) -> Iterator[str]:
    program = command[0]
    folders = path.split(":")
    candidates = [program] if "/" in program else [f"{folder}/{program}" for folder in folders if folder]
    scripts = _scripts(installation) if installation else {}
    found = next((one for one in candidates if one in scripts or ground.has(one.strip("/"))), None)
    if found is None and "/" in program and not program.startswith("/"):
        # Relative to the working folder, which a user may set anew.
        return
    if found is None:
        where = (
            "is not in the image"
            if "/" in program
            else f"is in no folder of PATH ({printable(':'.join(folders), 400)})"
        )
        names = sorted(posixpath.basename(path) for path in scripts)
        listed = ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")
        yield f"entrypoint: {program} {where}; scripts of the venv: {listed or 'none'}"
        return
    interpreter = _interpreter(found, ground)
    if interpreter and not ground.has(interpreter.strip("/")):
        yield f"entrypoint: {program} wants {printable(interpreter)} to run it, which is not in the image"
    if installation is None:
        return
    module = scripts.get(found, "")
    if not module and posixpath.basename(found).startswith("python") and command[1:2] == ("-m",) and len(command) > 2:
        module = command[2]
        top = module.partition(".")[0]
        # In the working folder, or wherever PYTHONPATH leads, a copied one is found, too.
        if ground.has_part(f"{top}.py") or (ground.has_part(top) and not _is_mine(top, installation)):
            return
    if module and not _has_module(module, installation):
        yield f"entrypoint: {program} needs the module {module}, which is in no wheel that goes in"


def _interpreter(program: str, ground: Ground) -> str | None:
    """Return what the first line of a script of ours names, if it has one."""
    entry = ground.laid(program.strip("/"))
    if entry is None or entry.content is None:
        return None
    head = next(iter(entry.content()), b"")[:_LONGEST_LINE]
    line = head.partition(b"\n")[0].decode("utf-8", "replace")
    # As the kernel splits it: what an editor of another system left at the end belongs to the name.
    words = line.removeprefix("#!").strip(" \t").replace("\t", " ").split(" ")
    return words[0] or None if line.startswith("#!") else None


def _scripts(installation: Installation) -> Mapping[str, str]:
    """Return the venv's programs by their paths, each with the module that it imports, where that is known."""
    folder = installation.venv.bin
    scripts = {f"{folder}/{name}": "" for one in installation.wheels for name in one.facts.scripts}
    if installation.app:
        app = installation.app
        scripts |= {
            f"{folder}/{name}": module for name, (module, _) in {**app.gui_scripts, **app.console_scripts}.items()
        }
    return scripts


def _is_mine(top: str, installation: Installation) -> bool:
    """Tell whether a name at the top is that of a package of the project's wheel."""
    app = installation.app
    return app is not None and any(path.startswith(f"{top}/") for path in app.module_paths)


def _has_module(module: str, installation: Installation) -> bool:
    """Tell whether a module is in one of the wheels, or of the standard library."""
    top = module.partition(".")[0]
    others = {name.partition(".")[0] for one in installation.wheels for name in one.facts.modules}
    if top in others or top in sys.stdlib_module_names or installation.venv.system_site_packages:
        return True
    path = module.replace(".", "/")
    mine = installation.app.module_paths if installation.app else iter(())
    return any(
        one.startswith((f"{path}/", f"{path}."))
        or (one.startswith(f"{top}.") and one.endswith((".so", ".pyd")))
        or one.endswith(".pth")
        for one in mine
    )


def _check_libc(wheel: Wheel, libc: Libc) -> Iterator[str]:
    """Look into a wheel's own binaries, where its tag says nothing of the C library that they need."""
    if not any(tag.platform.startswith("linux_") for tag in wheel.tags):
        return
    newest = 0
    for member in wheel.members:
        if ".so" not in posixpath.basename(member.path):
            continue
        data = b"".join(wheel.read(member))
        if _MUSL_NEED.search(data) and libc.name != "musl":
            yield f"{wheel.filename}: {member.path} needs musl, the base has {libc}"
            return
        newest = max([newest, *(int(minor) for minor in _GLIBC_NEED.findall(data))])
    if newest and libc.name == "musl":
        yield f"{wheel.filename} needs glibc, the base has {libc}: build it on such a system"
    elif newest > libc.minor:
        yield f"{wheel.filename} needs glibc ≥ 2.{newest}, the base has {libc.major}.{libc.minor}"
