"""Manifests, indexes and configs that break the rules, as a registry may serve them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from demo.base import digest, encode
from hatch_oci.image import media_types
from hatch_oci.image.media_types import OCI_INDEX, OCI_MANIFEST
from tests.faults.hostile import (
    IMAGE,
    MIB,
    REPOSITORY,
    Document,
    Flood,
    Victim,
    entry_of,
    image_with,
    index_of,
    manifest_url,
    manifest_with,
    publish,
    publish_index,
)
from tests.unit.layouts import config_of, layers_of
from tests.unit.uploads import Uploads

Note = Callable[[str, object], None]

CONFIG, LAYER = config_of(IMAGE), layers_of(IMAGE)[0]
CHILD = digest(IMAGE.manifest)
OTHER = digest(b"another")


def test_an_honest_registry(registry: Uploads, victim: Victim) -> None:
    """What the other tests change a little."""
    victim.accept(f"{registry.address}/app:1")
    assert victim.kept() == {CHILD, *IMAGE.blobs}


@pytest.mark.parametrize("what", ["manifest", "index child", "config", "layer"])
def test_a_digest_that_differs(what: str, registry: Uploads, victim: Victim) -> None:
    altered = IMAGE.manifest.replace(b'"schemaVersion":2', b'"schemaVersion": 2')
    reference = f"{registry.address}/app:1"
    if what == "manifest":
        registry.answers["GET", manifest_url(CHILD)] = lambda request: request.reply(
            200, altered, {"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": CHILD}
        )
        victim.refuse(f"{registry.address}/app@{CHILD}", CHILD, "something else")
    elif what == "index child":
        publish_index(registry, [entry_of(IMAGE.manifest)])
        registry.answers["GET", manifest_url(CHILD)] = lambda request: request.reply(200, altered)
        index = index_of([entry_of(IMAGE.manifest)])
        victim.refuse(reference, CHILD, "something else", kept={digest(index)})
    else:
        name = CONFIG if what == "config" else LAYER
        blob = IMAGE.blobs[name]
        registry.repositories[REPOSITORY].blobs[name] = blob[:-1] + bytes([blob[-1] ^ 1])
        found = victim.inspect(reference)
        found.check_refusal(name, "what came has the digest")
        assert name not in victim.kept()


@pytest.mark.parametrize("what", ["config", "layer", "index child"])
def test_a_size_that_is_none(what: str, registry: Uploads, victim: Victim, record_property: Note) -> None:
    sizes = [-1, 5.0, True, "5", None, [5]]
    for size in sizes:
        victim.hurry(publish_sized(registry, what, size)).check_refusal("size")
        assert not victim.kept() & {CONFIG, LAYER, CHILD}
    victim.refuse(publish_sized(registry, what, -1), "size: must be an integer that is not negative")
    record_property("cases", len(sizes) + 1)


@pytest.mark.parametrize("what", ["config", "layer", "index child"])
@pytest.mark.parametrize("kind", ["one", "less by one", "more by one", "beyond all measure"])
def test_a_size_that_is_wrong(what: str, kind: str, registry: Uploads, victim: Victim) -> None:
    name, content = {
        "config": (CONFIG, IMAGE.blobs[CONFIG]),
        "layer": (LAYER, IMAGE.blobs[LAYER]),
        "index child": (CHILD, IMAGE.manifest),
    }[what]
    true = len(content)
    wrong = {"one": 1, "less by one": true - 1, "more by one": true + 1, "beyond all measure": 2**80}[kind]
    words = [f"goes on after the {wrong} bytes"] if wrong < true else [f"after {true}"]
    if kind == "beyond all measure" and what != "layer":
        words = ["are read at most"]
    reference = publish_sized(registry, what, wrong)
    # What seems to be cut is asked for again, by the real command for some ten seconds.
    done = victim.hurry(reference) if wrong > true else victim.pull(reference)
    done.check_refusal(*words)
    assert name not in victim.kept()


def publish_sized(registry: Uploads, what: str, size: object) -> str:
    """Serve an image in which one descriptor has this size."""
    if what == "index child":
        return publish_index(registry, [entry_of(IMAGE.manifest, size=size)])
    return publish(registry, manifest_with(lambda document: _described(document, what).update(size=size)))


def _described(document: Document, what: str) -> Document:
    found: Document = document["config"] if what == "config" else document["layers"][0]
    return found


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, OCI_INDEX, "application/json"])
def test_a_body_with_layers_and_manifests(media_type: str, registry: Uploads, victim: Victim) -> None:
    """CVE-2021-41190: which of both it is would depend on who looks."""
    both = {**json.loads(IMAGE.manifest), **json.loads(index_of([entry_of(IMAGE.manifest)]))}
    declared = OCI_MANIFEST if media_type == "application/json" else media_type
    victim.refuse(publish(registry, encode(both | {"mediaType": declared}), media_type=media_type), "but has")


@pytest.mark.parametrize(
    ("served", "declared", "words"),
    [
        ("text/html", None, ["web page"]),
        ("image/png", OCI_MANIFEST, ["image/png"]),
        (OCI_INDEX, OCI_MANIFEST, ["is served as", "calls itself"]),
        (OCI_INDEX, None, ["layers"]),
        ("", None, ["unknown type"]),
        ("application/json", "application/vnd.example", ["application/vnd.example"]),
        (media_types.DOCKER_SCHEMA1_SIGNED, None, ["schema 1"]),
        ("", OCI_MANIFEST, []),
        ("text/plain; charset=utf-8", OCI_MANIFEST, []),
        (f"{OCI_MANIFEST}; charset=utf-8".upper(), None, []),
    ],
)
def test_a_wrong_or_absent_content_type(
    served: str, declared: str | None, words: list[str], registry: Uploads, victim: Victim
) -> None:
    """It and the body must agree; where it says nothing, the body must."""
    raw = manifest_with(lambda document: document.update(mediaType=declared) if declared else document.pop("mediaType"))
    headers = {"Content-Type": served} if served else {}
    registry.answers["GET", manifest_url()] = lambda request: request.reply(200, raw, headers)
    reference = f"{registry.address}/app:1"
    done = victim.pull(reference)
    done.check_refusal(*words) if words else victim.accept(reference)


TEXT = IMAGE.manifest.decode()
ODD_JSON = {
    "a key twice": TEXT[:-1] + ',"layers":[]}',
    "a key twice, further down": TEXT.replace('"size":', '"size":1,"size":', 1),
    "trailing data": TEXT + "{}",
    "trailing text": TEXT + " x",
    "half": TEXT[: len(TEXT) // 2],
    "nothing": "",
    "a million brackets": "[" * 1_000_000,
    "deep, and whole": TEXT[:-1] + ',"annotations":' + '{"a":' * 5000 + "1" + "}" * 5001,
    "a byte order mark": "\ufeff" + TEXT,
    "NaN": TEXT[:-1] + ',"x":NaN}',
    "Infinity": TEXT[:-1] + ',"x":-Infinity}',
    "infinite by its exponent": TEXT[:-1] + ',"x":1e999}',
    "an integer of a million digits": TEXT[:-1] + ',"x":' + "9" * 1_000_000 + "}",
    "half of a pair": TEXT[:-1] + ',"x":"\\ud800"}',
    "a list": "[]",
    "null": "null",
}
ODD_BYTES = {name: text.encode() for name, text in ODD_JSON.items()} | {
    "UTF-16": TEXT.encode("utf-16"),
    "UTF-32": TEXT.encode("utf-32-le"),
    "Latin-1": TEXT[:-1].encode() + b',"x":"\xe9"}',
    "an overlong slash": TEXT[:-1].encode() + b',"x":"\xc0\xaf"}',
}


def test_json_that_is_none(registry: Uploads, victim: Victim, record_property: Note) -> None:
    """Duplicate keys, data behind the end, other encodings, numbers beyond all measure, nesting without end."""
    victim.refuse(publish(registry, ODD_BYTES["a million brackets"]), "JSON is nested too deeply")
    for raw in ODD_BYTES.values():
        words = "must be an object" if raw in (b"[]", b"null") else "JSON"
        image = image_with(config=raw)
        for manifest, where in ((raw, "manifest"), (image.manifest, "config")):
            victim.hurry(publish(registry, manifest, image.blobs)).check_refusal(where, words)
            assert digest(raw) not in victim.kept()
    record_property("cases", 2 * len(ODD_BYTES) + 1)


@pytest.mark.parametrize("depth", [2, 3, 40])
def test_nested_indexes(depth: int, registry: Uploads, victim: Victim) -> None:
    """Two levels there may be."""
    raw = index_of([entry_of(IMAGE.manifest)])
    publish(registry, IMAGE.manifest, tag="child")
    for number in range(depth - 1):
        publish(registry, raw, media_type=OCI_INDEX, tag=f"index{number}")
        raw = index_of([entry_of(raw, OCI_INDEX)])
    reference = publish(registry, raw, media_type=OCI_INDEX)
    if depth == 2:
        victim.accept(reference)
        return
    victim.inspect(reference).check_refusal("nested more than 2 deep")
    # The top, and one for each level.
    assert len([path for path in registry.paths("GET") if "/manifests/" in path]) == 3


def test_an_index_that_contains_itself(registry: Uploads, victim: Victim) -> None:
    """No digest allows it; a registry that sends it all the same is not believed."""
    inner = index_of([{**entry_of(IMAGE.manifest, OCI_INDEX), "digest": OTHER}])
    raw = index_of([{**entry_of(inner, OCI_INDEX), "digest": OTHER}])
    registry.answers["GET", manifest_url(OTHER)] = lambda request: request.reply(200, raw, {"Content-Type": OCI_INDEX})
    victim.refuse(publish(registry, raw, media_type=OCI_INDEX), OTHER, "something else", kept={digest(raw)})


@pytest.mark.parametrize("diff_ids", [[], [OTHER], [OTHER] * 3], ids=len)
def test_diff_ids_of_the_wrong_count(diff_ids: list[str], registry: Uploads, victim: Victim) -> None:
    image = image_with(lambda document: document["rootfs"].update(diff_ids=diff_ids))
    reference = publish(registry, image.manifest, image.blobs)
    victim.refuse(reference, "2 layers", f"lists {len(diff_ids)}", kept={digest(image.manifest), config_of(image)})


ODD_DIGESTS = {
    "a path": "sha256:../../../x",
    "a path of the right length": "sha256:" + "../" * 21 + "x",
    "upper case": "sha256:" + "AB" * 32,
    "an algorithm in upper case": "SHA256:" + "ab" * 32,
    "short": "sha256:" + "ab" * 31,
    "long": "sha256:" + "ab" * 33,
    "sha512's length": "sha256:" + "ab" * 64,
    "sha256's length": "sha512:" + "ab" * 32,
    "md5": "md5:" + "ab" * 16,
    "sha384": "sha384:" + "ab" * 48,
    "a line end": "sha256:" + "ab" * 32 + "\n",
    "a request": "sha256:" + "ab" * 32 + " HTTP/1.1\r\nX: y",
    "a query": "sha256:" + "ab" * 32 + "?x=y",
    "digits of another script": "sha256:" + "\u0661" * 64,
    "none": "",
    "no algorithm": "ab" * 32,
}


def test_odd_digests(registry: Uploads, victim: Victim, record_property: Note) -> None:
    """Wherever one stands; no path is made of it, in a URL or on the disk."""
    victim.refuse(publish_index(registry, [entry_of(IMAGE.manifest, digest=ODD_DIGESTS["a path"])]), "digest")
    named = set()
    for odd in ODD_DIGESTS.values():
        as_layer = manifest_with(lambda document, odd=odd: document["layers"][1].update(digest=odd))  # type: ignore[misc]
        as_config = manifest_with(lambda document, odd=odd: document["config"].update(digest=odd))  # type: ignore[misc]
        image = image_with(lambda document, odd=odd: document["rootfs"]["diff_ids"].__setitem__(0, odd))  # type: ignore[misc]
        victim.hurry(publish(registry, as_layer)).check_refusal("digest")
        victim.hurry(publish(registry, as_config)).check_refusal("digest")
        victim.hurry(publish_index(registry, [entry_of(IMAGE.manifest, digest=odd)])).check_refusal("digest")
        victim.hurry(publish(registry, image.manifest, image.blobs)).check_refusal("digest")
        assert victim.kept() == {digest(image.manifest)}
        named.add(config_of(image))
    assert {path.rpartition("/")[2] for path in registry.paths("GET")} <= {"", "1", *named}
    record_property("cases", 4 * len(ODD_DIGESTS) + 1)


@pytest.mark.parametrize("is_right", [True, False])
def test_sha512(is_right: bool, registry: Uploads, victim: Victim) -> None:
    """It is checked as sha256 is."""
    blob = IMAGE.blobs[LAYER]
    name = f"sha512:{hashlib.sha512(blob).hexdigest()}"
    raw = manifest_with(lambda document: document["layers"][0].update(digest=name))
    served = blob if is_right else blob[:-1] + bytes([blob[-1] ^ 1])
    reference = publish(registry, raw, {**IMAGE.blobs, name: served})
    if is_right:
        victim.accept(reference)
    else:
        victim.inspect(reference).check_refusal(name, "what came has the digest")
    assert (name in victim.kept()) is is_right


@pytest.mark.parametrize("kind", ["20 MB", "endless", "endless, by its digest", "endless child"])
def test_a_manifest_that_is_too_long(kind: str, registry: Uploads, victim: Victim) -> None:
    flood = Flood(headers={"Content-Type": OCI_MANIFEST})
    reference = f"{registry.address}/app:1"
    if kind == "20 MB":
        flood = Flood(IMAGE.manifest, most=20 * MIB, headers={"Content-Type": OCI_MANIFEST})
    elif kind == "endless, by its digest":
        reference = f"{registry.address}/app@{OTHER}"
    elif kind == "endless child":
        publish_index(registry, [entry_of(IMAGE.manifest, digest=OTHER)])
    registry.answers["GET", manifest_url(OTHER if "by" in kind or "child" in kind else "1")] = flood
    done = victim.inspect(reference)
    done.check_refusal("sent more than the 4194304 bytes")
    # And what the sockets hold.
    assert flood.sent < 12 * MIB


@pytest.mark.parametrize("count", [257, 50_000])
def test_an_index_of_more_entries_than_anyone_needs(count: int, registry: Uploads, victim: Victim) -> None:
    entry = {"mediaType": OCI_MANIFEST, "digest": "x", "size": 1}
    victim.refuse(publish_index(registry, [entry] * count), f"{count} entries, more than the 256")


def test_layers_and_configs_that_are_none(registry: Uploads, victim: Victim) -> None:
    """Artifacts of other kinds, which are no images."""
    as_layer = manifest_with(lambda document: document["layers"][0].update(mediaType="text/x-evil"))
    as_config = manifest_with(lambda document: document["config"].update(mediaType="application/vnd.example"))
    victim.refuse(publish(registry, as_config), "not a container image")
    victim.inspect(publish(registry, as_layer)).check_refusal("not a layer of a container image")
