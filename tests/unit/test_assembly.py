from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hatch_oci.assembly import assemble
from hatch_oci.base.resolve import Base
from hatch_oci.errors import BaseError, WheelError
from hatch_oci.image.config import ImageConfig, empty_config, read_config
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.platform import Platform
from hatch_oci.installation import Installation
from hatch_oci.layers.layer import Layer
from hatch_oci.layers.wheel import open_wheel
from tests.unit.projects import read_table
from tests.unit.wheels import FILENAME, INFO, METADATA, VENV, write_wheel

AMD64 = Platform("linux", "amd64")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BASE_LAYER = Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", Digest.of(b"packed base"), 11)
CONFIG = {
    "os": "linux",
    "architecture": "amd64",
    "created": "2024-01-01T00:00:00Z",
    "config": {
        "Entrypoint": ["/entry"],
        "Cmd": ["python3"],
        "Env": ["PATH=/opt/bin:/bin", "LANG=C.UTF-8"],
        "Labels": {"vendor": "base", "com.example": "base"},
        "User": "nobody",
    },
    "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(b"base"))]},
    "history": [{"created_by": "base"}],
}
LAYERS = [
    Layer(Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", Digest.of(text.encode()), 5), Digest.of(b"x"), text)
    for text in ("venv /app/.venv", "wheel demo 1.0")
]


def base_of(config: Mapping[str, Any] = CONFIG, image_name: str | None = None, digest: Digest | None = None) -> Base:
    raw = json.dumps(config).encode()
    return Base("the base", image_name, digest, digest, read_config(raw, "test"), (BASE_LAYER,), lambda _: iter(()))


SCRATCH = Base("scratch", None, None, None, empty_config(AMD64), (), lambda _: iter(()))


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Installation]:
    with open_wheel(write_wheel(tmp_path, entry_points="[console_scripts]\nrun = demo:main\n")) as wheel:
        yield Installation(VENV, app=wheel)


def config_of(base: Base, table: Mapping[str, Any], app: Installation | None = None) -> dict[str, Any]:
    config, _, _ = assemble(base, LAYERS, read_table(table), {}, app)
    inner: dict[str, Any] = json.loads(config.raw)["config"]
    return inner


def test_more_layers_than_engines_take_are_refused() -> None:
    many = [LAYERS[0]] * 126
    assert len(assemble(base_of(), many, read_table({}), {}, None)[1].layers) == 127
    with pytest.raises(BaseError) as error:
        assemble(base_of(), [*many, LAYERS[1]], read_table({}), {}, None)
    assert str(error.value) == (
        "the base has 1 layer and the build adds 127, but engines take 127 at most: "
        'join tables of `copy`, or set layers = "one" for the dependencies'
    )


def test_layers_of_the_base_come_first(app: Installation) -> None:
    config, manifest, _ = assemble(base_of(), LAYERS, read_table({}), {}, app)
    assert manifest.layers == (BASE_LAYER, *(layer.descriptor for layer in LAYERS))
    assert config.diff_ids == (Digest.of(b"base"), *(layer.diff_id for layer in LAYERS))
    assert manifest.config == config.descriptor
    created = "2020-02-02T00:00:00Z"
    assert json.loads(config.raw)["created"] == created
    assert json.loads(config.raw)["history"] == [
        {"created_by": "base"},
        {"created": created, "created_by": "hatch-oci-image: venv /app/.venv"},
        {"created": created, "created_by": "hatch-oci-image: wheel demo 1.0"},
    ]


@pytest.mark.parametrize(
    ("table", "entrypoint", "cmd"),
    [
        ({}, ["/app/.venv/bin/run"], None),
        ({"cmd": ["--port", "80"]}, ["/app/.venv/bin/run"], ["--port", "80"]),
        ({"cmd": "inherit"}, ["/app/.venv/bin/run"], ["python3"]),
        ({"cmd": []}, ["/app/.venv/bin/run"], None),
        ({"entrypoint": "inherit"}, ["/entry"], ["python3"]),
        ({"entrypoint": "inherit", "cmd": ["-V"]}, ["/entry"], ["-V"]),
        ({"entrypoint": "inherit", "cmd": []}, ["/entry"], None),
        ({"entrypoint": ["a", "b"]}, ["a", "b"], None),
        ({"entrypoint": "sh -c 'a b'", "cmd": "c d"}, ["sh", "-c", "a b"], ["c", "d"]),
        ({"entrypoint": []}, None, None),
    ],
)
def test_an_entrypoint_takes_the_bases_cmd_away(
    table: dict[str, Any], entrypoint: list[str] | None, cmd: list[str] | None, app: Installation
) -> None:
    config = config_of(base_of(), table, app)
    assert (config.get("Entrypoint"), config.get("Cmd")) == (entrypoint, cmd)


@pytest.mark.parametrize(
    ("table", "entrypoint", "cmd"),
    [
        ({}, ["/entry"], ["python3"]),
        ({"cmd": ["x"]}, ["/entry"], ["x"]),
        ({"entrypoint": ["x"]}, ["x"], None),
    ],
)
def test_without_a_wheel_the_bases_hold(
    table: dict[str, Any], entrypoint: list[str] | None, cmd: list[str] | None
) -> None:
    config = config_of(base_of(), table)
    assert (config.get("Entrypoint"), config.get("Cmd")) == (entrypoint, cmd)
    assert config["Env"] == ["PATH=/opt/bin:/bin", "LANG=C.UTF-8"]


def started(folder: Path, scripts: list[str], modules: list[str], name: str = "demo") -> tuple[str, ...]:
    """Return the entrypoint of a wheel with these scripts and these modules."""
    wheel_path = write_wheel(
        folder,
        dict.fromkeys(modules, b""),
        entry_points="\n".join(["[console_scripts]", *(f"{script} = demo:main" for script in scripts)]),
        metadata=METADATA.replace("demo", name),
        filename=f"{name.replace('-', '_').replace('.', '_')}-1.0-py3-none-any.whl",
        info=INFO.replace("demo", name.replace("-", "_")),
    )
    with open_wheel(wheel_path) as wheel:
        config, _, _ = assemble(SCRATCH, [], read_table({}), {}, Installation(VENV, app=wheel))
    return config.entrypoint


MAIN = ("/app/.venv/bin/python", "-m")


@pytest.mark.parametrize(
    ("scripts", "modules", "expected"),
    [
        (["anything"], ["demo/__main__.py"], ("/app/.venv/bin/anything",)),
        (["other", "demo"], [], ("/app/.venv/bin/demo",)),
        (["other", "Demo"], [], ("/app/.venv/bin/Demo",)),
        ([], ["demo/__main__.py"], (*MAIN, "demo")),
        ([], ["other/__main__.py", "other/x.py"], (*MAIN, "other")),
        ([], ["other/__main__.py", "demo/__main__.py"], (*MAIN, "demo")),
        (["a", "b"], ["demo/__main__.py"], (*MAIN, "demo")),
        ([], ["demo-1.0.data/purelib/demo/__main__.py"], (*MAIN, "demo")),
        ([], ["demo/__main__.py", "demo/sub/__main__.py"], (*MAIN, "demo")),
        ([], ["space/tool/__main__.py"], (*MAIN, "space.tool")),
        ([], ["other/__main__.py", "other/sub/__main__.py", "space/tool/__main__.py"], (*MAIN, "other")),
        ([], ["demo/__init__.py", "demo/server/__main__.py"], (*MAIN, "demo.server")),
    ],
)
def test_the_image_starts_what_the_wheel_can_start(
    scripts: list[str], modules: list[str], expected: tuple[str, ...], tmp_path: Path
) -> None:
    assert started(tmp_path, scripts, modules) == expected


@pytest.mark.parametrize(
    ("name", "scripts", "modules", "expected"),
    [
        ("My.App", ["my-app", "x"], [], ("/app/.venv/bin/my-app",)),
        ("my-app", ["My_App", "x"], [], ("/app/.venv/bin/My_App",)),
        ("my-app", [], ["my_app/__main__.py", "x/__main__.py"], (*MAIN, "my_app")),
        ("my-app", [], ["my/app/__main__.py", "my/__main__.py"], (*MAIN, "my.app")),
    ],
)
def test_names_are_compared_as_package_indexes_do(
    name: str, scripts: list[str], modules: list[str], expected: tuple[str, ...], tmp_path: Path
) -> None:
    assert started(tmp_path, scripts, modules, name) == expected


@pytest.mark.parametrize(
    ("scripts", "modules", "found"),
    [
        ([], ["demo/__init__.py"], "no script and no package with a __main__.py"),
        ([], ["__main__.py", "demo.py"], "no script and no package with a __main__.py"),
        (["b", "a"], [], "the scripts a, b"),
        ([], ["a/__main__.py", "b/__main__.py"], "a, b"),
    ],
)
def test_what_cannot_be_started_is_told(scripts: list[str], modules: list[str], found: str, tmp_path: Path) -> None:
    with pytest.raises(WheelError) as error:
        started(tmp_path, scripts, modules)
    message = str(error.value)
    assert message.startswith(f"{FILENAME} has ")
    assert found in message
    assert message.endswith(", so it is open how the image starts: set `entrypoint`")
    assert ("no package" in message) is ("no package" in found)


def test_an_entrypoint_or_the_bases_needs_nothing_to_start(tmp_path: Path) -> None:
    with open_wheel(write_wheel(tmp_path)) as wheel:
        for entrypoint in (["/bin/true"], "inherit"):
            assert config_of(base_of(), {"entrypoint": entrypoint}, Installation(VENV, app=wheel))["Entrypoint"]


def test_the_venv_comes_first_on_path(app: Installation) -> None:
    assert config_of(base_of(), {}, app)["Env"] == [
        "PATH=/app/.venv/bin:/opt/bin:/bin",
        "LANG=C.UTF-8",
        "VIRTUAL_ENV=/app/.venv",
    ]
    assert config_of(SCRATCH, {}, app)["Env"] == [f"PATH=/app/.venv/bin:{DEFAULT_PATH}", "VIRTUAL_ENV=/app/.venv"]
    empty = base_of({**CONFIG, "config": {"Env": ["PATH="]}})
    assert config_of(empty, {}, app)["Env"][0] == f"PATH=/app/.venv/bin:{DEFAULT_PATH}"


def test_settings_win_over_what_is_made_up(app: Installation) -> None:
    inner = config_of(base_of(), {"env": {"PATH": "/only", "A": "1"}, "user": "1000", "ports": [8080]}, app)
    assert inner["Env"] == ["PATH=/only", "LANG=C.UTF-8", "A=1", "VIRTUAL_ENV=/app/.venv"]
    assert (inner["User"], inner["ExposedPorts"]) == ("1000", {"8080/tcp": {}})


PREFIX = "org.opencontainers.image"


def annotations_of(base: Base, table: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str], ImageConfig]:
    config, manifest, _ = assemble(base, [], read_table(table), {f"{PREFIX}.title": "my-app"}, None)
    return json.loads(manifest.raw)["annotations"], json.loads(config.raw)["config"]["Labels"], config


def test_labels_and_annotations_tell_where_it_comes_from() -> None:
    digest = Digest.of(b"manifest")
    expected = {
        f"{PREFIX}.title": "my-app",
        f"{PREFIX}.created": "2020-02-02T00:00:00Z",
        f"{PREFIX}.base.name": "docker.io/library/python:3.13-slim",
        f"{PREFIX}.base.digest": str(digest),
    }
    base = base_of(image_name="docker.io/library/python:3.13-slim", digest=digest)
    annotations, labels, _ = annotations_of(base, {})
    assert annotations == expected
    assert labels == {"vendor": "base", "com.example": "base"} | expected


def test_a_base_of_this_machine_and_scratch_have_no_name() -> None:
    for base in (base_of(), SCRATCH):
        assert not [key for key in annotations_of(base, {})[0] if ".base." in key]


def test_labels_and_annotations_can_be_set_apart() -> None:
    table = {
        "labels": {"com.example": "label", f"{PREFIX}.title": "label"},
        "annotations": {f"{PREFIX}.title": "annotation", "a": "b"},
        "created": "2026-01-31T12:00:00Z",
    }
    annotations, labels, config = annotations_of(base_of(), table)
    assert annotations == {f"{PREFIX}.title": "annotation", f"{PREFIX}.created": "2026-01-31T12:00:00Z", "a": "b"}
    assert (labels["com.example"], labels["vendor"], labels[f"{PREFIX}.title"]) == ("label", "base", "label")
    assert json.loads(config.raw)["created"] == "2026-01-31T12:00:00Z"
