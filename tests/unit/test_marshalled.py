"""Marshalled code says what the code is, and nothing of the process that made it."""

from __future__ import annotations

import json
import marshal
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_oci.layers.marshalled import canonical

REPOSITORY = Path(__file__).parents[2]
STDLIB = Path(sysconfig.get_path("stdlib"))
SOURCES = sorted(
    path
    for folder in (
        STDLIB,
        *(STDLIB / name for name in ("asyncio", "email", "encodings", "importlib", "json", "unittest")),
    )
    for path in folder.glob("*.py")
)
# What a process may have done before: imported much or nothing, interned what the compiler does not, compiled in
# another order, kept what it compiled, run with other options, another locale, another stack.
COMPILE = """
import hashlib, json, random, sys
from pathlib import Path
from hatch_oci.layers.bytecode import compile_bytecode
paths, seed = json.load(sys.stdin)
if seed:
    import argparse, ctypes, email.mime.text, ftplib, inspect, logging.config, pydoc, unittest.mock, xml.dom.minidom
    for code in range(256):
        sys.intern(chr(code))
    random.Random(seed).shuffle(paths)
kept = []
def compile_at(depth, path):
    if depth:
        return compile_at(depth - 1, path)
    source = Path(path).read_bytes()
    kept.extend(compile(source, path, "exec", dont_inherit=True) for _ in range(seed))
    return hashlib.sha256(compile_bytecode(source, path)).hexdigest()
print(json.dumps({path: compile_at(seed * 20, path) for path in paths}))
"""


def digests(seed: int, *options: str, **environment: str) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "LC_", "LANG"))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *options, "-c", COMPILE],
        input=json.dumps([[str(path) for path in SOURCES], seed]),
        capture_output=True,
        text=True,
        check=False,
        env=clean | environment,
        cwd=REPOSITORY,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_bytecode_is_the_same_in_every_process() -> None:
    assert len(SOURCES) > 200
    expected = digests(0, PYTHONHASHSEED="0")
    others = [
        digests(1, PYTHONHASHSEED="1", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"),
        digests(2, "-OO", "-X", "dev", PYTHONHASHSEED="2", TZ="Asia/Tokyo"),
    ]
    for other in others:
        assert {path for path in expected if other[path] != expected[path]} == set()


@pytest.mark.parametrize("path", SOURCES[::4], ids=lambda path: str(path.relative_to(STDLIB)))
def test_the_code_is_that_of_the_compiler(path: Path) -> None:
    code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    found = marshal.loads(canonical(marshal.dumps(code)))
    assert found == code
    # The second version of the format has neither references nor flags, so that it tells all that code consists of.
    if sys.version_info < (3, 14):  # which has slices among the constants, unknown to it
        assert marshal.dumps(found, 2) == marshal.dumps(code, 2)


@pytest.mark.parametrize("path", SOURCES[::4], ids=lambda path: str(path.relative_to(STDLIB)))
def test_what_is_stable_stays_as_it_is_and_is_not_larger(path: Path) -> None:
    marshalled = marshal.dumps(compile(path.read_bytes(), str(path), "exec", dont_inherit=True))
    stable = canonical(marshalled)
    assert canonical(stable) == stable
    assert canonical(marshal.dumps(marshal.loads(stable))) == stable
    assert len(stable) <= len(marshalled)


ATOMS = (
    st.none()
    | st.booleans()
    | st.just(...)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.complex_numbers(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.text("ab_1", max_size=300)
    | st.binary()
)
CONSTANTS = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=5).map(tuple), max_leaves=30)


@given(CONSTANTS, CONSTANTS)
def test_constants_keep_value_and_type(one: object, two: object) -> None:
    source = f"found = {one!r}\ndef other(): return {two!r}, {one!r}\n"
    code = compile(source, "demo.py", "exec")
    expected: dict[str, Any] = {}
    found: dict[str, Any] = {}
    exec(code, expected)
    exec(marshal.loads(canonical(marshal.dumps(code))), found)
    # Text tells 0 from False and from -0.0.
    assert repr((found["found"], found["other"]())) == repr((expected["found"], expected["other"]()))


@given(st.sets(st.integers() | st.text() | st.binary(), min_size=2))
def test_sets_have_one_order(members: set[object]) -> None:
    forms = set()
    for order in (sorted(members, key=repr), sorted(members, key=repr, reverse=True)):
        code = compile(f"found = value in {{{', '.join(map(repr, order))}}}", "demo.py", "exec")
        marshalled = canonical(marshal.dumps(code))
        loaded = marshal.loads(marshalled)
        assert frozenset(members) in loaded.co_consts
        forms.add(marshalled)
    assert len(forms) == 1


@pytest.mark.parametrize("count", [0, 1, 255, 256, 70_000])
def test_tuples_and_texts_of_any_length_are_kept(count: int) -> None:
    texts = ["a" * count, "-" * count, "ß" * count, "\ud800" * count, "\U0001f40d" * count]
    constants = (*texts, b"b" * count, tuple(range(count)), (*range(count), "x"))
    code = compile("0", "demo.py", "exec").replace(co_consts=(*constants, constants))
    assert marshal.loads(canonical(marshal.dumps(code))).co_consts == (*constants, constants)


def test_names_and_what_looks_like_one_are_interned() -> None:
    source = "def f(one_argument): return 'like_a_name_1', 'not like a name', ('like_a_name_2', '')"
    code = marshal.loads(canonical(marshal.dumps(compile(source, "demo.py", "exec"))))
    constants = code.co_consts[0].co_consts[-1]
    assert constants[0] is sys.intern("like_a_name_1")
    assert constants[2][0] is sys.intern("like_a_name_2")


def test_what_is_equal_is_loaded_once() -> None:
    source = "def f(): return ('some text', 1.5)\ndef g(): return ['some text', ('some text', 1.5)]\n"
    code = marshal.loads(canonical(marshal.dumps(compile(source, "demo.py", "exec"))))
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["f"]() is names["g"]()[1]
    assert names["f"]()[0] is names["g"]()[0]


def test_what_others_have_interned_does_not_matter() -> None:
    def code_with(text: str) -> bytes:
        code = compile("0", "demo.py", "exec")
        return marshal.dumps(code.replace(co_consts=(text, frozenset({text, "like_a_name"}), ("like_a_name", text))))

    words = ["not", "so"]
    plain, interned = code_with(" ".join(words)), code_with(sys.intern(" ".join(words)))
    assert plain != interned
    assert canonical(plain) == canonical(interned)


def test_functions_of_the_same_text_stay_apart() -> None:
    code = compile("f = lambda: 0", "demo.py", "exec")
    inner = next(constant for constant in code.co_consts if hasattr(constant, "co_code"))
    twice = code.replace(co_consts=(inner, inner.replace()))
    first, second = marshal.loads(canonical(marshal.dumps(twice))).co_consts
    assert first == second
    assert first is not second


def test_an_object_that_code_never_holds_is_told_of() -> None:
    code = compile("0", "demo.py", "exec").replace(co_consts=([],))
    with pytest.raises(AssertionError, match="unknown type '\\['"):
        canonical(marshal.dumps(code))
