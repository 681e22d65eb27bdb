"""What a project gets out of its lock, from the file's name to wheels that fit together."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName

from hatch_oci.errors import LockError, OCIError
from hatch_oci.lock.build import add_file, build_wheel
from hatch_oci.lock.dependencies import Dependency, depend_on
from hatch_oci.lock.needs import Choices, Needs, Provided, Wanted
from hatch_oci.lock.provide import provide
from hatch_oci.lock.target import Target
from hatch_oci.registry.options import RegistryOptions
from hatch_oci.registry.remote import Remote
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore
from tests.unit.backends import write_project
from tests.unit.dependencies import package_wheel
from tests.unit.locks import target, write_lock

MEMBER = """
[[packages]]
name = "{}"
directory = {{path = "{}"}}
"""


@dataclass
class Workshop:
    """A project with wheels beside it."""

    root: Path
    store: BlobStore
    members_built: list[Path] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def wheel(self, name: str, *requires: str, tag: str = "py3-none-any", version: str = "1.0") -> Path:
        return package_wheel(self.root / "wheels", name, requires=requires, tag=tag, version=version)

    def lock(self, *wheels: Path, name: str = "pylock.toml", head: str = "", more: str = "", **markers: str) -> None:
        write_lock(self.root / name, wheels, head=head, more=more, markers=markers)

    def provide(
        self,
        *needs: str,
        lock: str = "auto",
        wanted: Wanted | None = None,
        excluded: frozenset[str] = frozenset(),
        sdists: frozenset[str] = frozenset(),
        base_packages: Mapping[str, str] | None = None,
        one: Target | None = None,
    ) -> Provided:
        reporter = Reporter(info=lambda _line: None, warn=self.warnings.append)
        requirements = tuple(map(Requirement, needs))
        with closing(Remote(RegistryOptions(offline=True), reporter)) as remote:
            return provide(
                Needs(NormalizedName("my-app"), requirements, wanted or Wanted()),
                Choices(lock, excluded, sdists),
                self.root,
                one or target(),
                base_packages,
                self.member,
                self.store,
                remote,
            )

    def member(self, folder: Path) -> Dependency:
        self.members_built.append(folder)
        path = build_wheel(folder, folder.parent / f"built {folder.name}", offline=True)
        return depend_on(path.name, add_file(path, self.store), self.store)

    def fails(self, *needs: str, **options: object) -> list[str]:
        with pytest.raises(LockError) as caught:
            self.provide(*needs, **options)  # type: ignore[arg-type]
        return str(caught.value).split("\n")


@pytest.fixture
def shop(tmp_path: Path, store: BlobStore) -> Workshop:
    (tmp_path / "project").mkdir()
    return Workshop(tmp_path / "project", store)


def keys(provided: Provided) -> list[str]:
    return [one.facts.key for one in provided.dependencies]


def test_the_locked_wheels_are_taken_into_the_store(shop: Workshop) -> None:
    web, h11 = shop.wheel("web-app", "h11>=0.9"), shop.wheel("h11")
    shop.lock(web, h11)
    provided = shop.provide("Web.App>=1")
    assert (keys(provided), provided.members, provided.lock) == (["web-app", "h11"], (), "pylock.toml")
    for one, path in zip(provided.dependencies, (web, h11), strict=True):
        assert one.filename == path.name
        assert one.blob.path == shop.store.path(one.blob.digest)
        assert one.blob.path.read_bytes() == path.read_bytes()
        with one.opened() as wheel:
            assert wheel.name == one.facts.name
    shutil.rmtree(shop.root / "wheels")
    assert shop.provide("web-app") == provided


def test_without_a_lock_it_is_said_how_to_make_one(shop: Workshop) -> None:
    assert shop.fails("httpx>=1", "h11") == [
        "the project needs httpx, h11, and has no lock: run `uv lock`, or set lock = false to leave them out"
    ]


def test_a_lock_may_lie_elsewhere_and_its_paths_start_there(shop: Workshop) -> None:
    (shop.root / "locks").mkdir()
    wheel = package_wheel(shop.root / "locks" / "wheels", "web")
    write_project(shop.root / "other", "other")
    shop.lock(wheel, name="locks/pylock.web.toml", more=MEMBER.format("other", "../other"))
    provided = shop.provide("web", lock="locks/pylock.web.toml")
    assert (keys(provided), provided.lock) == (["web"], "locks/pylock.web.toml")
    assert [one.facts.key for one in provided.members] == ["other"]


def test_what_the_project_or_a_wheel_lacks_is_told_line_by_line(shop: Workshop) -> None:
    shop.lock(shop.wheel("web", "h11>=2", "idna; python_version < '3'", "gone"), shop.wheel("h11"))
    assert shop.fails("web", "httpx", "win; sys_platform == 'win32'") == [
        "the project requires httpx, which is not in pylock.toml",
        "web 1.0 requires gone, which is not in pylock.toml",
        "web 1.0 requires h11>=2, but pylock.toml has 1.0: make the lock anew",
    ]


def test_wheels_are_those_of_the_target(shop: Workshop) -> None:
    tags = ("cp312-cp312-manylinux_2_28_x86_64", "cp312-cp312-manylinux_2_28_aarch64")
    wheels = [shop.wheel("fast", tag=tag) for tag in tags]
    shop.lock(wheels[0])
    assert [one.filename for one in shop.provide("fast").dependencies] == [wheels[0].name]
    assert shop.fails("fast", one=target("linux/arm64"))[0].startswith("fast 1.0 has no wheel for linux/arm64 ")
    shop.lock(wheels[1])
    assert [one.filename for one in shop.provide("fast", one=target("linux/arm64")).dependencies] == [wheels[1].name]


EXTRAS = 'extras = ["web-ui", "cli"]\ndependency-groups = ["docs", "main"]\ndefault-groups = ["main"]'


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), ["base", "default"]),
        (Wanted(("web-ui",)), ["base", "ui", "default"]),
        (Wanted(("Web_UI",)), ["base", "ui", "default"]),
        (Wanted((), ("docs",)), ["base", "doc", "default"]),
        (Wanted((), ("Docs",)), ["base", "doc", "default"]),
        (Wanted(("web-ui",), ("docs",)), ["base", "ui", "doc", "default"]),
    ],
)
def test_extras_and_groups_that_are_wanted_go_in(wanted: Wanted, expected: list[str], shop: Workshop) -> None:
    wheels = [shop.wheel(name) for name in ("base", "ui", "doc", "default")]
    markers = {
        "ui": "'web-ui' in extras",
        "doc": "'docs' in dependency_groups",
        "default": "'main' in dependency_groups",
    }
    shop.lock(*wheels, head=EXTRAS, **markers)
    assert keys(shop.provide("base", wanted=wanted)) == expected


def test_what_an_extra_needs_and_the_lock_lacks_is_told(shop: Workshop) -> None:
    shop.lock(shop.wheel("web", "fast; extra == 'all'"), head=EXTRAS)
    shop.provide("web")
    assert shop.fails("web[all]", wanted=Wanted(("cli",))) == [
        'web 1.0 requires fast; extra == "all", which is not in pylock.toml: make the lock anew'
    ]
    assert shop.fails("web", wanted=Wanted(("nope",))) == ["pylock.toml has no extra nope; it has: cli, web-ui"]


def test_excluded_packages_stay_out_and_are_not_missed(shop: Workshop) -> None:
    shop.lock(shop.wheel("web", "torch>=2"), shop.wheel("torch", version="2.5"))
    assert keys(shop.provide("web", excluded=frozenset({"torch"}))) == ["web"]


def test_what_the_base_has_stands_in_for_what_is_excluded(shop: Workshop) -> None:
    shop.lock(shop.wheel("web", "torch>=2"), shop.wheel("torch", version="2.5"))
    excluded = frozenset({"torch"})
    found = shop.provide("web", "torch<3", excluded=excluded, base_packages={"torch": "2.6.0+cu124", "web": "0.1"})
    assert keys(found) == ["web"]
    (line,) = shop.fails("web", excluded=excluded, base_packages={"torch": "1.13"})
    assert line.startswith("web 1.0 requires torch>=2, but the base has 1.13")


def test_what_is_excluded_and_not_in_the_base_is_missed(shop: Workshop) -> None:
    shop.lock(shop.wheel("web", "torch>=2"), shop.wheel("torch", version="2.5"))
    (line,) = shop.fails("web", excluded=frozenset({"torch"}), base_packages={"numpy": "2.0"})
    assert line.startswith("web 1.0 requires torch>=2, which is not in ")


def test_where_the_base_lacks_something_it_is_not_advised_to_make_a_lock(shop: Workshop) -> None:
    shop.lock(shop.wheel("web", "torch>=2"), shop.wheel("torch", version="2.5"))
    for base_packages in ({"numpy": "2.0"}, {"torch": "1.13"}):
        (line,) = shop.fails("web", excluded=frozenset({"torch"}), base_packages=base_packages)
        assert "the base" in line
        assert "lock anew" not in line


def test_packages_of_the_base_that_are_not_excluded_are_installed_over(shop: Workshop) -> None:
    shop.lock(shop.wheel("web"))
    assert keys(shop.provide("web", base_packages={"web": "0.1"})) == ["web"]
    assert shop.fails("torch", base_packages={"torch": "2.5"}) == [
        "the project requires torch, which is not in pylock.toml: make the lock anew"
    ]


def test_members_of_the_workspace_are_built_and_told_apart(shop: Workshop) -> None:
    for name in ("other", "third"):
        write_project(shop.root / "packages" / name, name, requires=("h11",))
    more = MEMBER.format("other", "packages/other") + MEMBER.format("third", "packages/third")
    shop.lock(shop.wheel("h11"), more=more)
    provided = shop.provide("other", "third")
    assert keys(provided) == ["h11"]
    assert [one.filename for one in provided.members] == ["other-1.0-py3-none-any.whl", "third-1.0-py3-none-any.whl"]
    assert shop.members_built == [shop.root / "packages" / name for name in ("other", "third")]


def test_what_a_member_needs_must_be_in_the_lock(shop: Workshop) -> None:
    write_project(shop.root / "packages" / "other", "other", requires=("h11",))
    shop.lock(more=MEMBER.format("other", "packages/other"))
    assert shop.fails("other") == ["other 1.0 requires h11, which is not in pylock.toml: make the lock anew"]


def test_the_project_itself_in_its_lock_is_not_built(shop: Workshop) -> None:
    shop.lock(shop.wheel("h11"), more=MEMBER.format("my-app", "."))
    provided = shop.provide("h11")
    assert (keys(provided), provided.members, shop.members_built) == (["h11"], (), [])


def locked_sdist(shop: Workshop, tag: str) -> None:
    folder = write_project(shop.root / "made-1.0", "made", tag)
    archive = Path(shutil.make_archive(str(folder), "gztar", shop.root, "made-1.0"))
    digest = add_file(archive, shop.store).digest
    more = (
        '[[packages]]\nname = "made"\nversion = "1.0"\n'
        f'sdist = {{path = "made-1.0.tar.gz", hashes = {{sha256 = "{digest.hex}"}}}}\n'
    )
    shop.lock(more=more)


def test_a_source_distribution_that_is_allowed_is_built_with_a_warning(shop: Workshop) -> None:
    locked_sdist(shop, "py3-none-any")
    assert 'allow-sdist = ["made"]' in shop.fails("made")[0]
    provided = shop.provide("made", sdists=frozenset({"made"}))
    assert [one.filename for one in provided.dependencies] == ["made-1.0-py3-none-any.whl"]
    assert shop.warnings == ["made 1.0 has no wheel: it is built here, of its source distribution"]


@pytest.mark.parametrize(
    ("tag", "platform"),
    [
        ("cp312-cp312-linux_x86_64", "linux/arm64"),
        ("cp311-cp311-linux_x86_64", "linux/amd64"),
        ("cp312-cp312-macosx_11_0_arm64", "linux/arm64"),
    ],
)
def test_a_source_distribution_that_makes_a_wheel_for_another_machine_is_refused(
    tag: str, platform: str, shop: Workshop
) -> None:
    locked_sdist(shop, tag)
    with pytest.raises(OCIError, match=rf"made-1\.0-{tag}\.whl"):
        shop.provide("made", sdists=frozenset({"made"}), one=target(platform))


def test_a_wheel_that_is_not_the_locked_package_is_refused(shop: Workshop) -> None:
    wheel = shop.wheel("web")
    shop.lock(wheel)
    lock = shop.root / "pylock.toml"
    lock.write_text(lock.read_text().replace('name = "web"', 'name = "h11"'))
    with pytest.raises(OCIError, match="h11"):
        shop.provide("h11")


def test_when_a_wheel_was_published_is_kept(shop: Workshop) -> None:
    shop.lock(shop.wheel("web"))
    lock = shop.root / "pylock.toml"
    lock.write_text(lock.read_text().replace(", hashes", ", upload-time = 2024-05-01T00:00:00Z, hashes"))
    (one,) = shop.provide("web").dependencies
    assert str(one.upload_time) == "2024-05-01 00:00:00+00:00"


def test_a_marker_of_the_project_that_cannot_be_evaluated_is_an_error_of_ours(shop: Workshop) -> None:
    shop.lock(shop.wheel("web"))
    with pytest.raises(OCIError):
        shop.provide("web; os_name ~= 'x'")
