from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from hatch_oci.errors import DocumentError
from hatch_oci.image import media_types
from hatch_oci.image.descriptor import Descriptor, read_digest
from hatch_oci.image.document import Node, encode_json, parse_json
from hatch_oci.image.platform import Platform
from tests.unit.documents import FIRST, SHA512, damaged, descriptor, value_or_message

FULL = descriptor(
    platform={"os": "linux", "architecture": "arm", "variant": "v7"},
    urls=["https://example.com/layer"],
    annotations={"key": "value", "empty": ""},
)


def read(document: Any) -> Descriptor:
    return Descriptor.read(Node(document, "index → manifests[3]"))


def test_all_fields_are_read() -> None:
    assert read(FULL) == Descriptor(
        media_types.OCI_LAYER_GZIP,
        FIRST,
        5,
        Platform("linux", "arm", "v7"),
        ("https://example.com/layer",),
        {"key": "value", "empty": ""},
    )


@pytest.mark.parametrize("absent", [{}, {"platform": None, "urls": None, "annotations": None}])
def test_what_is_optional_may_be_absent_or_null(absent: dict[str, Any]) -> None:
    assert read(descriptor(size=0, **absent)) == Descriptor(media_types.OCI_LAYER_GZIP, FIRST, 0)


def test_unknown_fields_are_ignored() -> None:
    assert read(descriptor(data="aGk=", artifactType="x", LayerSources={"a": []}, future=1)) == read(descriptor())


def test_a_sha512_digest_is_read() -> None:
    assert read(descriptor(SHA512)).digest == SHA512


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mediaType": None}, ".mediaType: is missing"),
        ({"mediaType": 1}, ".mediaType: must be a string"),
        ({"digest": None}, ".digest: is missing"),
        ({"digest": 1}, ".digest: must be a string"),
        ({"digest": "sha256:../../x"}, ".digest: not a sha256 or sha512 digest: 'sha256:../../x'"),
        ({"digest": f"{FIRST}\n"}, f".digest: not a sha256 or sha512 digest: '{FIRST}\\n'"),
        ({"size": None}, ".size: is missing"),
        ({"size": -1}, ".size: must be an integer that is not negative"),
        ({"size": 5.0}, ".size: must be an integer that is not negative"),
        ({"size": True}, ".size: must be an integer that is not negative"),
        ({"size": "5"}, ".size: must be an integer that is not negative"),
        ({"platform": {}}, ".platform.os: is missing"),
        ({"platform": "linux/amd64"}, ".platform: must be an object"),
        ({"urls": "https://example.com"}, ".urls: must be an array"),
        ({"urls": ["https://example.com", 1]}, ".urls[1]: must be a string"),
        ({"annotations": ["a"]}, ".annotations: must be an object"),
        ({"annotations": {"a": None}}, ".annotations.a: must be a string"),
    ],
)
def test_a_broken_field_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read({**descriptor(), **fields})
    assert str(caught.value) == f"index → manifests[3]{message}"


@pytest.mark.parametrize("document", [None, [], "sha256", 5])
def test_what_is_no_object_is_refused(document: Any) -> None:
    with pytest.raises(DocumentError) as caught:
        read(document)
    assert str(caught.value) == "index → manifests[3]: must be an object"


@pytest.mark.parametrize("document", [FULL, descriptor(), descriptor(SHA512, size=2**40)])
def test_a_descriptor_is_written_as_it_was_read(document: dict[str, Any]) -> None:
    assert read(document).to_json() == document


def test_empty_fields_are_not_written() -> None:
    assert read(descriptor(urls=[], annotations={})).to_json() == descriptor()


@given(damaged(FULL))
def test_any_document_is_a_descriptor_or_an_error(document: Any) -> None:
    found = value_or_message(lambda: read(document))
    if isinstance(found, str):
        assert found.startswith("index → manifests[3]")
    else:
        assert read(parse_json(encode_json(found.to_json()), "it").value) == found


def test_a_digest_is_read_with_its_place() -> None:
    assert read_digest(Node(str(FIRST), "here")) == FIRST
    with pytest.raises(DocumentError) as caught:
        read_digest(Node("x", "here"))
    assert str(caught.value) == "here: not a sha256 or sha512 digest: 'x'"
