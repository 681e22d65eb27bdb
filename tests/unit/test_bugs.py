"""A test for each bug that was found, so that it stays away."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hatch_oci.config import registry_options, uses_hatchling
from hatch_oci.errors import ConfigError, ContentError, DocumentError, InvalidReference, WheelError
from hatch_oci.image.config import ConfigEdit, edit_config, read_config
from hatch_oci.image.document import Node, parse_json
from hatch_oci.image.manifest import read_manifest
from hatch_oci.image.platform import Platform
from hatch_oci.image.reference import Reference
from hatch_oci.layers.wheel import open_wheel
from hatch_oci.output.swap import put_in_place
from hatch_oci.report import format_size
from tests.unit.documents import FIRST, encode, image_config, index
from tests.unit.projects import builder_of, read_table
from tests.unit.test_layout import REPOSITORY, TAGS, manifest_of, write_image

EDIT = ConfigEdit("2026-01-31T12:00:00Z", labels={"a": "b"}, ports=("1/tcp",), volumes=("/v",))


@pytest.mark.parametrize("key", ["Labels", "Volumes", "ExposedPorts"])
@pytest.mark.parametrize("value", [["a"], "a", 5])
def test_a_table_of_another_kind_is_refused(key: str, value: Any) -> None:
    with pytest.raises(DocumentError, match=f"it → config.{key}: must be an object"):
        read_config(encode(image_config(FIRST, config={key: value})), "it")


@pytest.mark.parametrize("depth", [600, 900])
def test_what_is_read_can_be_edited_however_deep(depth: int) -> None:
    raw = encode(image_config(FIRST))[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"
    try:
        base = read_config(raw, "it")
    except DocumentError:
        return
    edit_config(base, EDIT)


@pytest.mark.parametrize("raw", [rb'"\ud800"', rb'{"\udfff": 1}', rb'["\ude00\ud83d"]'])
def test_half_a_character_is_refused(raw: bytes) -> None:
    with pytest.raises(DocumentError, match="it: not valid JSON"):
        parse_json(raw, "it")


@pytest.mark.parametrize("raw", [b"1e999", b"[-1e999]"])
def test_a_number_that_becomes_infinite_is_refused(raw: bytes) -> None:
    with pytest.raises(DocumentError, match="it: not valid JSON"):
        parse_json(raw, "it")


SMALL = """
import resource, sys
from pathlib import Path
from hatch_oci.store.blobs import BlobStore
store = BlobStore(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    store.add(b"x" * 2000)
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_full_disk_that_shows_at_flush_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SMALL, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"OutputError cannot write to the cache {tmp_path / 'v1'}: File too large; make room")


@pytest.mark.parametrize("epoch", ["abc", "", "99999999999999", "-99999999999"])
def test_a_source_date_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: str) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(ConfigError, match="SOURCE_DATE_EPOCH"):
        _ = builder_of(tmp_path).config.settings


def test_an_environment_variable_that_is_not_utf8_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HATCH_OCI_TEST", "\udcff")
    with pytest.raises(ConfigError, match=r"Field `t.labels.a` "):
        read_table({"labels": {"a": "{env:HATCH_OCI_TEST}"}})


def test_a_port_is_formatted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HATCH_OCI_TEST", "8080/udp")
    assert read_table({"ports": ["{env:HATCH_OCI_TEST}"]}).ports == ("8080/udp",)


@pytest.mark.parametrize("text", ["2026-01-31t12:00:00z", "2026-01-31T12:00:00z"])
def test_rfc_3339_in_lower_case_is_a_time(text: str) -> None:
    assert read_table({"created": text}).created == "2026-01-31T12:00:00Z"


def test_each_wrong_volume_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        read_table({"volumes": ["a", "b"]})
    assert len(caught.value.mistakes) == 2


def test_a_shebang_is_measured_in_bytes() -> None:
    with pytest.raises(ConfigError, match="must be short"):
        read_table({"prefix": "/" + "é" * 100})


def test_an_exchange_that_fails_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(FileNotFoundError):
        put_in_place(tmp_path / "absent", tmp_path / "old")
    assert list(tmp_path.iterdir()) == [tmp_path / "old"]


def test_a_symlink_that_leads_nowhere_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "absent")
    write_image(tmp_path / "out", manifest_of(), {}, REPOSITORY, TAGS)
    assert (tmp_path / "out" / "index.json").is_file()


@pytest.mark.parametrize(
    "read",
    [
        lambda: read_manifest(encode(index(mediaType="\x1b[31mred\n")), "it"),
        lambda: read_manifest(encode(index()), "it", content_type="\x1b[31mred"),
        lambda: Node({"\x1b[31mred\n": 1}, "it").text_table(),
    ],
)
def test_no_control_character_of_a_document_reaches_the_terminal(read: Any) -> None:
    with pytest.raises(DocumentError) as caught:
        read()
    assert str(caught.value).isprintable()


def test_no_error_steers_a_terminal() -> None:
    error = ContentError("a layer has \x1b[31m\x9b2J\u202ered\r\n\udcff é 漢 😀\tin it")
    assert str(error) == "a layer has ?[31m?2J?red?\n? é 漢 😀?in it"
    assert str(ContentError(f"app: {error}")) == f"app: {error}"
    assert str(Platform("linux\n\x1b", "amd64")) == "linux??/amd64"


@pytest.mark.parametrize("text", ["a@", "a@md5:1", "a@latest"])
def test_a_reference_with_a_wrong_digest_is_an_invalid_reference(text: str) -> None:
    with pytest.raises(InvalidReference, match=f"not an image reference: {text!r}"):
        Reference.parse(text)


def test_a_name_of_many_slashes_is_refused_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(InvalidReference):
        Reference.parse("//" * 20_000 + "@" * 20_000)
    assert time.monotonic() - began < 5


def test_a_message_is_plain_and_not_endless_whatever_it_repeats() -> None:
    text = "a\x1b[2J\r\udcff\u202e\nb" + "c" * 10_000
    assert str(ContentError(text)) == "a?[2J???\nb" + "c" * 1999


def test_a_project_that_is_nested_without_end_is_told(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("x = " + "[" * 10_000)
    assert not uses_hatchling(tmp_path)
    with pytest.raises(ConfigError, match=r"^pyproject\.toml: "):
        registry_options(tmp_path)


@pytest.mark.parametrize("version", [2.0, True])
def test_a_schema_version_is_an_integer(version: object) -> None:
    with pytest.raises(DocumentError, match="schemaVersion: must be 2"):
        read_manifest(encode(index(schemaVersion=version)), "it")


def test_a_size_is_never_a_thousand_of_a_smaller_unit() -> None:
    assert format_size(999_999) == "1.0 MB"


def test_a_variable_without_a_value_stays_so() -> None:
    base = read_config(encode(image_config(FIRST, config={"Env": ["A", "B=1"]})), "it")
    edited = edit_config(base, ConfigEdit("2026-01-31T12:00:00Z", env={"C": "2"}))
    assert edited.document["config"]["Env"] == ["A", "B=1", "C=2"]


def test_a_wheel_whose_name_has_several_lines_is_told_of_in_one(tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    path.touch()
    with pytest.raises(WheelError) as caught, open_wheel(path, "demo-1.0-py3-none-\n.whl"):
        pass
    assert str(caught.value) == "demo-1.0-py3-none-?.whl: no wheel has such a name"
