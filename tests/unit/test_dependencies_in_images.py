"""Projects with locks, built as a whole: their layers, for one platform and for several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.base import digest
from tests.unit.bases import AMD64, ARM64
from tests.unit.building import blob, read
from tests.unit.dependencies import package_wheel, snapshot
from tests.unit.filesystems import file
from tests.unit.locked import (
    BOTH,
    CP,
    MAJOR,
    MINOR,
    ONE,
    SITE,
    STDLIB,
    contents_of,
    held,
    layers,
    made,
    record,
    refused,
    write_bases,
)


def test_dependencies_lie_between_the_venv_and_the_app(locked: Path) -> None:
    result = made(locked)
    assert list(layers(result)) == [
        "base",
        "venv /app/.venv",
        "wheel web 1.0",
        "wheel fast 1.0",
        "wheel My.App 1.2.3+local.1",
    ]
    assert f"{SITE}/fast.so" in held(result, "wheel fast 1.0")
    assert {"app/.venv/bin/web", f"{SITE}/web/__init__.py"} < set(held(result, "wheel web 1.0"))
    _, config = read(result)
    assert config["config"]["Entrypoint"] == ["/app/.venv/bin/my-app"]


def test_several_platforms_make_an_index_that_shares_what_is_the_same(locked: Path) -> None:
    result = made(locked, BOTH)
    (entry,) = json.loads((result / "index.json").read_bytes())["manifests"]
    index = json.loads(blob(result, entry).read_bytes())
    assert entry["mediaType"] == index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert [child["platform"] for child in index["manifests"]] == [AMD64, ARM64]
    amd, arm = layers(result), layers(result, "linux/arm64")
    assert list(amd) == list(arm)
    assert {name for name in amd if amd[name] == arm[name]} == {
        *("venv /app/.venv", "wheel web 1.0", "wheel My.App 1.2.3+local.1")
    }
    for child, machine in zip(index["manifests"], ("x86_64", "aarch64"), strict=True):
        manifest = json.loads(blob(result, child).read_bytes())
        config = json.loads(blob(result, manifest["config"]).read_bytes())
        assert config["architecture"] == child["platform"]["architecture"]
        platform = f"linux/{config['architecture']}"
        assert [layer["digest"] for layer in manifest["layers"]] == list(layers(result, platform).values())
        path = blob(result, {"digest": layers(result, platform)["wheel fast 1.0"]})
        assert contents_of(path)[f"{SITE}/fast.so"] == machine.encode()


def test_the_record_tells_of_all_that_went_in(locked: Path) -> None:
    result = made(locked, f'{BOTH}\nrepository = "example.com/app"\ntags = ["1", "latest"]')
    found = record(result)
    assert (found["repository"], found["tags"], found["lock"]) == ("example.com/app", ["1", "latest"], "pylock.toml")
    assert found["digest"] == json.loads((result / "index.json").read_bytes())["manifests"][0]["digest"]
    assert found["media-type"] == "application/vnd.oci.image.index.v1+json"
    base = json.loads((locked / "base" / "index.json").read_bytes())["manifests"][0]["digest"]
    assert found["base"] == {"reference": "oci:base", "digest": base}
    assert list(found["platforms"]) == ["linux/amd64", "linux/arm64"]
    index = json.loads(blob(result, found).read_bytes())
    for child, (platform, part) in zip(index["manifests"], found["platforms"].items(), strict=True):
        assert part["digest"] == child["digest"]
        manifest = json.loads(blob(result, child).read_bytes())
        assert part["config-digest"] == manifest["config"]["digest"]
        assert {"fast": "1.0", "web": "1.0"}.items() < part["packages"].items()
        assert part["wheel"]["filename"] == "my_app-1.2.3+local.1-py2.py3-none-any.whl"
        assert [layer["size"] for layer in part["layers"]] == [layer["size"] for layer in manifest["layers"]]
        assert part["base-digest"] in {
            digest(blob(locked / "base", one).read_bytes())
            for one in json.loads(blob(locked / "base", {"digest": base}).read_bytes())["manifests"]
        }
        assert platform.startswith("linux/")


def test_packages_have_normalised_names_in_the_record(locked: Path) -> None:
    packages = record(made(locked))["platforms"]["linux/amd64"]["packages"]
    assert packages == {"fast": "1.0", "my-app": "1.2.3+local.1", "web": "1.0"}


HOOK = """
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        build_data["pure_python"] = False
        build_data["tag"] = {tag!r}
"""
WITH_HOOK = "[tool.hatch.build.targets.wheel.hooks.custom]"


def test_a_compiled_app_for_another_platform_says_what_to_pass(
    locked: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(locked)
    (locked / "hatch_build.py").write_text(HOOK.format(tag=f"{CP}-{CP}-linux_x86_64"))
    made(locked, more=WITH_HOOK)
    lines = refused(locked, capsys, BOTH, WITH_HOOK)
    text = " ".join(lines)
    assert lines[0].startswith(f"my_app-1.2.3+local.1-{CP}-{CP}-linux_x86_64.whl is for {CP}-{CP}-linux_x86_64, ")
    assert "linux/arm64" in lines[0]
    assert 'wheel = "dist/*.whl"' in text
    assert len(lines) <= 2


def test_one_prebuilt_wheel_a_platform_makes_an_index(locked: Path) -> None:
    for machine in ("x86_64", "aarch64"):
        tag = f"{CP}-{CP}-manylinux_2_17_{machine}"
        files = {"my_app/__init__.py": b"", "my_app/_native.so": machine.encode()}
        package_wheel(locked / "dist", "my_app", files, version="1.2.3+local.1", tag=tag)
    table = f'{BOTH}\nwheel = "dist/*.whl"\nentrypoint = ["python", "-m", "my_app"]'
    result = made(locked, table)
    filenames = [part["wheel"]["filename"] for part in record(result)["platforms"].values()]
    assert [name.rpartition("-")[2] for name in filenames] == [
        *("manylinux_2_17_x86_64.whl", "manylinux_2_17_aarch64.whl")
    ]
    (holds,) = (name for name in layers(result) if "1.2.3" in name)
    for platform, machine in (("linux/amd64", "x86_64"), ("linux/arm64", "aarch64")):
        path = blob(result, {"digest": layers(result, platform)[holds]})
        assert contents_of(path)[f"{SITE}/my_app/_native.so"] == machine.encode()


def test_what_changes_often_changes_no_layer_of_dependencies(locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = layers(made(locked))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    write_bases(locked, version=f"{MAJOR}.{MINOR}.9", at="newer")
    (locked / "src" / "my_app" / "new.py").touch()
    second = layers(made(locked, 'base-image = "oci:newer"'))
    assert {name for name in first if first[name] == second[name]} == {"base", "wheel web 1.0", "wheel fast 1.0"}
    moved = layers(made(locked, f'{ONE}\nprefix = "/venv"'))
    assert {first[name] for name in ("wheel web 1.0", "wheel fast 1.0")}.isdisjoint(moved.values())


def test_a_second_build_leaves_the_layers_of_dependencies_as_they_are(locked: Path, build_cache: Path) -> None:
    first = layers(made(locked, BOTH))
    before = snapshot(build_cache / "v1" / "blobs")
    assert layers(made(locked, BOTH)) == first
    after = snapshot(build_cache / "v1" / "blobs")
    of_dependencies = {f"sha256/{first[name].removeprefix('sha256:')}" for name in first if name.startswith("wheel ")}
    app = first["wheel My.App 1.2.3+local.1"].removeprefix("sha256:")
    for name in of_dependencies - {f"sha256/{app}"}:
        assert after[name] == before[name]
    assert set(after) == set(before)


def test_the_packages_of_the_base_count_if_they_are_seen(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bases(locked, [file(f"{STDLIB}/site-packages/fast-3.1.dist-info/METADATA")], at="cuda")
    table = 'base-image = "oci:cuda"\nsystem-site-packages = true\nexclude-packages = ["Fast"]'
    result = made(locked, table)
    assert not any("fast" in name for name in layers(result))
    config = contents_of(blob(result, {"digest": layers(result)["venv /app/.venv"]}))["app/.venv/pyvenv.cfg"]
    assert b"include-system-site-packages = true\n" in config
    (line,) = refused(locked, capsys, table, needs='"web", "fast>=4"')
    assert line.startswith("the project requires fast>=4, but the base has 3.1")


def test_what_is_excluded_is_nobodys_affair_where_the_base_is_not_seen(locked: Path) -> None:
    assert not any("fast" in name for name in layers(made(locked, f'{ONE}\nexclude-packages = ["fast"]')))


def test_without_a_wheel_of_its_own_an_image_may_hold_dependencies(locked: Path) -> None:
    result = made(locked, f'{ONE}\nwheel = false\nlock = "pylock.toml"\nentrypoint = ["web"]', needs="")
    assert list(layers(result)) == ["base", "venv /app/.venv", "wheel web 1.0", "wheel fast 1.0"]
    part = record(result)["platforms"]["linux/amd64"]
    assert (part["wheel"], part["packages"]) == (None, {"fast": "1.0", "web": "1.0"})


def test_a_lock_that_is_not_wanted_or_not_needed_is_not_read(locked: Path) -> None:
    (locked / "pylock.toml").write_text("no lock")
    assert record(made(locked, f"{ONE}\nlock = false"))["lock"] is None
    assert record(made(locked, needs=""))["lock"] is None


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("one", ["wheels fast, web"]), ("per-package", ["wheel web 1.0", "wheel fast 1.0"])],
)
def test_layers_are_grouped_as_asked_for(strategy: str, expected: list[str], locked: Path) -> None:
    assert list(layers(made(locked, f'{ONE}\nlayers = "{strategy}"')))[2:-1] == expected


def test_what_would_not_start_is_refused_before_anything_is_written(
    locked: Path, capsys: pytest.CaptureFixture[str], build_cache: Path
) -> None:
    (line,) = refused(locked, capsys, f'{ONE}\nentrypoint = ["wep"]')
    assert line.startswith("entrypoint: wep is in no folder of PATH (/app/.venv/bin:/usr/local/bin:/usr/bin); ")
    assert line.endswith("scripts of the venv: my-app, web")
    assert list((locked / "dist").iterdir()) == []
    assert not (build_cache / "v1" / "facts" / "layers").exists()


def test_a_module_to_run_that_is_nowhere_is_refused(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(locked, capsys, f'{ONE}\nentrypoint = ["python", "-m", "my_app.gone"]') == [
        "entrypoint: python needs the module my_app.gone, which is in no wheel that goes in"
    ]
