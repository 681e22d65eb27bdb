"""Whether what was selected is all that is needed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pytest
from packaging.requirements import Requirement

from hatch_oci.errors import LockError
from hatch_oci.lock.closure import check_closure
from hatch_oci.lock.facts import WheelFacts
from tests.unit.locks import target


def facts(name: str, *requires: str, version: str = "1.0") -> WheelFacts:
    return WheelFacts(name, version, requires, pure=True, modules=(name,), scripts=(), data=())


def check(
    needed: Sequence[str],
    *wheels: WheelFacts,
    there: Mapping[str, str] | None = None,
    ignored: Collection[str] = (),
    lock_name: str = "uv.lock",
) -> None:
    requirements = [("the project", Requirement(text)) for text in needed]
    check_closure(requirements, wheels, there or {}, ignored, target().environment, lock_name)


def test_what_is_all_there_passes() -> None:
    check(["Web_App[all]>=1"], facts("web-app", "h11", "extra-dep; extra == 'all'"), facts("h11"), facts("extra.dep"))


def test_a_requirement_of_the_project_that_is_missing_is_named_with_what_to_do() -> None:
    with pytest.raises(LockError) as caught:
        check(["httpx"])
    assert str(caught.value) == 'the project requires httpx, which is not in uv.lock: run "uv lock"'
    with pytest.raises(LockError, match=r"which is not in pylock\.toml: make the lock anew$"):
        check(["httpx"], lock_name="pylock.toml")


def test_each_that_is_missing_or_wrong_gets_a_line() -> None:
    with pytest.raises(LockError) as caught:
        check(["a>=2", "b"], facts("a"), facts("b", "c", "d<1"), facts("d"))
    assert str(caught.value).split("\n") == [
        "b 1.0 requires c, which is not in uv.lock",
        "b 1.0 requires d<1, but uv.lock has 1.0",
        'the project requires a>=2, but uv.lock has 1.0: run "uv lock"',
    ]


def test_markers_that_do_not_hold_ask_for_nothing() -> None:
    check(["a"], facts("a", "win; sys_platform == 'win32'", "old; python_version < '3.9'", "x; extra == 'dev'"))


def test_extras_are_followed_through_others() -> None:
    wheels = [facts("a", "b[fast]; extra == 'all'"), facts("b", "c; extra == 'fast'")]
    check(["a"], *wheels)
    with pytest.raises(LockError, match=r"b 1\.0 requires c"):
        check(["a[all]"], *wheels)


def test_packages_that_need_each_other_come_to_an_end() -> None:
    check(["a"], facts("a", "b"), facts("b", "a[x]", "a"))


def test_what_the_base_has_counts_if_its_version_fits() -> None:
    check(["torch>=2"], there={"torch": "2.5.1+cu124"})
    with pytest.raises(LockError, match=r"the project requires torch>=3, but the base has 2\.5"):
        check(["torch>=3"], there={"torch": "2.5"})
    with pytest.raises(LockError, match="but the base has unknown"):
        check(["torch"], there={"torch": "unknown"})


def test_what_was_left_out_on_purpose_is_not_missed() -> None:
    check(["torch"], ignored=["torch"])


def test_prereleases_that_a_lock_has_are_meant() -> None:
    check(["a>=1"], facts("a", version="2.0rc1"))
