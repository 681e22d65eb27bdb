from __future__ import annotations

import importlib.util
import marshal
import os
import platform
import subprocess
import sys
import sysconfig
import traceback
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from hatch_oci.errors import BaseError
from hatch_oci.layers.bytecode import bytecode_path, check_compiler, compile_bytecode, compiler

OWN = sys.version_info[:2]
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
OWN_NAME = f"{'free-threaded ' if FREE_THREADED else ''}{OWN[0]}.{OWN[1]}"
REPOSITORY = Path(__file__).parents[2]
# Each of them makes the compiler warn.
DUBIOUS = b"a = '\\d'\nb = 1 is 1\nassert (a, 'always true')\nc = (1)('called')\n" * 20


def run_python(*arguments: str, **environment: str) -> str:
    varying = ("PYTHON", "LC_", "LANG", "COVERAGE")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(varying)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, check=False, env=clean | environment, cwd=REPOSITORY)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def load(pyc: bytes | None) -> CodeType:
    assert pyc is not None
    code = marshal.loads(pyc[16:])
    assert isinstance(code, CodeType)
    return code


def names_in(source: bytes) -> dict[str, Any]:
    """Compile and execute a source, and return what it defines."""
    found: dict[str, Any] = {}
    exec(load(compile_bytecode(source, "app/demo.py")), found)
    return found


def test_the_running_python_compiles_for_its_own_minor() -> None:
    check_compiler(OWN, FREE_THREADED)


@pytest.mark.parametrize("minor", [minor for minor in ((3, 11), (3, 12), (3, 13), (3, 14)) if minor != OWN])
def test_another_minor_is_refused(minor: tuple[int, int]) -> None:
    with pytest.raises(BaseError) as error:
        check_compiler(minor, free_threaded=False)
    assert str(error.value) == f"bytecode needs a Python 3.{minor[1]} to compile with, this is {OWN_NAME}."


def test_a_build_that_differs_in_threading_is_refused() -> None:
    with pytest.raises(BaseError) as error:
        check_compiler(OWN, not FREE_THREADED)
    wanted = f"{'' if FREE_THREADED else 'free-threaded '}Python 3.{OWN[1]}"
    assert str(error.value) == f"bytecode needs a {wanted} to compile with, this is {OWN_NAME}."


@pytest.mark.parametrize("minor", [(3, 10), (3, 99), (4, 0)])
def test_a_minor_whose_bytecode_is_unknown_is_refused(minor: tuple[int, int]) -> None:
    with pytest.raises(BaseError) as error:
        check_compiler(minor, FREE_THREADED)
    assert str(error.value) == (
        f"bytecode is known for Python 3.11 to 3.14, the base has {minor[0]}.{minor[1]}: build without bytecode."
    )


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_python_that_drops_columns_is_refused(how: str) -> None:
    program = f"""
from hatch_oci.errors import BaseError
from hatch_oci.layers.bytecode import check_compiler, compiler
try:
    check_compiler({OWN}, {FREE_THREADED})
except BaseError as error:
    print(error)
print(compiler())
"""
    options = ["-X", "no_debug_ranges"] if how == "option" else []
    variables = {"PYTHONNODEBUGRANGES": "1"} if how == "variable" else {}
    message, identity = run_python(*options, "-c", program, **variables).splitlines()
    assert message == "bytecode would lack columns: unset PYTHONNODEBUGRANGES, or leave out -X no_debug_ranges."
    assert identity != compiler()


def test_the_compiler_is_identified_by_its_exact_version() -> None:
    magic = int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")
    threading_model = "-free-threaded" if FREE_THREADED else ""
    assert compiler() == f"cpython-{platform.python_version()}-{magic}{threading_model}"
    assert run_python("-c", "from hatch_oci.layers.bytecode import compiler; print(compiler())").strip() == compiler()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("pkg/mod.py", "pkg/__pycache__/mod.cpython-312.pyc"),
        ("pkg/__init__.py", "pkg/__pycache__/__init__.cpython-312.pyc"),
        ("mod.py", "__pycache__/mod.cpython-312.pyc"),
        ("/usr/lib/a.b.py", "/usr/lib/__pycache__/a.b.cpython-312.pyc"),
        ("pkg.py/mod.py", "pkg.py/__pycache__/mod.cpython-312.pyc"),
        ("größe/größe.py", "größe/__pycache__/größe.cpython-312.pyc"),
    ],
)
def test_bytecode_lies_beside_its_source(path: str, expected: str) -> None:
    assert bytecode_path(path, (3, 12)) == expected
    assert bytecode_path(path, OWN) == importlib.util.cache_from_source(path)


def test_the_header_says_that_the_hash_is_not_checked() -> None:
    pyc = compile_bytecode(b"answer = 42\n", "app/demo.py")
    assert pyc is not None
    assert pyc[:16] == importlib.util.MAGIC_NUMBER + b"\1\0\0\0" + importlib.util.source_hash(b"answer = 42\n")


def test_python_runs_the_bytecode_whatever_becomes_of_the_source(tmp_path: Path) -> None:
    for path, source in {"pkg/__init__.py": b"", "pkg/mod.py": b"answer = 'compiled'\n"}.items():
        for name, data in ((path, source), (bytecode_path(path, OWN), compile_bytecode(source, f"app/{path}"))):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(data or b"")
    program = f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; import pkg.mod; print(pkg.mod.answer)"
    assert run_python("-I", "-B", "-c", program) == "compiled\n"
    (tmp_path / "pkg/mod.py").write_bytes(b"answer = 'another text, of another size'\n")
    os.utime(tmp_path / "pkg/mod.py", (1, 1))
    assert run_python("-I", "-B", "-c", program) == "compiled\n"


@pytest.mark.parametrize("path", ["app/lib/größe.py", "/app/lib/größe.py"])
def test_tracebacks_show_the_path_in_the_image(path: str) -> None:
    found: dict[str, Any] = {}
    exec(load(compile_bytecode(b"class A:\n    def f(self):\n        (lambda: 1 / 0)()\n", path)), found)
    with pytest.raises(ZeroDivisionError) as error:
        found["A"]().f()
    frames = [(frame.filename, frame.lineno, frame.name) for frame in traceback.extract_tb(error.value.__traceback__)]
    assert frames[1:] == [("/app/lib/größe.py", 3, "f"), ("/app/lib/größe.py", 3, "<lambda>")]


BROKEN = {
    "syntax": b"def f(:\n",
    "indentation": b"if True:\npass\n",
    "print of Python 2": b"print 'Python 2'\n",
    "except of Python 2": b"try:\n    pass\nexcept ValueError, error:\n    pass\n",
    "a template": b"name = '{{ name }}'\nimport {{ name }}\n",
    "a null byte": b"a = 1\0\n",
    "only a null byte": b"\0",
    "not UTF-8": b"a = '\xe9'\n",
    "UTF-16": b"\xff\xfea\0 \0=\0",
    "an unknown encoding": b"# coding: no-such-encoding\n",
    "an encoding of bytes": b"# coding: hex\n41\n",
    "not ASCII": b"# coding: ascii\na = '\xc3\xa9'\n",
    "a BOM and another encoding": b"\xef\xbb\xbf# coding: latin-1\n",
    "many parentheses": b"(" * 5000,
    "deep brackets": b"[" * 150 + b"]" * 300,
    "many signs": b"-" * 100_000 + b"1\n",
    "a long sum": b"a = " + b"1 + " * 100_000 + b"1\n",
    "many attributes": b"a" + b".a" * 100_000 + b"\n",
    "deep functions": b"a = " + b"lambda: " * 500 + b"0\n",
    "deep blocks": b"".join(b" " * depth + b"if True:\n" for depth in range(150)),
    "a large number": b"a = " + b"9" * 10_000 + b"\n",
    "return outside": b"return\n",
}


@pytest.mark.parametrize("source", BROKEN.values(), ids=BROKEN)
def test_what_does_not_compile_has_no_bytecode(
    source: bytes, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    assert compile_bytecode(source, "app/demo.py") is None
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


@pytest.mark.parametrize(
    "source",
    [
        "größe = 'Straße'\n".encode(),
        b"\xef\xbb\xbf" + "größe = 'Straße'\n".encode(),
        "# -*- coding: latin-1 -*-\ngröße = 'Straße'\n".encode("latin-1"),
        "#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\ngröße = 'Straße'\n".encode("cp1252"),
        "# coding: utf-8\r\ngröße = 'Straße'\r\n".encode(),
        "größe = 'Straße'".encode(),
    ],
    ids=["UTF-8", "with a BOM", "Latin-1", "Windows", "CRLF", "no newline"],
)
def test_the_encoding_is_what_the_source_says(source: bytes) -> None:
    assert names_in(source)["größe"] == "Straße"


def test_docstrings_and_assertions_are_kept() -> None:
    program = """
import sys
from hatch_oci.layers.bytecode import compile_bytecode
source = b"'''Module.'''\\ndef f():\\n    '''Function.'''\\n    assert False\\n"
sys.stdout.write(compile_bytecode(source, "a.py").hex())
"""
    found: dict[str, Any] = {}
    exec(load(bytes.fromhex(run_python("-OO", "-c", program))), found)
    assert (found["__doc__"], found["f"].__doc__) == ("Module.", "Function.")
    with pytest.raises(AssertionError):
        found["f"]()


def test_the_future_of_the_compiling_module_is_not_that_of_the_source() -> None:
    assert names_in(b"def f(a: 1 + 1): pass\n")["f"].__annotations__ == {"a": 2}
    assert names_in(b"from __future__ import annotations\ndef f(a: 1 + 1): pass\n")["f"].__annotations__ == {
        "a": "1 + 1"
    }


def test_an_empty_file_has_bytecode() -> None:
    assert names_in(b"")["__builtins__"]


def test_no_warning_of_the_compiler_is_seen(
    capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    assert compile_bytecode(DUBIOUS, "app/demo.py")
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")
    program = "from hatch_oci.layers.bytecode import compile_bytecode; print(len(compile_bytecode(SOURCE, 'a.py')))"
    for option in ("default", "always", "error"):
        assert int(run_python("-W", option, "-c", program.replace("SOURCE", repr(DUBIOUS))))


def test_threads_that_compile_leave_the_filters_of_warnings_as_they_were() -> None:
    # In a process of its own: threads that start while others are switched this often can't all be traced for coverage.
    program = f"""if True:
        import sys, warnings
        from concurrent.futures import ThreadPoolExecutor
        from hatch_oci.layers.bytecode import compile_bytecode

        before = list(warnings.filters)
        sys.setswitchinterval(1e-6)
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda _: compile_bytecode({DUBIOUS!r}, "app/demo.py"), range(200)))
        print(len(results), len(set(results)), None in results, warnings.filters == before)
    """
    assert run_python("-c", program) == "200 1 False True\n"
