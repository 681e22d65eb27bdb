"""Bytecode for the image's Python, compiled by the running one of the same minor, the same bytes at each time."""

from __future__ import annotations

import importlib.util
import marshal
import platform
import posixpath
import struct
import sys
import sysconfig
import threading
import warnings

from hatch_oci.errors import BaseError

# The magic numbers of releases: what has another one was made by a pre-release, or by a patched Python.
# Each minor's way to marshal code has to be known to `marshalled`, too.
_MAGIC = {(3, 11): 3495, (3, 12): 3531, (3, 13): 3571, (3, 14): 3627}
# PEP 552: the source's hash is there, and nobody compares it.
_UNCHECKED_HASH = 1
# `catch_warnings` changes what the whole process shows, and two threads would restore each other's changes.
_warnings_lock = threading.Lock()


def check_compiler(minor: tuple[int, int], free_threaded: bool) -> None:
    """Raise a `BaseError` unless the running Python compiles what a release of that minor runs."""
    if minor not in _MAGIC:
        message = (
            f"bytecode is known for Python {_dotted(min(_MAGIC))} to {_dotted(max(_MAGIC))}, "
            f"the base has {_dotted(minor)}: build without bytecode."
        )
        raise BaseError(message)
    fits = (
        sys.implementation.name == "cpython"
        and sys.version_info[:2] == minor
        and _is_free_threaded() == free_threaded
        and sys.version_info.releaselevel == "final"
    )
    if not fits:
        wanted = f"{'free-threaded ' if free_threaded else ''}Python {_dotted(minor)}"
        message = f"bytecode needs a {wanted} to compile with, this is {_running(minor)}."
        raise BaseError(message)
    if _magic() != _MAGIC[minor]:
        message = (
            f"bytecode needs a released Python {_dotted(minor)} to compile with, "
            f"this one's has the magic number {_magic()}, not {_MAGIC[minor]}."
        )
        raise BaseError(message)
    if not _keeps_columns():
        message = "bytecode would lack columns: unset PYTHONNODEBUGRANGES, or leave out -X no_debug_ranges."
        raise BaseError(message)


def compiler() -> str:
    """Return what tells the running compiler from all whose bytes may differ, for the key of a cache."""
    threading_model = "-free-threaded" if _is_free_threaded() else ""
    columns = "" if _keeps_columns() else "-without-columns"
    return f"{sys.implementation.name}-{platform.python_version()}-{_magic()}{threading_model}{columns}"


def bytecode_path(path: str, minor: tuple[int, int]) -> str:
    """Return where the bytecode of a source file lies (PEP 3147); builds with and without the GIL share the name."""
    folder, name = posixpath.split(path)
    stem = name.removesuffix(".py")
    return posixpath.join(folder, "__pycache__", f"{stem}.cpython-{minor[0]}{minor[1]}.pyc")


def compile_bytecode(source: bytes, path: str) -> bytes | None:
    """Return the content of a `.pyc` file which is used whatever becomes of its source, None if it does not compile.

    `path` is the source's, from the image's root; tracebacks show it. A file that does not compile (a template, Python
    2, a test of a parser) is no error: pip passes over it, too. Only of sources that are nested as deep as Python can
    read it may depend on the depth of the stack that they are compiled at whether they do.
    """
    # Not above: what is remembered is not compiled.
    from hatch_oci.layers.marshalled import canonical

    try:
        with _warnings_lock, warnings.catch_warnings(action="ignore"):
            code = compile(source, f"/{path.lstrip('/')}", "exec", dont_inherit=True, optimize=0)
        marshalled = marshal.dumps(code)
    # SyntaxError, mostly; also ValueError, MemoryError, RecursionError, OverflowError, SystemError, what codecs raise.
    except Exception:  # noqa: BLE001
        return None
    try:
        stable = canonical(marshalled)
    except RecursionError:
        return None
    header = importlib.util.MAGIC_NUMBER + struct.pack("<I", _UNCHECKED_HASH)
    return header + importlib.util.source_hash(source) + stable


def _running(wanted: tuple[int, int]) -> str:
    """Describe the running Python by what makes it unfit."""
    kind = "" if sys.implementation.name == "cpython" else f"{platform.python_implementation()} "
    if _is_free_threaded():
        kind += "free-threaded "
    own = sys.version_info[:2]
    final = sys.version_info.releaselevel == "final"
    version = _dotted(own) if final or own != wanted else platform.python_version()
    return kind + version


def _dotted(minor: tuple[int, int]) -> str:
    return f"{minor[0]}.{minor[1]}"


def _magic() -> int:
    return int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")


def _is_free_threaded() -> bool:
    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def _keeps_columns() -> bool:
    return all(column is not None for *_, column in list(compile("a", "", "exec").co_positions())[1:])
