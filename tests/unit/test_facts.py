"""What is known of a wheel before it is laid down."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from hatch_oci.errors import OCIError, WheelError
from hatch_oci.layers.wheel import open_wheel
from hatch_oci.lock.build import add_file
from hatch_oci.lock.closure import check_closure
from hatch_oci.lock.facts import WheelFacts, facts_of, read_facts
from hatch_oci.store.blobs import BlobStore
from tests.unit.dependencies import package_wheel
from tests.unit.facts import read_fact, write_fact
from tests.unit.locks import target
from tests.unit.wheels import write_wheel


def facts(path: Path) -> WheelFacts:
    with open_wheel(path) as wheel:
        return read_facts(wheel)


def test_a_wheel_is_told_by_its_metadata_and_its_members(tmp_path: Path) -> None:
    files = {
        "web/__init__.py": b"",
        "six.py": b"",
        "_native.so": b"",
        "Web_App-1.0.data/purelib/pure/a.py": b"",
        "Web_App-1.0.data/platlib/plat.so": b"",
        "Web_App-1.0.data/scripts/run.sh": b"#!/bin/sh\n",
        "Web_App-1.0.data/data/share/man/x.1": b"",
        "Web_App-1.0.data/data/top": b"",
        "Web_App-1.0.data/headers/x.h": b"",
    }
    entry_points = "[console_scripts]\nweb = web:main\n[gui_scripts]\nwindow = web:show [gui]\n[other]\nx = y:z\n"
    path = write_wheel(
        tmp_path,
        files,
        filename="web_app-1.0-cp313-cp313-linux_x86_64.whl",
        info="Web_App-1.0.dist-info",
        metadata="Metadata-Version: 2.1\nName: Web_App\nVersion: 1.0\nRequires-Dist: h11>=1 ; extra == 'x'\n",
        entry_points=entry_points,
    )
    found = facts(path)
    assert found == WheelFacts(
        name="Web_App",
        version="1.0",
        requires_dist=("h11>=1 ; extra == 'x'",),
        pure=False,
        modules=("Web_App-1.0.dist-info", "_native.so", "plat.so", "pure", "six.py", "web"),
        scripts=("run.sh", "web", "window"),
        data=("include/Web_App", "share/man", "top"),
    )
    assert found.key == "web-app"
    assert [str(requirement) for requirement in found.requirements] == ['h11>=1; extra == "x"']
    assert {"web", "bin/run.sh", "bin/web", "share/man"} < found.tops
    assert len(found.tops) == 12


@pytest.mark.parametrize(
    ("tag", "pure"),
    [("py3-none-any", True), ("py2.py3-none-any", True), ("py3-none-linux_x86_64", False), ("cp313-abi3-any", True)],
)
def test_a_wheel_is_pure_if_it_is_for_any_platform(tag: str, pure: bool, tmp_path: Path) -> None:
    assert facts(package_wheel(tmp_path, "x", tag=tag)).pure is pure


def test_facts_are_read_once_and_remembered(tmp_path: Path, store: BlobStore) -> None:
    path = package_wheel(tmp_path, "x", requires=["h11", "a[b]>=1"], entry_points="[console_scripts]\nx = x:m\n")
    blob = add_file(path, store)
    first = facts_of(blob.path, path.name, blob.digest, store)
    blob.path.unlink()
    assert facts_of(blob.path, path.name, blob.digest, store) == first
    assert first.requires_dist == ("h11", "a[b]>=1")


GOOD = {"name": "x", "version": "1", "requires_dist": [], "pure": True, "modules": [], "scripts": [], "data": []}
DAMAGES: list[dict[str, object]] = [
    {"name": 5},
    {"version": 1},
    {"requires_dist": 5},
    {"requires_dist": [5]},
    {"requires_dist": ["!"]},
    {"modules": None},
]


@pytest.mark.parametrize(
    "memory",
    [
        *(b"", b"null", b"[]", b"{}", b'"x"', b"\xff", b'{"name": "x"}', b'{"nobody": "knows"}'),
        *(json.dumps(GOOD | damage).encode() for damage in DAMAGES),
    ],
)
def test_facts_that_are_damaged_are_read_anew(memory: bytes, tmp_path: Path, store: BlobStore) -> None:
    path = package_wheel(tmp_path, "x")
    blob = add_file(path, store)
    first = facts_of(blob.path, path.name, blob.digest, store)
    (fact,) = (store.folder / "facts" / "wheels").iterdir()
    good = read_fact(fact)
    write_fact(fact, memory)
    assert facts_of(blob.path, path.name, blob.digest, store) == first
    assert read_fact(fact) == good


def test_a_requirement_that_cannot_be_read_names_the_wheel(tmp_path: Path, store: BlobStore) -> None:
    path = package_wheel(tmp_path, "x", requires=["good", "not a requirement"])
    blob = add_file(path, store)
    for _ in range(2):
        with pytest.raises(WheelError, match=r"^x-1\.0-py3-none-any\.whl: METADATA: ") as caught:
            facts_of(blob.path, path.name, blob.digest, store)
        assert len(str(caught.value).splitlines()) <= 2


WORDS = st.text(st.sampled_from("abzAZ019.-_[]();,<>=!~@'\" \t\n:/é\0\x1c"), max_size=40)
NEARLY = st.builds(
    "{} {} ; {} {} {}".format,
    st.sampled_from(["a", "a[x]", "a @ https://x/y.whl", "A.b-c_d"]),
    st.sampled_from(["", ">=1", "==1.*", "~=1", "===x", "<1,>2", "(>=1)"]),
    st.sampled_from(["extra", "python_version", "os_name", "'x'", "platform_release", "python_full_version"]),
    st.sampled_from(["==", "~=", "<", ">=", "in", "not in", "==="]),
    st.sampled_from(["'x'", "'3.8'", "''", "extra", "'1.*'", "'é'"]),
)


@given(st.lists(st.one_of(WORDS, NEARLY), max_size=3))
def test_whatever_metadata_says_the_facts_are_right_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, requires: list[str]
) -> None:
    path = package_wheel(tmp_path_factory.mktemp("wheel"), "x", requires=requires)
    with suppress(OCIError):
        found = facts(path)
        check_closure([("it", Requirement("x[a,b]"))], [found], {}, (), target().environment, "uv.lock")


@pytest.mark.parametrize("marker", ["os_name ~= 'x'", "platform_release === 'x'", "extra ~= '1'", "'x' == 'x'"])
def test_a_marker_that_cannot_be_evaluated_is_an_error_of_ours(marker: str) -> None:
    one = WheelFacts("a", "1.0", (f"b; {marker}",), pure=True, modules=(), scripts=(), data=())
    with suppress(OCIError):
        check_closure([("the project", Requirement("a"))], [one], {}, (), target().environment, "uv.lock")
