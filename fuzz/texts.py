"""Parsers of texts and JSON: what users write, and what registries answer. Each takes bytes, whatever they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from hatch_oci.base.name import check_base_name
from hatch_oci.errors import OCIError
from hatch_oci.image import media_types
from hatch_oci.image.config import AddedLayer, ConfigEdit, ImageConfig, edit_config, read_config
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.document import encode_json, parse_json
from hatch_oci.image.manifest import Index, Manifest, make_manifest, oci_layers, read_manifest
from hatch_oci.image.platform import Platform
from hatch_oci.image.reference import Reference
from hatch_oci.registry.attempts import read_retry_after
from hatch_oci.registry.challenge import Challenge, parse_challenges
from hatch_oci.registry.credentials import Lookup, find_credential
from hatch_oci.registry.proxies import find_proxy
from hatch_oci.registry.said import said
from hatch_oci.registry.token import Realm, Token, _read_token, check_realm, may_know
from hatch_oci.registry.urls import Target, safe_url

T = TypeVar("T")

Parser = Callable[[bytes], object]

_WHERE = "it"
_SECRET = "s3cret"  # noqa: S105 - what must not come out again
_EDIT = ConfigEdit(
    created="2020-02-02T00:00:00Z",
    layers=(AddedLayer(Digest.of(b""), "a layer"),),
    entrypoint=("run",),
    cmd=(),
    env={"A": "1"},
    ports=("80/tcp",),
    volumes=("/data",),
    labels={"a": "b"},
    user="app",
)


@contextmanager
def certain() -> Iterator[None]:
    """What was taken once must be taken again: here, a refusal is a bug."""
    try:
        yield
    except OCIError as error:
        message = f"what was written of it is refused: {error}"
        raise AssertionError(message) from error


def as_text(read: Callable[[str], object]) -> Parser:
    """Return a parser of what comes out of the environment, or a command line: text, maybe with bytes that are none."""
    return lambda data: read(data.decode("utf-8", "surrogateescape"))


def _as_header(read: Callable[[str], object]) -> Parser:
    return lambda data: read(data.decode("latin-1"))


def _again(value: T, text: str, parse: Callable[[str], T]) -> T:
    with certain():
        assert parse(text) == value
    return value


def _reference(text: str) -> Reference:
    reference = Reference.parse(text)
    return _again(reference, str(reference), Reference.parse)


def _digest(text: str) -> Digest:
    digest = Digest.parse(text)
    assert str(digest) == text
    return digest


def _platform(text: str) -> Platform:
    platform = Platform.parse(text)
    return _again(platform, str(platform), Platform.parse)


def _json(data: bytes) -> object:
    value = parse_json(data, _WHERE).value
    with certain():
        assert parse_json(encode_json(value), _WHERE).value == value
    return value


def _descriptor(data: bytes) -> Descriptor:
    descriptor = Descriptor.read(parse_json(data, _WHERE))
    with certain():
        assert Descriptor.read(parse_json(encode_json(descriptor.to_json()), _WHERE)) == descriptor
    return descriptor


def _manifest(data: bytes) -> Manifest | Index:
    """Read a manifest, or a Content-Type in a line of its own, and a manifest."""
    kind, _, body = data.partition(b"\n{")
    content_type = kind.decode("latin-1") if body else None
    manifest = read_manifest(b"{" + body if body else data, _WHERE, content_type=content_type)
    if isinstance(manifest, Manifest):
        layers = oci_layers(manifest, _WHERE)
        with certain():
            made = make_manifest(manifest.config, layers, {"a": "b"})
            assert read_manifest(made.raw, _WHERE, content_type=media_types.OCI_MANIFEST) == made
    return manifest


def _config(data: bytes) -> ImageConfig:
    config = read_config(data, _WHERE)
    with certain():
        edited = edit_config(config, _EDIT)
    assert edited.env == {**config.env, "A": "1"}
    assert edited.diff_ids[:-1] == config.diff_ids
    return edited


def _media_type(text: str) -> tuple[str, str | None, bool]:
    essence = media_types.essence(text)
    assert media_types.essence(essence) == essence
    return essence, media_types.oci_layer(essence), media_types.is_distributable(essence)


def _challenges(text: str) -> list[Challenge]:
    challenges = parse_challenges(text.split("\n"))
    for challenge in challenges:
        realm = Realm(challenge.parameters.get("realm", ""), challenge.parameters.get("service", ""), "")
        try:
            check_realm(realm, "https")
        except OCIError:
            continue
        assert isinstance(may_know(realm, "registry.example.com", frozenset({"auth.example.org"})), bool)
    return challenges


def _token(data: bytes) -> Token:
    token = _read_token(data, _WHERE, 0)
    assert token.value.isascii()
    assert token.value.isprintable()
    assert math.isfinite(token.renew_at)
    return token


def _said(data: bytes) -> str:
    text = said(data, [_SECRET])
    assert len(text) <= 202
    assert text.isascii()
    assert text.isprintable()
    assert _SECRET not in text
    return text


def _credentials(text: str) -> Lookup:
    # One that is broken is noted, and passed over.
    with certain():
        lookup = find_credential("registry.example.com", "team/app", {"DOCKER_AUTH_CONFIG": text})
    assert all(problem.isprintable() for problem in lookup.problems)
    if lookup.credential:
        assert lookup.credential.basic.isascii()
    return lookup


def _retry_after(text: str) -> float | None:
    seconds = read_retry_after(text)
    assert seconds is None or 0 <= seconds < math.inf
    return seconds


def _url(text: str) -> Target:
    assert safe_url(text).isprintable()
    base = Target.read("https://registry.example.com/v2/app/blobs/uploads/?a=b")
    try:
        target = Target.read(text, base)
    except OCIError:
        target = Target.read(text)
    return _again(target, str(target), Target.read) if not target.has_user else target


def _proxy(text: str) -> str | None:
    find_proxy("https", "registry.example.com", 443, {"NO_PROXY": text})
    return find_proxy("https", "registry.example.com", 443, {"HTTPS_PROXY": text})


PARSERS: Mapping[str, Parser] = {
    "base-name": as_text(check_base_name),
    "challenge": _as_header(_challenges),
    "config": _config,
    "credentials": as_text(_credentials),
    "descriptor": _descriptor,
    "digest": as_text(_digest),
    "error": _said,
    "json": _json,
    "manifest": _manifest,
    "media-type": _as_header(_media_type),
    "platform": as_text(_platform),
    "proxy": as_text(_proxy),
    "reference": as_text(_reference),
    "retry-after": _as_header(_retry_after),
    "token": _token,
    "url": _as_header(_url),
}
