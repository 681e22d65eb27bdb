from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_oci.errors import DocumentError
from hatch_oci.image import media_types
from hatch_oci.image.config import AddedLayer, ConfigEdit, ImageConfig, edit_config, empty_config, read_config
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.platform import Platform
from tests.unit.documents import FIRST, JSON_VALUES, SECOND, damaged, encode, image_config, value_or_message

WHERE = "the config of a:1"
NOW = "2026-01-31T12:00:00Z"
STEP = {"created_by": "RUN make", "created": "2020-01-01T00:00:00Z"}
EMPTY_STEP = {"created_by": "ENV A=1", "empty_layer": True}
ADDED = AddedLayer(SECOND, "hatch-oci-image: wheel")
ADDED_STEP = {"created": NOW, "created_by": "hatch-oci-image: wheel"}
FULL = image_config(
    FIRST,
    config={
        "Env": ["PATH=/bin", "A=1"],
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": ["true"],
        "Labels": {"base": "label"},
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/data": {}},
        "User": "nobody",
        "WorkingDir": "/srv",
        "StopSignal": "SIGINT",
    },
    history=[STEP],
    created="2020-01-01T00:00:00Z",
)


def read(document: Any) -> ImageConfig:
    return read_config(encode(document), WHERE)


def base(inner: Any = None, **fields: Any) -> ImageConfig:
    return read(image_config(FIRST, config=inner, **fields))


def edited(config: ImageConfig, **changes: Any) -> dict[str, Any]:
    document = json.loads(edit_config(config, ConfigEdit(NOW, **changes)).raw)
    assert isinstance(document, dict)
    return document


def inner(config: ImageConfig, **changes: Any) -> dict[str, Any]:
    return dict(edited(config, **changes)["config"])


def test_a_configuration_is_read() -> None:
    config = read(FULL)
    assert config.platform == Platform("linux", "amd64")
    assert config.diff_ids == (FIRST,)
    assert config.env == {"PATH": "/bin", "A": "1"}
    assert (config.entrypoint, config.cmd) == (("/bin/sh", "-c"), ("true",))
    assert config.document == FULL


def test_a_configuration_describes_its_very_bytes() -> None:
    raw = encode(FULL)
    assert read_config(raw, WHERE).descriptor == Descriptor(media_types.OCI_CONFIG, Digest.of(raw), len(raw))


@pytest.mark.parametrize("config", [None, {}, {"Env": None, "Entrypoint": None, "Cmd": None}])
def test_settings_may_be_absent_or_null(config: Any) -> None:
    found = base(config)
    assert (found.env, found.entrypoint, found.cmd) == ({}, (), ())


def test_variables_are_split_at_the_first_equals_sign() -> None:
    assert base({"Env": ["A=b=c", "EMPTY=", "A=last"]}).env == {"A": "last", "EMPTY": ""}


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"os": None}, "os: is missing"),
        ({"architecture": 5}, "architecture: must be a string"),
        ({"rootfs": None}, "rootfs: is missing"),
        ({"rootfs": {"diff_ids": {}}}, "rootfs.diff_ids: must be an array"),
        ({"rootfs": {"diff_ids": ["sha256:1"]}}, "rootfs.diff_ids[0]: not a sha256 or sha512 digest: 'sha256:1'"),
        ({"config": []}, "config: must be an object"),
        ({"config": {"Env": "A=1"}}, "config.Env: must be an array"),
        ({"config": {"Env": ["A=1", None]}}, "config.Env[1]: must be a string"),
        ({"config": {"Entrypoint": "/bin/sh"}}, "config.Entrypoint: must be an array"),
        ({"config": {"Cmd": [1]}}, "config.Cmd[0]: must be a string"),
        ({"history": {}}, "history: must be an array"),
        ({"history": [STEP, "RUN make"]}, "history[1]: must be an object"),
    ],
)
def test_a_broken_field_is_named(fields: dict[str, Any], place: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read({**image_config(FIRST), **fields})
    assert str(caught.value) == f"{WHERE} → {place}"


@given(damaged(FULL) | JSON_VALUES)
def test_any_document_is_a_configuration_or_an_error(document: Any) -> None:
    found = value_or_message(lambda: read(document))
    if isinstance(found, str):
        assert found.startswith(WHERE)
    else:
        assert found.document == document


@given(st.binary())
def test_any_bytes_are_a_configuration_or_an_error(raw: bytes) -> None:
    with pytest.raises(DocumentError):
        read_config(raw, WHERE)


@pytest.mark.parametrize(
    ("layers", "history", "fits"),
    [
        (1, [STEP], True),
        (1, [EMPTY_STEP, STEP, EMPTY_STEP], True),
        (1, [{**STEP, "empty_layer": False}], True),
        (2, [STEP], False),
        (1, [STEP, STEP], False),
        (1, [EMPTY_STEP], False),
        (1, [], False),
        (1, None, False),
        (0, None, True),
        (0, [EMPTY_STEP], True),
        (0, [STEP], False),
    ],
)
def test_a_history_fits_when_it_has_a_step_for_each_layer(layers: int, history: Any, fits: bool) -> None:
    config = read(image_config(*[FIRST] * layers, history=history))
    assert config.history_fits is fits


def test_scratch_is_an_empty_image_of_a_platform() -> None:
    config = empty_config(Platform("linux", "arm", "v7"))
    assert config.raw == (
        b'{"architecture":"arm","config":{},"os":"linux","rootfs":{"diff_ids":[],"type":"layers"},"variant":"v7"}'
    )
    assert edited(config, layers=(ADDED,))["history"] == [ADDED_STEP]


def test_the_edited_bytes_are_canonical() -> None:
    raw = edit_config(base(history=[STEP]), ConfigEdit(NOW, (ADDED,), cmd=("ü",))).raw
    assert raw.decode() == (
        f'{{"architecture":"amd64","config":{{"Cmd":["ü"]}},"created":"{NOW}",'
        '"history":[{"created":"2020-01-01T00:00:00Z","created_by":"RUN make"},'
        f'{{"created":"{NOW}","created_by":"hatch-oci-image: wheel"}}],"os":"linux",'
        f'"rootfs":{{"diff_ids":["{FIRST}","{SECOND}"],"type":"layers"}}}}'
    )


def test_an_edit_that_changes_nothing_keeps_the_settings() -> None:
    assert edited(read(FULL)) == {**FULL, "created": NOW}


def test_the_base_itself_is_not_changed() -> None:
    config = read(FULL)
    edited(config, layers=(ADDED,), env={"B": "2"}, labels={"x": "y"}, ports=("1/tcp",), volumes=("/v",), cmd=())
    assert config.document == FULL


def test_unknown_fields_are_kept() -> None:
    known = {"Healthcheck": {"Test": ["NONE"], "Interval": 30_000_000_000}, "OnBuild": None, "ArgsEscaped": True}
    fields = {"os.version": "10.0", "variant": "v2", "moby.buildkit.cache.v0": "x", "author": "ü"}
    document = edited(base(known, **fields), user="me")
    assert document["config"] == {**known, "User": "me"}
    assert {key: document[key] for key in fields} == fields


def test_unknown_fields_of_the_root_file_system_are_kept() -> None:
    document = {**image_config(), "rootfs": {"type": "other", "diff_ids": [str(FIRST)], "future": 1}}
    rootfs = edited(read(document), layers=(ADDED,))["rootfs"]
    assert rootfs == {"type": "layers", "diff_ids": [str(FIRST), str(SECOND)], "future": 1}


def test_what_describes_a_container_is_dropped() -> None:
    config = base({"Image": "sha256:1", "User": "me"}, container="abc", container_config={"Cmd": ["x"]})
    document = edited(config)
    assert document.keys() == {"os", "architecture", "rootfs", "config", "created"}
    assert document["config"] == {"User": "me"}


def test_null_is_dropped_where_it_is_not_legal() -> None:
    keys = ("Entrypoint", "Cmd", "Labels", "Volumes", "Env", "ExposedPorts", "User", "WorkingDir")
    assert inner(base(dict.fromkeys(keys))) == dict.fromkeys(("Entrypoint", "Cmd", "Labels", "Volumes"))


def test_null_gives_way_to_what_is_set() -> None:
    keys = ("Entrypoint", "Cmd", "Labels", "Volumes", "Env", "ExposedPorts", "User", "WorkingDir", "StopSignal")
    changes = {
        "entrypoint": ("/app",),
        "cmd": ("run",),
        "labels": {"a": "b"},
        "volumes": ("/v",),
        "env": {"A": "1"},
        "ports": ("1/tcp",),
        "user": "me",
        "working_dir": "/w",
        "stop_signal": "SIGTERM",
    }
    expected = {
        "Entrypoint": ["/app"],
        "Cmd": ["run"],
        "Labels": {"a": "b"},
        "Volumes": {"/v": {}},
        "Env": ["A=1"],
        "ExposedPorts": {"1/tcp": {}},
        "User": "me",
        "WorkingDir": "/w",
        "StopSignal": "SIGTERM",
    }
    assert inner(base(dict.fromkeys(keys)), **changes) == expected
    assert inner(base(), **changes) == expected


@pytest.mark.parametrize(
    ("changes", "key", "value"),
    [
        ({"env": {"Z": "9", "A": "2", "B": "3"}}, "Env", ["PATH=/bin", "A=2", "B=3", "Z=9"]),
        ({"env": {"PATH": "/app:/bin"}}, "Env", ["PATH=/app:/bin", "A=1"]),
        ({"env": {"A": ""}}, "Env", ["PATH=/bin", "A="]),
        ({"labels": {"base": "new", "own": "ü"}}, "Labels", {"base": "new", "own": "ü"}),
        ({"labels": {"own": "x"}}, "Labels", {"base": "label", "own": "x"}),
        ({"ports": ("80/tcp", "53/udp")}, "ExposedPorts", {"80/tcp": {}, "53/udp": {}}),
        ({"volumes": ("/more",)}, "Volumes", {"/data": {}, "/more": {}}),
        ({"entrypoint": ("/app", "x")}, "Entrypoint", ["/app", "x"]),
        ({"cmd": ("run",)}, "Cmd", ["run"]),
        ({"user": "1000:1000"}, "User", "1000:1000"),
        ({"working_dir": "/w"}, "WorkingDir", "/w"),
        ({"stop_signal": "SIGTERM"}, "StopSignal", "SIGTERM"),
    ],
)
def test_one_change_leaves_the_rest(changes: dict[str, Any], key: str, value: object) -> None:
    assert inner(read(FULL), **changes) == {**FULL["config"], key: value}


@pytest.mark.parametrize(("change", "key"), [("entrypoint", "Entrypoint"), ("cmd", "Cmd")])
def test_an_empty_command_takes_the_bases_away(change: str, key: str) -> None:
    assert inner(read(FULL), **{change: ()}) == {name: value for name, value in FULL["config"].items() if name != key}
    assert inner(base({key: None}), **{change: ()}) == {}


def test_a_new_entrypoint_with_an_empty_cmd_stands_alone() -> None:
    config = edit_config(read(FULL), ConfigEdit(NOW, entrypoint=("/app",), cmd=()))
    assert (config.entrypoint, config.cmd) == (("/app",), ())
    assert "Cmd" not in config.document["config"]


@pytest.mark.parametrize("history", [[STEP], [EMPTY_STEP, STEP, EMPTY_STEP]])
def test_a_layer_adds_a_step_to_the_history(history: list[Any]) -> None:
    document = edited(base(history=history), layers=(ADDED, ADDED))
    assert document["history"] == [*history, ADDED_STEP, ADDED_STEP]


@pytest.mark.parametrize("history", [None, [], [STEP, STEP], [EMPTY_STEP]])
def test_a_history_that_is_absent_or_does_not_fit_is_left_out(history: Any) -> None:
    assert "history" not in edited(base(history=history), layers=(ADDED,))


def test_the_result_is_read_back() -> None:
    config = edit_config(read(FULL), ConfigEdit(NOW, (ADDED,), env={"B": "2"}))
    assert config.diff_ids == (FIRST, SECOND)
    assert config.env == {"PATH": "/bin", "A": "1", "B": "2"}
    assert config.history_fits
    assert read_config(config.raw, WHERE) == config
