"""The builder as a whole, in this process, on a layout that looks like a Python base."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.base import Layer, digest, image
from hatch_oci.config import wheel_builder
from tests.unit.bases import AMD64
from tests.unit.building import SCRIPT, SETTINGS, WHEEL, build, fails, names, read, write_base
from tests.unit.filesystems import folder
from tests.unit.layouts import write_tagged
from tests.unit.projects import builder_of

pytestmark = pytest.mark.usefixtures("build_cache")


def test_a_wheel_is_built_and_laid_into_a_venv(project: Path) -> None:
    write_base(project)
    made = build(builder_of(project, 'base-image = "oci:base"', more=f"{SCRIPT}\n{WHEEL}"))
    assert made == project / "dist" / "my_app-1.2.3+local.1.oci"
    manifest, config = read(made)
    _, venv, wheel = manifest["layers"]
    assert names(made, venv) == [
        "app",
        "app/.venv",
        "app/.venv/bin",
        "app/.venv/bin/python",
        "app/.venv/bin/python3",
        "app/.venv/bin/python3.13",
        "app/.venv/lib",
        "app/.venv/lib/python3.13",
        "app/.venv/lib/python3.13/site-packages",
        "app/.venv/lib64",
        "app/.venv/pyvenv.cfg",
    ]
    site = "app/.venv/lib/python3.13/site-packages"
    assert {"app/.venv/bin/my-app", f"{site}/my_app/__init__.py"} < set(names(made, wheel))
    inner = config["config"]
    assert inner["Entrypoint"] == ["/app/.venv/bin/my-app"]
    assert "Cmd" not in inner
    assert inner["Env"][0] == "PATH=/app/.venv/bin:/usr/local/bin:/usr/bin"
    assert "VIRTUAL_ENV=/app/.venv" in inner["Env"]


def test_the_record_says_what_was_built(project: Path) -> None:
    write_base(project)
    made = build(builder_of(project, 'base-image = "oci:base"', more=f"{SCRIPT}\n{WHEEL}"))
    record = json.loads(made.with_name(f"{made.name}.json").read_bytes())
    manifest, config = read(made)
    layers = record["platforms"]["linux/amd64"]["layers"]
    assert [layer["digest"] for layer in layers] == [layer["digest"] for layer in manifest["layers"]]
    assert [layer["diff-id"] for layer in layers] == config["rootfs"]["diff_ids"]
    assert [layer["holds"] for layer in layers] == ["base", "venv /app/.venv", "wheel My.App 1.2.3+local.1"]
    assert record["platforms"]["linux/amd64"]["wheel"]["filename"] == "my_app-1.2.3+local.1-py2.py3-none-any.whl"
    assert record["tags"] == ["1.2.3-local.1"]
    assert record["base"]["reference"] == "oci:base"


def test_metadata_becomes_labels_and_annotations(project: Path) -> None:
    write_base(project)
    about = 'description = "An app"\nlicense = "MIT"\nauthors = [{name = "A", email = "a@example.com"}]'
    urls = '[project.urls]\nHomepage = "https://example.com"\n"Source Code" = "https://example.com/src"'
    table = (
        'base-image = "oci:base"\nlabels = {own = "1"}\nannotations = {"org.opencontainers.image.url" = "https://x"}'
    )
    made = build(builder_of(project, table, about, f"{SCRIPT}\n{urls}\n{WHEEL}"))
    manifest, config = read(made)
    key = "org.opencontainers.image"
    base_manifest = json.loads((project / "base" / "index.json").read_bytes())["manifests"][0]["digest"]
    expected = {
        f"{key}.title": "My.App",
        f"{key}.version": "1.2.3+local.1",
        f"{key}.description": "An app",
        f"{key}.authors": "A <a@example.com>",
        f"{key}.licenses": "MIT",
        f"{key}.url": "https://example.com",
        f"{key}.source": "https://example.com/src",
        f"{key}.created": "2020-02-02T00:00:00Z",
        f"{key}.base.digest": base_manifest,
    }
    assert config["config"]["Labels"] == expected | {"own": "1"}
    assert manifest["annotations"] == expected | {f"{key}.url": "https://x"}


def test_no_entry_is_written_for_a_folder_of_the_base(project: Path) -> None:
    write_base(project)
    table = (
        'base-image = "oci:base"\nwheel = false\n'
        'copy = [{from = "static", to = "/lib/app"}, {from = "static", to = "/tmp"}]'
    )
    made = build(builder_of(project, table))
    manifest, config = read(made)
    assert [names(made, layer) for layer in manifest["layers"][1:]] == [
        ["usr/lib/app", "usr/lib/app/page.html"],
        ["tmp/page.html"],
    ]
    assert config["config"]["Cmd"] == ["python3"]


def test_static_files_on_scratch_are_an_image(project: Path) -> None:
    table = 'base-image = "scratch"\nwheel = false\ncopy = [{from = "static", to = "/srv"}]\nuser = "1000"'
    made = build(builder_of(project, table))
    manifest, config = read(made)
    assert [names(made, layer) for layer in manifest["layers"]] == [["srv", "srv/page.html"]]
    assert config["config"]["User"] == "1000"
    assert len(config["history"]) == 1


def test_tags_and_repository_stand_on_the_descriptors(project: Path) -> None:
    table = 'base-image = "scratch"\nwheel = false\nrepository = "ghcr.io/acme/app"\ntags = ["{version}", "latest"]'
    made = build(builder_of(project, table))
    manifests = json.loads((made / "index.json").read_bytes())["manifests"]
    assert [entry["annotations"] for entry in manifests] == [
        {"org.opencontainers.image.ref.name": tag, "io.containerd.image.name": f"ghcr.io/acme/app:{tag}"}
        for tag in ("1.2.3-local.1", "latest")
    ]


def test_the_golden_digest_of_a_small_image(project: Path) -> None:
    # It guards that nothing of this machine, or of this day, gets in. A change here is a change for every user.
    table = 'base-image = "scratch"\nwheel = false\ncopy = [{from = "static", to = "/srv"}]'
    made = build(builder_of(project, table))
    (entry,) = json.loads((made / "index.json").read_bytes())["manifests"]
    assert entry["digest"] == "sha256:8003f1424f43f67a8c588cfbd800ea8762cb0282f772c0e3996f816d2a897181"


def test_source_date_epoch_dates_the_image_and_changes_no_layer(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = 'base-image = "scratch"\nwheel = false\ncopy = [{from = "static", to = "/srv"}]'
    first, _ = read(build(builder_of(project, table)))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    second, config = read(build(builder_of(project, table)))
    assert config["created"] == "2023-11-14T22:13:20Z"
    assert first["layers"] == second["layers"]


def test_a_prebuilt_wheel_is_taken(project: Path) -> None:
    write_base(project)
    builder = builder_of(project, 'base-image = "oci:base"\nwheel = "dist/*.whl"', more=f"{SCRIPT}\n{WHEEL}")
    with pytest.raises(SystemExit):
        build(builder)
    list(wheel_builder(builder).build(directory=str(project / "dist"), versions=["standard"]))
    (project / "src").rename(project / "gone")
    manifest, _ = read(build(builder))
    assert len(manifest["layers"]) == 3


def test_a_base_without_python_says_where_was_looked(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_base(project, [folder("etc")])
    (line,) = fails(builder_of(project, 'base-image = "oci:base"', more=f"{SCRIPT}\n{WHEEL}"), capsys)
    assert line.startswith("oci:base: no Python found on PATH (looked in /usr/local/bin, /usr/bin)")


def test_a_wheel_for_another_python_names_both(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_base(project)
    table, project_lines = 'base-image = "oci:base"', 'requires-python = ">=3.14"'
    (line,) = fails(builder_of(project, table, project_lines, f"{SCRIPT}\n{WHEEL}"), capsys)
    assert line == (
        "my_app-1.2.3+local.1-py3-none-any.whl needs Python >=3.14, "
        "but the base has CPython 3.13.2 with glibc 2.36 on linux/amd64"
    )


def test_dependencies_without_a_lock_are_an_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_base(project)
    needing = 'dependencies = ["httpx>=0.27"]'
    assert fails(builder_of(project, 'base-image = "oci:base"', needing, f"{SCRIPT}\n{WHEEL}"), capsys) == [
        "the project needs httpx, and has no lock: run `uv lock`, or set lock = false to leave them out"
    ]
    build(builder_of(project, 'base-image = "oci:base"\nlock = false', needing, f"{SCRIPT}\n{WHEEL}"))


def test_a_wheel_that_cannot_be_built_is_two_lines(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_base(project)
    (project / "src" / "my_app").rename(project / "src" / "other")
    lines = fails(builder_of(project, 'base-image = "oci:base"', more=SCRIPT), capsys)
    assert lines[0].startswith("the project's wheel could not be built: Unable to determine which files to ship")
    assert lines[1:] == ["`hatch build -t wheel` says more"]


def test_a_build_hook_that_is_not_installed_gets_advice(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_base(project)
    hook = "[tool.hatch.build.targets.wheel.hooks.nowhere]"
    lines = fails(builder_of(project, 'base-image = "oci:base"', more=f"{SCRIPT}\n{WHEEL}\n{hook}"), capsys)
    assert lines == [
        "the project's wheel could not be built: Unknown build hook: nowhere",
        "If one of its build hooks needs this, let Hatch install it: `hatch build -t wheel -t oci`",
    ]


HOOK = """
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        build_data["shared_data"] = {"hook.txt": "share/hook.txt"}
        with open("hook.txt", "a") as file:
            file.write(self.target_name + " ")
"""
OWN, EVERYWHERE = "[tool.hatch.build.targets.oci.hooks.custom]", "[tool.hatch.build.hooks.custom]"


@pytest.mark.parametrize(
    ("wheel", "hook", "ran"),
    [
        ("true", EVERYWHERE, "wheel "),
        ("true", OWN, "oci "),
        ("true", f"{EVERYWHERE}\n{OWN}", "oci wheel "),
        ("false", EVERYWHERE, "oci "),
        ("false", OWN, "oci "),
    ],
)
def test_the_projects_hooks_run_once(
    wheel: str, hook: str, ran: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_base(project)
    (project / "hatch_build.py").write_text(HOOK)
    builder = builder_of(project, f'base-image = "oci:base"\nwheel = {wheel}', more=f"{SCRIPT}\n{WHEEL}\n{hook}")
    monkeypatch.chdir(project)
    made = build(builder)
    assert (project / "hook.txt").read_text() == ran
    in_wheel = "app/.venv/share/hook.txt" in names(made, read(made)[0]["layers"][-1])
    assert in_wheel is ("wheel" in ran)


def test_of_two_hooks_only_the_targets_own_runs_beside_the_wheels_build(project: Path) -> None:
    (project / "hatch_build.py").write_text(HOOK)
    everywhere = '[tool.hatch.build.hooks.version]\npath = "version.py"'
    for wheel, hooks in (("true", {"custom"}), ("false", {"custom", "version"})):
        builder = builder_of(project, f"wheel = {wheel}", more=f"{everywhere}\n{OWN}\n")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(project)
            assert builder.get_build_hooks("dist").keys() == hooks


def test_a_traceback_comes_with_v_only(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = builder_of(project, 'base-image = "UPPER"\nwheel = false')
    assert fails(builder, capsys)[0].startswith(
        "Field `tool.hatch.build.targets.oci.base-image` is not an image reference: 'UPPER'"
    )
    monkeypatch.setenv("HATCH_VERBOSE", "2")
    with pytest.raises(SystemExit):
        build(builder_of(project, 'base-image = "UPPER"\nwheel = false'))
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_two_copies_of_one_path_are_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = (
        'base-image = "scratch"\nwheel = false\n'
        'copy = [{from = "static", to = "/srv"}, {from = "static", to = "/srv/"}]'
    )
    assert fails(builder_of(project, table), capsys)[-1] == (
        "files /srv and files /srv both want the path /srv/page.html"
    )


def test_an_output_that_cannot_be_written_is_one_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    builder = builder_of(project, 'base-image = "scratch"\nwheel = false\ntags = ["x"]')
    made = build(builder)
    record = made.with_name(f"{made.name}.json")
    record.unlink()
    record.mkdir()
    capsys.readouterr()
    assert fails(builder, capsys)[-1] == f"cannot write {record}: Is a directory"


def test_a_build_directory_that_cannot_be_made_is_one_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "dist").write_text("")
    builder = builder_of(project, 'base-image = "scratch"\nwheel = false')
    assert fails(builder, capsys) == [f"cannot use {project / 'dist'}: File exists"]


def test_what_adds_nothing_to_a_base_does_not_look_into_it(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = b"no tar at all"
    small = image([Layer(data, digest(data), "base")], SETTINGS, AMD64)
    write_tagged(project / "base", (small.manifest, None), images=(small,))
    table = 'base-image = "oci:base"\nwheel = false\nsbom = false\nlabels = {team = "blue"}'
    manifest, config = read(build(builder_of(project, table)))
    assert len(manifest["layers"]) == 1
    assert config["config"]["Labels"]["team"] == "blue"
    for more in ('copy = [{from = "static", to = "/srv"}]', 'entrypoint = ["/bin/app"]', 'cmd = ["/bin/app"]'):
        (message,) = fails(builder_of(project, f"{table}\n{more}"), capsys)
        assert "of the base cannot be unpacked" in message
