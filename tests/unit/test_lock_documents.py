"""Locks that no tool would write: they are read, or refused in our own words."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.utils import NormalizedName

from hatch_oci.errors import LockError, OCIError
from hatch_oci.lock.find import find_lock
from hatch_oci.lock.lockfile import read_lock
from hatch_oci.lock.needs import Wanted
from hatch_oci.lock.selection import select
from hatch_oci.store.blobs import BlobStore
from tests.unit.locks import target

ZEROS = "0" * 64
WORDS = st.sampled_from(
    ["", "x", "1.0", "x-1.0-py3-none-any.whl", "x-1.0.tar.gz", "x.whl", "..", "é", "https://[", ZEROS]
)
NAMES = st.sampled_from(
    ["x-1.0-py3-none-any.whl", "x-1.0-cp39-cp39-win32.whl", "x-1.whl", "X.tar.gz", "", "a/b/x", "é"]
)
MARKERS = st.builds(
    "\"{} {} '{}'\"".format,
    st.sampled_from(["os_name", "extra", "extras", "python_version", "platform_release", "'x'", "nobody"]),
    st.sampled_from(["==", "~=", "in", "<", "==="]),
    st.sampled_from(["posix", "3.8", "x", ""]),
) | st.sampled_from(["\"'x' in extras\"", "\"'x' in dependency_groups\"", "\"python_version ~= '3.8'\""])
FILES = st.builds(
    '{{{} = "{}", hashes = {{{} = "{}"}}, {} = {}}}'.format,
    st.sampled_from(["path", "url", "name", "subdirectory"]),
    NAMES,
    st.sampled_from(["sha256", "sha512", "md5"]),
    st.sampled_from([ZEROS, ZEROS * 2, "x"]),
    st.sampled_from(["size", "upload-time", "x"]),
    st.sampled_from(["5", "-1", "2024-01-01T00:00:00Z", "2024-01-01"]),
)
WILD = st.one_of(
    st.integers(-1, 5).map(str),
    WORDS.map('"{}"'.format),
    MARKERS,
    FILES,
    st.sampled_from(["[]", "{}", "true", '["x"]', "[5]", "[{}]", "2024-01-01", "{sha256 = 5}", "nan", '[">=3"]']),
)
VERSIONS = st.sampled_from(['">=3"', '"<3"', '"~=3.8"', '"===x"', '"x"', '"1.0"', '"1.0+x"'])
LISTS = st.lists(MARKERS, max_size=2).map(lambda markers: f"[{', '.join(markers)}]")
TOP = {"environments": LISTS, "requires-python": VERSIONS, "lock-version": VERSIONS, "created-by": WILD}
TOP |= {key: st.just('["x"]') for key in ("extras", "dependency-groups", "default-groups")}
KEYS = {"name": WORDS.map('"{}"'.format), "version": VERSIONS, "marker": MARKERS, "requires-python": VERSIONS}
KEYS |= {"sdist": FILES, "archive": FILES, "vcs": FILES, "directory": FILES, "dependencies": WILD}
KEYS |= {"wheels": st.lists(FILES, max_size=2).map(lambda files: f"[{', '.join(files)}]")}


@st.composite
def tables(draw: st.DrawFn, kinds: Mapping[str, st.SearchStrategy[str]], plain: Mapping[str, str]) -> str:
    """Draw a table that is `plain` but for some keys, most of whose values are of the right kind."""
    values = dict(plain)
    for key in draw(st.lists(st.sampled_from(sorted(kinds)), max_size=3)):
        values[key] = draw(WILD if draw(st.integers(0, 5)) == 0 else kinds[key])
        if key in ("sdist", "archive", "vcs", "directory") and draw(st.booleans()):
            values.pop("wheels", None)
    return "".join(f"{key} = {value}\n" for key, value in values.items())


PACKAGE = {"name": '"x"', "wheels": f'[{{path = "x-1.0-py3-none-any.whl", hashes = {{sha256 = "{ZEROS}"}}}}]'}
DOCUMENTS = st.builds(
    lambda top, packages: top + "".join(f"[[packages]]\n{package}" for package in packages),
    tables(TOP, {"lock-version": '"1.0"', "created-by": '"x"'}),
    st.lists(tables(KEYS, PACKAGE), min_size=1, max_size=2),
)


def with_marker(top: str, package: str) -> str:
    return f"""lock-version = "1.0"\ncreated-by = "x"\n{top}
[[packages]]\nname = "x"\nversion = "1.0"\n{package}
wheels = [{{path = "x-1.0-py3-none-any.whl", hashes = {{sha256 = "{ZEROS}"}}}}]\n"""


@example(with_marker("", """marker = "extras ~= '3.8'" """), False)
@example(with_marker("", """marker = "os_name ~= 'x'" """), False)
@example(with_marker("""environments = ["'x' in dependency_groups"]""", ""), False)
@given(st.one_of(DOCUMENTS, st.text(max_size=20)), st.booleans())
def test_whatever_a_lock_says_it_is_read_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, text: str, wants: bool
) -> None:
    folder = tmp_path_factory.mktemp("lock")
    path = folder / "pylock.toml"
    path.write_text(text, "utf-8", "surrogatepass")
    wanted = Wanted(("x",), ("x",)) if wants else Wanted()
    with suppress(OCIError):
        lock = read_lock(path, folder, wanted, "3.12", BlobStore(folder / "cache"), offline=True)
        for one in select(lock, target(), NormalizedName("my-app"), (), ("x",)).pinned:
            assert one.digest.hex


def test_a_lock_that_is_nested_without_end_is_an_error_of_ours(tmp_path: Path, store: BlobStore) -> None:
    path = tmp_path / "pylock.toml"
    path.write_text("x = " + "[" * 10_000)
    with pytest.raises(LockError, match=r"^pylock\.toml is no lock: "):
        read_lock(path, tmp_path, Wanted(), "3.12", store, offline=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (with_marker("x = " + "9" * 5000, ""), r"pylock\.toml is no lock: Exceeds the limit"),
        (with_marker("", 'marker = "python_v(\'"'), r"pylock\.toml is no lock: Expected a marker variable[^\n]*"),
        (
            with_marker("", "").partition("wheels")[0]
            + f'archive = {{url = "https://e.f/x-1-py-3-none-any.whl", hashes = {{sha256 = "{ZEROS}"}}}}',
            "x: Invalid build number: py in 'x-1-py-3-none-any'",
        ),
    ],
    ids=["a number that is too long for Python", "a marker that is none", "a name that is no wheel's"],
)
def test_a_lock_that_is_damaged_is_told_in_a_line(text: str, message: str, tmp_path: Path, store: BlobStore) -> None:
    path = tmp_path / "pylock.toml"
    path.write_text(text)
    with pytest.raises(LockError, match=f"^{message}.*$"):
        select(
            read_lock(path, tmp_path, Wanted(), "3.12", store, offline=True), target(), NormalizedName("my-app"), (), ()
        )


def test_a_lock_above_that_is_of_no_workspace_is_not_looked_into(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "uv.lock").touch()
    assert find_lock(root, "auto") is None
    (root / "requirements.txt").write_text(f"x==1 --hash=sha256:{ZEROS}\n")
    assert find_lock(root, "auto") == root / "requirements.txt"
    (tmp_path / "pyproject.toml").write_text("[tool.uv.workspace]\nmembers = ['project']\n")
    assert find_lock(root, "auto") == tmp_path / "uv.lock"
