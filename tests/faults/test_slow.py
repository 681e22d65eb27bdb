"""Registries that keep their users waiting, or reading, for ever; several at once, since most of it is waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from demo.registry import Handler
from hatch_oci.image.media_types import OCI_MANIFEST
from tests.faults.hostile import IMAGE, MIB, Flood, Victim, blob_url, manifest_url, publish
from tests.unit.layouts import config_of, layers_of
from tests.unit.uploads import serve_uploads

Note = Callable[[str, object], None]

LAYER = layers_of(IMAGE)[0]
BLOB = IMAGE.blobs[LAYER]
URLS = {
    "door": "/v2/",
    "manifest": manifest_url(),
    "config": blob_url(config_of(IMAGE)),
    "layer": blob_url(LAYER),
}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: " + OCI_MANIFEST.encode() + b"\r\nContent-Length: 1000\r\n\r\n"


def hang(request: Handler, first: bytes = b"") -> None:
    """Say something, then nothing more until the client has gone away."""
    request.close_connection = True
    with suppress(OSError):
        request.wfile.write(first)
        request.connection.recv(1)


def drip(request: Handler, first: bytes = b"") -> None:
    """Say something, and then a byte now and then."""
    request.close_connection = True
    with suppress(OSError):
        request.wfile.write(first)
        while True:
            request.wfile.write(b"x")
            time.sleep(0.2)


def repeat(request: Handler, first: bytes, again: bytes) -> None:
    """Say something, and then the same again and again."""
    request.close_connection = True
    with suppress(OSError):
        request.wfile.write(first)
        while True:
            request.wfile.write(again)


WAITING: dict[str, tuple[str, Callable[[Handler], None]]] = {
    "no answer at the door": ("door", hang),
    "no answer about the manifest": ("manifest", hang),
    "no answer about a layer": ("layer", hang),
    "half of the headers": ("manifest", partial(hang, first=HEAD[:40])),
    "half of a manifest": ("manifest", partial(hang, first=HEAD + IMAGE.manifest[:100])),
    "half of a layer": ("layer", partial(hang, first=HEAD.replace(b"1000", b"%d" % len(BLOB)) + BLOB[:50])),
    "a status that drips": ("manifest", partial(drip, first=b"HTTP/1.1 200 ")),
    "headers that drip": ("layer", partial(drip, first=HEAD[:40])),
    "a manifest that drips": ("manifest", partial(drip, first=HEAD)),
    "a config that drips": ("config", partial(drip, first=HEAD)),
    "a layer that drips": ("layer", partial(drip, first=HEAD)),
}
READING: dict[str, tuple[str, Callable[[Handler], None]]] = {
    "endless headers": ("manifest", partial(repeat, first=HEAD[:-2], again=b"X: y\r\n" * 1000)),
    "an endless header": ("layer", partial(repeat, first=HEAD[:-2] + b"X: ", again=b"y" * 10_000)),
    "endless interim answers": (
        "manifest",
        partial(repeat, first=b"", again=b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
    ),
    "an endless error": ("manifest", Flood(b'{"errors":[', status=403)),
    "an endless error in place of a layer": ("layer", Flood(b'{"errors":[', status=404)),
    "an endless error with a length": ("layer", Flood(length=2**50, status=500)),
    "an endless redirect": ("layer", Flood(status=307, headers={"Location": "/v2/"})),
}


TOO_SLOW = {"no answer at the door", "a status that drips", "a manifest that drips", "endless interim answers"}
"""By the real command they take up to five minutes."""


def test_slow_drips_and_servers_that_hang(victim: Victim, tmp_path: Path, record_property: Note) -> None:
    """Each of five tries ends half a minute after the last byte, and a minute after it began."""
    try_at_once(WAITING, victim, tmp_path, record_property)


def test_what_is_endless_beside_bodies(victim: Victim, tmp_path: Path, record_property: Note) -> None:
    try_at_once(READING, victim, tmp_path, record_property)
    assert all(answer.sent < 8 * MIB for _, answer in READING.values() if isinstance(answer, Flood))


def try_at_once(
    cases: dict[str, tuple[str, Callable[[Handler], None]]], victim: Victim, folder: Path, record_property: Note
) -> None:
    """Try to pull from a registry for each case, which answers one of the `URLS` its own way."""

    def attempt(number: int, name: str) -> None:
        what, answer = cases[name]
        own = replace(victim, env={**victim.env, "HATCH_OCI_CACHE_DIR": str(folder / f"cache{number}")})
        with serve_uploads() as registry:
            reference = publish(registry, IMAGE.manifest)
            registry.answers["GET", URLS[what]] = answer
            done = own.hurry(reference) if name in TOO_SLOW else own.pull(reference)
            done.check_refusal()
        assert own.kept().isdisjoint({LAYER} if what == "layer" else {LAYER, *IMAGE.blobs})

    with ThreadPoolExecutor(len(cases)) as pool:
        running = {name: pool.submit(attempt, number, name) for number, name in enumerate(cases)}
        problems = {name: one.exception() for name, one in running.items() if one.exception()}
    assert problems == {}
    record_property("cases", len(cases))
