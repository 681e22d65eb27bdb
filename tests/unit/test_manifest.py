from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_oci.errors import DocumentError
from hatch_oci.image import media_types as types
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.manifest import Index, Manifest, make_manifest, oci_layers, read_manifest
from hatch_oci.image.platform import Platform
from tests.unit.documents import (
    FIRST,
    JSON_VALUES,
    SECOND,
    SHA512,
    damaged,
    descriptor,
    encode,
    index,
    manifest,
    value_or_message,
)

WHERE = "the manifest of a:1"
DOCKER = manifest(
    descriptor(media_type="application/vnd.docker.image.rootfs.diff.tar.gzip"),
    mediaType=types.DOCKER_MANIFEST,
    config=descriptor(SECOND, types.DOCKER_CONFIG, 6),
)
ENTRY = descriptor(media_type=types.OCI_MANIFEST, platform={"os": "linux", "architecture": "amd64"})
SCHEMA_1 = {"schemaVersion": 1, "name": "a", "fsLayers": []}


def read(document: Any, **how: Any) -> Manifest | Index:
    return read_manifest(encode(document), WHERE, **how)


def refused(document: Any, **how: Any) -> str:
    with pytest.raises(DocumentError) as caught:
        read(document, **how)
    return str(caught.value)


def without_type(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "mediaType"}


def expecting(media_type: str) -> Descriptor:
    return Descriptor(media_type, SHA512, 1)


def test_a_manifest_is_read() -> None:
    raw = encode(manifest(descriptor(), descriptor(SECOND, types.OCI_LAYER, 6)))
    assert read_manifest(raw, WHERE) == Manifest(
        raw,
        Digest.of(raw),
        types.OCI_MANIFEST,
        Descriptor(types.OCI_CONFIG, SECOND, 6),
        (Descriptor(types.OCI_LAYER_GZIP, FIRST, 5), Descriptor(types.OCI_LAYER, SECOND, 6)),
    )


def test_an_index_is_read() -> None:
    raw = encode(index(ENTRY))
    entry = Descriptor(types.OCI_MANIFEST, FIRST, 5, Platform("linux", "amd64"))
    assert read_manifest(raw, WHERE) == Index(raw, Digest.of(raw), types.OCI_INDEX, (entry,))


def test_a_manifest_describes_its_very_bytes() -> None:
    found = read(DOCKER)
    assert isinstance(found, Manifest)
    assert found.descriptor == Descriptor(types.DOCKER_MANIFEST, Digest.of(found.raw), len(found.raw))


@pytest.mark.parametrize(
    ("document", "how", "media_type"),
    [
        pytest.param(manifest(), {}, types.OCI_MANIFEST, id="the body alone"),
        pytest.param(DOCKER, {"content_type": types.DOCKER_MANIFEST}, types.DOCKER_MANIFEST, id="both agree"),
        pytest.param(
            without_type(manifest()), {"content_type": types.OCI_MANIFEST}, types.OCI_MANIFEST, id="the header alone"
        ),
        pytest.param(
            index(), {"content_type": f"{types.OCI_INDEX.upper()} ; charset=utf-8"}, types.OCI_INDEX, id="parameters"
        ),
        pytest.param(index(), {"content_type": ""}, types.OCI_INDEX, id="no header"),
        pytest.param(index(), {"content_type": "text/plain; charset=utf-8"}, types.OCI_INDEX, id="text"),
        pytest.param(DOCKER, {"content_type": "application/json"}, types.DOCKER_MANIFEST, id="json"),
        pytest.param(manifest(), {"content_type": "application/octet-stream"}, types.OCI_MANIFEST, id="octets"),
        pytest.param(without_type(manifest()), {}, types.OCI_MANIFEST, id="a cached manifest without a type"),
        pytest.param(without_type(index()), {}, types.OCI_INDEX, id="a cached index without a type"),
        pytest.param(
            without_type(manifest()), {"expected": expecting(types.OCI_MANIFEST)}, types.OCI_MANIFEST, id="expected"
        ),
        pytest.param(
            manifest(),
            {"expected": expecting(types.OCI_MANIFEST), "content_type": "text/html"},
            types.OCI_MANIFEST,
            id="what is expected beats the header",
        ),
    ],
)
def test_the_type_is_found(document: Any, how: dict[str, Any], media_type: str) -> None:
    assert read(document, **how).media_type == media_type


def test_the_expected_digest_is_kept() -> None:
    assert read(manifest(), expected=expecting(types.OCI_MANIFEST)).digest == SHA512


@pytest.mark.parametrize(
    ("document", "how", "message"),
    [
        pytest.param(
            manifest(),
            {"content_type": types.OCI_INDEX},
            f"is served as {types.OCI_INDEX}, but calls itself {types.OCI_MANIFEST}",
            id="header and body differ",
        ),
        pytest.param(
            manifest(),
            {"content_type": "text/html"},
            f"is served as text/html, but calls itself {types.OCI_MANIFEST}",
            id="html",
        ),
        pytest.param(
            without_type(manifest()),
            {"content_type": "application/json"},
            "not an image manifest or index, but of an unknown type",
            id="a vague header and no type in the body",
        ),
        pytest.param(
            without_type(manifest()),
            {"content_type": "text/html"},
            "not an image manifest or index, but text/html",
            id="page",
        ),
        pytest.param(
            manifest(mediaType="application/vnd.example+json"),
            {},
            "not an image manifest or index, but application/vnd.example+json",
            id="unknown type",
        ),
        pytest.param(
            manifest(),
            {"expected": expecting("application/vnd.example+json")},
            "not an image manifest or index, but application/vnd.example+json",
            id="unknown type expected",
        ),
        pytest.param(manifest(mediaType=5), {}, "must be a string", id="type of a wrong type"),
    ],
)
def test_a_type_that_is_wrong_or_in_doubt_is_refused(document: Any, how: dict[str, Any], message: str) -> None:
    where = f"{WHERE} → mediaType" if message == "must be a string" else WHERE
    assert refused(document, **how) == f"{where}: {message}"


@pytest.mark.parametrize(
    ("document", "how"),
    [
        (SCHEMA_1, {}),
        (SCHEMA_1, {"content_type": types.DOCKER_SCHEMA1}),
        (SCHEMA_1, {"content_type": f"{types.DOCKER_SCHEMA1_SIGNED}; charset=utf-8"}),
        (SCHEMA_1, {"content_type": "application/json"}),
        (manifest(), {"expected": expecting(types.DOCKER_SCHEMA1_SIGNED)}),
    ],
)
def test_schema_1_is_refused_with_advice(document: Any, how: dict[str, Any]) -> None:
    advice = "is in Docker's schema 1 form, which nothing runs any more; push the image again with a newer tool"
    assert refused(document, **how) == f"{WHERE}: {advice}"


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (manifest(manifests=[]), f": is called {types.OCI_MANIFEST}, but has manifests"),
        (index(layers=[]), f": is called {types.OCI_INDEX}, but has config or layers"),
        (index(config={}), f": is called {types.OCI_INDEX}, but has config or layers"),
        (manifest(schemaVersion=3), " → schemaVersion: must be 2"),
        (manifest(schemaVersion="2"), " → schemaVersion: must be 2"),
        (manifest(schemaVersion=None), " → schemaVersion: is missing"),
        (manifest(config=None), " → config: is missing"),
        (manifest(layers=None), " → layers: is missing"),
        (manifest(layers={}), " → layers: must be an array"),
        (manifest(descriptor(), descriptor(size=-1)), " → layers[1].size: must be an integer that is not negative"),
        (manifest(descriptor(), None), " → layers[1]: must be an object"),
        (index(ENTRY, {**ENTRY, "digest": "x"}), " → manifests[1].digest: not a sha256 or sha512 digest: 'x'"),
        (index(manifests=None), " → manifests: is missing"),
        (
            manifest(config=descriptor(media_type="application/vnd.cncf.helm.config.v1+json")),
            " → config: not a container image: the config is a application/vnd.cncf.helm.config.v1+json",
        ),
        ([], ": must be an object"),
        (None, ": must be an object"),
    ],
)
def test_a_broken_document_is_refused(document: Any, problem: str) -> None:
    assert refused(document) == f"{WHERE}{problem}"


@pytest.mark.parametrize(
    ("make", "most", "place"), [(index, 256, "manifests"), (manifest, 512, "layers")], ids=["index", "manifest"]
)
def test_entries_are_bounded(make: Any, most: int, place: str) -> None:
    read(make(*[ENTRY] * most))
    message = f"{WHERE} → {place}: has {most + 1} entries, more than the {most} that are read"
    assert refused(make(*[ENTRY] * (most + 1))) == message


@pytest.mark.parametrize("media_type", [types.OCI_CONFIG, types.DOCKER_CONFIG, "application/octet-stream"])
def test_a_config_is_known_by_each_of_its_types(media_type: str) -> None:
    found = read(manifest(config=descriptor(media_type=media_type)))
    assert isinstance(found, Manifest)
    assert found.config.media_type == media_type


def test_unknown_fields_are_ignored() -> None:
    read(manifest(descriptor(), artifactType="x", subject=descriptor(), annotations={"a": 1}, future=[]))


@given(
    damaged(manifest(descriptor())) | damaged(index(ENTRY)) | damaged(DOCKER) | JSON_VALUES,
    st.none() | st.sampled_from([types.OCI_INDEX, types.OCI_MANIFEST, types.DOCKER_LIST, "", "text/html"]) | st.text(),
    st.none() | st.sampled_from([types.OCI_MANIFEST, types.OCI_INDEX, types.DOCKER_SCHEMA1]).map(expecting),
)
def test_any_document_is_a_manifest_or_an_error(
    document: Any, content_type: str | None, expected: Descriptor | None
) -> None:
    found = value_or_message(lambda: read(document, content_type=content_type, expected=expected))
    if isinstance(found, str):
        assert found.startswith(WHERE)
    else:
        assert found.media_type in types.INDEXES | types.MANIFESTS


@given(st.binary())
def test_any_bytes_are_a_manifest_or_an_error(raw: bytes) -> None:
    with pytest.raises(DocumentError):
        read_manifest(raw, WHERE)


@pytest.mark.parametrize(
    ("docker", "oci"),
    [
        ("application/vnd.docker.image.rootfs.diff.tar", types.OCI_LAYER),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", types.OCI_LAYER_GZIP),
        ("application/vnd.docker.image.rootfs.diff.tar.zstd", types.OCI_LAYER_ZSTD),
        (
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        ),
        *((kind, kind) for kind in (types.OCI_LAYER, types.OCI_LAYER_GZIP, types.OCI_LAYER_ZSTD)),
    ],
)
def test_layers_get_their_oci_types_and_stay_what_they_are(docker: str, oci: str) -> None:
    found = read(manifest(descriptor(media_type=docker, urls=["https://example.com/x"], annotations={"a": "b"})))
    assert isinstance(found, Manifest)
    assert oci_layers(found, WHERE) == (Descriptor(oci, FIRST, 5, None, ("https://example.com/x",), {"a": "b"}),)


def test_one_layer_of_another_kind_refuses_them_all() -> None:
    found = read(manifest(descriptor(), descriptor(media_type="application/vnd.wasm.content.layer.v1+wasm")))
    assert isinstance(found, Manifest)
    with pytest.raises(DocumentError) as caught:
        oci_layers(found, WHERE)
    problem = "'application/vnd.wasm.content.layer.v1+wasm' is not a layer of a container image"
    assert str(caught.value) == f"{WHERE} → layers[1].mediaType: {problem}"


@pytest.mark.parametrize(
    ("annotations", "tail"), [({}, ""), ({"b": "ü", "a": "1"}, '"annotations":{"a":"1","b":"ü"},')], ids=["none", "two"]
)
def test_a_manifest_is_written(annotations: dict[str, str], tail: str) -> None:
    config, layer = Descriptor(types.OCI_CONFIG, SECOND, 6), Descriptor(types.OCI_LAYER_GZIP, FIRST, 5)
    made = make_manifest(config, [layer], annotations)
    assert made.raw.decode() == (
        f'{{{tail}"config":{{"digest":"{SECOND}","mediaType":"{types.OCI_CONFIG}","size":6}},'
        f'"layers":[{{"digest":"{FIRST}","mediaType":"{types.OCI_LAYER_GZIP}","size":5}}],'
        f'"mediaType":"{types.OCI_MANIFEST}","schemaVersion":2}}'
    )
    assert read_manifest(made.raw, WHERE) == made
