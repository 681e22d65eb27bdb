"""What a lock gives for a target, and what is said where it gives nothing."""

from __future__ import annotations

from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.utils import NormalizedName

from hatch_oci.base.python import Libc
from hatch_oci.errors import LockError
from hatch_oci.lock.lockfile import Lock
from hatch_oci.lock.selection import Member, Selection, select
from hatch_oci.lock.target import Target
from tests.unit.locks import GLIBC, MUSL, SHA256, lock, package, sdist, target, wheel

ME = NormalizedName("me")


def selected(from_lock: Lock, for_target: Target | None = None, **options: Any) -> Selection:
    return select(from_lock, for_target or target(), ME, options.get("excluded", ()), options.get("sdists", ()))


def names(selection: Selection) -> list[str]:
    return [one.filename for one in selection.pinned]


def refusal(from_lock: Lock, for_target: Target | None = None, **options: Any) -> str:
    with pytest.raises(LockError) as caught:
        selected(from_lock, for_target, **options)
    return str(caught.value)


NATIVE = (
    "cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64",
    "cp312-cp312-manylinux_2_28_aarch64",
    "cp312-cp312-musllinux_1_2_x86_64",
    "cp313-cp313t-manylinux_2_28_x86_64",
    "cp312-cp312-macosx_11_0_arm64",
    "cp312-cp312-win_amd64",
)


@pytest.mark.parametrize(
    ("one", "tag"),
    [
        (target(), NATIVE[0]),
        (target("linux/arm64"), NATIVE[1]),
        (target("linux/arm64/v8"), NATIVE[1]),
        (target(libc=MUSL), NATIVE[2]),
        (target(version="3.13.1", free_threaded=True), NATIVE[3]),
    ],
)
def test_the_wheel_for_the_target_is_taken(one: Target, tag: str) -> None:
    assert names(selected(lock(package("numpy", *NATIVE)), one)) == [f"numpy-1.0-{tag}.whl"]


def test_a_stable_abi_and_a_pure_wheel_serve_a_newer_python() -> None:
    several = lock(
        package("crypto", "cp39-abi3-manylinux_2_28_x86_64", "cp37-abi3-manylinux_2_17_x86_64"),
        package("pure", "py3-none-any", "py2.py3-none-any"),
    )
    assert names(selected(several, target(version="3.14.0"))) == [
        "crypto-1.0-cp39-abi3-manylinux_2_28_x86_64.whl",
        "pure-1.0-py3-none-any.whl",
    ]


def test_markers_are_those_of_the_target_and_never_of_this_machine() -> None:
    one = target("linux/arm/v7", "3.12.4")
    assert set(one.environment) == set(default_environment())
    assert one.environment["platform_machine"] == "armv7l"
    several = lock(
        package("old", "py3-none-any", marker="python_full_version < '3.12.4'"),
        package("arm", "py3-none-any", marker="platform_machine == 'armv7l'"),
        package("windows", "py3-none-any", marker="sys_platform == 'win32'"),
        package("linux", "py3-none-any", marker="os_name == 'posix' and platform_system == 'Linux'"),
        package("pypy", "py3-none-any", marker="implementation_name == 'pypy'"),
    )
    assert names(selected(several, one)) == ["arm-1.0-py3-none-any.whl", "linux-1.0-py3-none-any.whl"]


def test_extras_and_groups_that_are_asked_for_go_in() -> None:
    packages = (
        package("plain", "py3-none-any"),
        package("x", "py3-none-any", marker="'web' in extras"),
        package("y", "py3-none-any", marker="'docs' in dependency_groups"),
        package("z", "py3-none-any", marker="'default' in dependency_groups"),
    )
    known: dict[str, Any] = {
        "extras": ["web"],
        "dependency-groups": ["docs", "default"],
        "default-groups": ["default"],
    }
    assert [name[0] for name in names(selected(lock(*packages, **known)))] == ["p", "z"]
    asked = lock(*packages, ask_extras=["web"], ask_groups=["docs"], **known)
    assert [name[0] for name in names(selected(asked))] == ["p", "x", "y", "z"]


def test_the_project_itself_and_what_is_excluded_stay_out() -> None:
    several = lock(package("me", "py3-none-any"), package("torch", "py3-none-any"), package("a", "py3-none-any"))
    assert names(selected(several, excluded=["torch"])) == ["a-1.0-py3-none-any.whl"]


def test_a_member_of_the_workspace_is_told_apart() -> None:
    several = lock({"name": "other", "directory": {"path": "packages/other", "editable": True}})
    assert selected(several).members == (Member(NormalizedName("other"), "packages/other"),)


def test_a_package_without_a_wheel_for_the_target_names_the_nearest() -> None:
    message = refusal(lock(package("uvloop", *NATIVE)), target("linux/riscv64", libc=Libc("glibc", 2, 41)))
    assert message == (
        "uvloop 1.0 has no wheel for linux/riscv64 (cp312, glibc 2.41); the lock offers 6: manylinux2014_x86_64, "
        "manylinux_2_17_x86_64, manylinux_2_28_aarch64, musllinux_1_2_x86_64, macosx_11_0_arm64, win_amd64. "
        "Add a wheel, choose another base"
    )


def test_too_old_a_glibc_is_told_as_such() -> None:
    several = lock(package("pandas", "cp312-cp312-manylinux_2_24_x86_64.manylinux_2_28_x86_64"))
    assert refusal(several, target(libc=Libc("glibc", 2, 17))) == "pandas 1.0 needs glibc ≥ 2.24, the base has 2.17"


def test_a_musl_base_is_told_what_there_is() -> None:
    message = refusal(lock(package("pandas", "cp312-cp312-manylinux_2_24_x86_64")), target(libc=MUSL))
    assert message.startswith("pandas 1.0 has no wheel for linux/amd64 (cp312, musl 1.2); the lock offers 1: manylinux")


def test_a_source_distribution_is_never_taken_silently() -> None:
    several = lock(
        package("a", "cp39-cp39-win32", sdist=sdist("a-1.0.tar.gz")),
        package("b", sdist=sdist("b-1.0.tar.gz")),
        package("c", "cp39-cp39-win32"),
    )
    lines = refusal(several).split("\n")
    assert lines[0].endswith('Add a wheel, choose another base, or allow-sdist = ["a"]')
    assert lines[1] == (
        'b 1.0 has no wheel in the lock, only a source distribution: choose another version, or allow-sdist = ["b"]'
    )
    assert lines[2].endswith("Add a wheel, choose another base")
    allowed = selected(lock(package("b", sdist=sdist("b-1.0.tar.gz"))), sdists=["b"])
    assert [(one.filename, one.is_wheel) for one in allowed.pinned] == [("b-1.0.tar.gz", False)]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (
            {"vcs": {"type": "git", "url": "https://example.com/x.git", "commit-id": "1" * 40}},
            "a version control system",
        ),
        ({"archive": {"url": "https://example.com/x.zip", "hashes": {"sha256": SHA256}}}, "an archive"),
    ],
)
def test_what_is_no_wheel_is_refused(fields: dict[str, Any], kind: str) -> None:
    assert refusal(lock({"name": "x", **fields})) == (
        f"x comes from {kind}: only wheels with a hash go into an image; lock a release of it"
    )


@pytest.mark.parametrize(
    ("hashes", "message"),
    [
        ({"md5": "0" * 32}, "x: x-1.0-py3-none-any.whl has no sha256 or sha512 hash in the lock, only md5"),
        (
            {"sha256": "00"},
            "x: the lock's hash of x-1.0-py3-none-any.whl is not a sha256 or sha512 digest: 'sha256:00'",
        ),
    ],
)
def test_a_hash_that_pins_nothing_is_refused(hashes: dict[str, str], message: str) -> None:
    one = {"name": "x", "version": "1.0", "wheels": [wheel("x-1.0-py3-none-any.whl", hashes=hashes)]}
    assert refusal(lock(one)) == message


def test_sha512_and_upper_case_hashes_count() -> None:
    one = {"name": "x", "version": "1.0", "wheels": [wheel("x-1.0-py3-none-any.whl", hashes={"sha512": "A" * 128})]}
    assert str(selected(lock(one)).pinned[0].digest) == f"sha512:{'a' * 128}"


def test_a_lock_for_another_machine_says_so() -> None:
    several = lock(package("x", "py3-none-any"), environments=["sys_platform == 'darwin'"])
    assert refusal(several) == (
        'pylock.toml was made for sys_platform == "darwin", and cannot serve linux/amd64 (cp312, glibc 2.36): '
        "make one for all platforms, e.g. with `uv lock`"
    )


def test_a_lock_for_another_python_says_so() -> None:
    several = lock(package("x", "py3-none-any"), **{"requires-python": ">=3.13"})
    assert refusal(several) == "pylock.toml is for Python >=3.13, the base has 3.12.4"


def test_one_package_twice_is_refused() -> None:
    several = lock(package("x", "py3-none-any"), package("x", "py3-none-any", version="2.0"))
    assert refusal(several).startswith("pylock.toml cannot be selected from for linux/amd64 (cp312, glibc 2.36): ")


def test_a_release_candidate_of_python_counts_as_such() -> None:
    several = lock(package("x", "cp315-cp315-manylinux_2_28_x86_64"))
    assert names(selected(several, target(version="3.15.0rc1", libc=GLIBC))) == [
        "x-1.0-cp315-cp315-manylinux_2_28_x86_64.whl"
    ]
