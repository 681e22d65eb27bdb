"""Archives of images, and layouts, that somebody made up."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from demo.base import digest
from tests.faults.test_base_layers import END, header, pax, record
from tests.faults.workshop import BASE, Workshop, base_of, layer_of
from tests.unit.filesystems import Member, fifo, file, hard_link, link, tar_of
from tests.unit.layouts import blob_path, write_layout

MIB = 1024 * 1024
GOOD = base_of(layer_of(gzip.compress(tar_of(BASE), mtime=0)))
LAYER = next(blob for blob in GOOD.blobs.values() if blob.startswith(b"\x1f\x8b"))
CONFIG = next(blob for blob in GOOD.blobs.values() if blob.startswith(b"{"))
SECRET = b'{"secret": "hunter2 of the user"}'


def oci_members() -> list[Member]:
    """Return an OCI archive's members, in order."""
    raw = GOOD.manifest
    entry = {"mediaType": json.loads(raw)["mediaType"], "digest": digest(raw), "size": len(raw)}
    files = {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(),
        f"blobs/{digest(raw).replace(':', '/')}": raw,
        **{f"blobs/{name.replace(':', '/')}": content for name, content in GOOD.blobs.items()},
    }
    return [file(name, content) for name, content in files.items()]


def docker_members(**fields: Any) -> list[Member]:
    """Return the members of an archive of `docker save`, with fields of its manifest.json."""
    saved = [{"Config": "config.json", "RepoTags": ["a:1"], "Layers": ["1/layer.tar"], **fields}]
    files = {"manifest.json": json.dumps(saved).encode(), "config.json": CONFIG, "1/layer.tar": LAYER}
    return [file(name, content) for name, content in files.items()]


def without(members: Sequence[Member], name: str) -> list[Member]:
    return [(info, data) for info, data in members if info.name != name]


LAYER_NAME = f"blobs/{digest(LAYER).replace(':', '/')}"
FORMS: Mapping[str, list[Member]] = {"oci-archive": oci_members(), "docker-archive": docker_members()}


def refuse(workshop: Workshop, form: str, data: bytes, *words: str) -> None:
    """See that an archive is refused, by every command in a moment, and nothing of it is kept."""
    (workshop.project / "base.tar").write_bytes(data)
    workshop.inspect(f"{form}:base.tar", deadline=20).check_refusal(*words)
    assert not list(workshop.cache.glob("v1/facts/contents/*"))
    assert not list(workshop.cache.glob("v1/incoming/*"))


@pytest.mark.parametrize("form", FORMS)
def test_an_archive_in_order_is_read(form: str, workshop: Workshop) -> None:
    """The others are this one, but for one thing."""
    (workshop.project / "base.tar").write_bytes(tar_of(FORMS[form]))
    done = workshop.inspect(f"{form}:base.tar")
    assert done.code == 0, done.said
    assert "CPython" in done.said


@pytest.mark.few(4)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("more", "words"),
    [
        pytest.param(file("../evil", b"x"), "a member outside of itself", id="climbs"),
        pytest.param(file("/etc/evil", b"x"), "a member outside of itself", id="absolute"),
        pytest.param(file("blobs/../../evil", b"x"), "a member outside of itself", id="climbs in the middle"),
        pytest.param(link("blobs/evil", "../../../etc/passwd"), "a link that leads out", id="symlink"),
        pytest.param(link("evil", "/etc/passwd"), "a link that leads out", id="absolute symlink"),
        pytest.param(hard_link("evil", "../etc/passwd"), "a link that leads out", id="hard link"),
        pytest.param(fifo("evil"), "neither a file, a folder nor a link", id="pipe"),
        pytest.param(file("index.json", b"{}"), "two files by the name", id="a name twice"),
        pytest.param(file("line\nbreak/../../x\x1b[2J"), "a member outside of itself", id="escapes of a terminal"),
    ],
)
def test_archive_that_leads_out(form: str, more: Member, words: str, workshop: Workshop) -> None:
    refuse(workshop, form, tar_of([*FORMS[form], more, more]), words)


@pytest.mark.parametrize(
    ("form", "name"),
    [("oci-archive", LAYER_NAME), ("oci-archive", "index.json"), ("docker-archive", "1/layer.tar")],
    ids=["layer", "index", "Docker's layer"],
)
def test_symlink_for_a_blob_of_an_archive(form: str, name: str, workshop: Workshop) -> None:
    """Neither a file of this machine nor a circle is read in its place."""
    others = without(FORMS[form], name)
    secret = workshop.home / "secret"
    secret.write_bytes(SECRET)
    refuse(workshop, form, tar_of([*others, link(name, str(secret))]), "a link that leads out")
    refuse(workshop, form, tar_of([*others, link(name, "loop"), link("loop", "loop")]), "")


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"Layers": ["../../../etc/passwd"]}, "is missing in the archive", id="a layer that climbs"),
        pytest.param({"Layers": ["/etc/passwd"]}, "is missing in the archive", id="a layer of this machine"),
        pytest.param({"Layers": ["absent"]}, "is missing in the archive", id="a layer that is not there"),
        pytest.param({"Config": "/etc/passwd"}, "is missing in the archive", id="a config of this machine"),
        pytest.param({"Config": "1/layer.tar"}, "the config of", id="a layer for a config"),
        pytest.param({"Layers": ["config.json"]}, "", id="a config for a layer"),
        pytest.param({"Layers": []}, "has 0 layers, but its config lists 1", id="too few layers"),
        pytest.param({"Layers": ["1/layer.tar"] * 2}, "has 2 layers, but its config lists 1", id="too many layers"),
        pytest.param({"Layers": ["1/layer.tar"] * 100_000}, "more than the", id="layers without end"),
        pytest.param({"Layers": "1/layer.tar"}, "must be an array", id="no array"),
        pytest.param({"Config": 5}, "must be a string", id="no string"),
        pytest.param({"RepoTags": [["a"]]}, "must be a string", id="no names"),
    ],
)
def test_manifest_json_that_lies(fields: dict[str, Any], words: str, workshop: Workshop) -> None:
    refuse(workshop, "docker-archive", tar_of(docker_members(**fields)), words)


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("raw", "words"),
    [
        pytest.param(b"", "not valid JSON", id="empty"),
        pytest.param(b"[" * 100_000, "nested too deeply", id="deep"),
        pytest.param(b"[]", "", id="of no image"),
        pytest.param(b'[{"Config": "a", "Config": "b"}]', "the same key twice", id="a key twice"),
        pytest.param(b"\xef\xbb\xbf[]", "not valid JSON", id="a byte order mark"),
        pytest.param(b"null", "must be an array", id="null"),
        pytest.param(b"[" + b" " * (5 * MIB) + b"]", "more than the 4194304 bytes", id="huge"),
    ],
)
@pytest.mark.parametrize("name", ["manifest.json", "index.json"])
def test_document_of_an_archive_that_is_none(name: str, raw: bytes, words: str, workshop: Workshop) -> None:
    form = "docker-archive" if name == "manifest.json" else "oci-archive"
    if form == "oci-archive":
        words = "must be an object" if raw in (b"[]", b"null") else words
    refuse(workshop, form, tar_of([*without(FORMS[form], name), file(name, raw)]), words)


@pytest.mark.few(5)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(header("x", tarfile.XHDTYPE, 100 * MIB) + bytes(100 * MIB), "takes more than", id="a pax header"),
        pytest.param(header("x", tarfile.GNUTYPE_LONGNAME, 2**33), "cut short", id="a name of 8 GiB that is not there"),
        pytest.param(header("x", size=2**80), "cut short", id="a size that nothing has"),
        pytest.param(header("x") * 30_000 + END, "two files by the name", id="a name without end"),
        pytest.param(b"".join(header(f"{n}") for n in range(30_000)) + END, "more than 20000 members", id="members"),
        pytest.param(pax(record(b"path", b"\xff")) + header("x") + END, "not UTF-8", id="no UTF-8"),
        pytest.param(pax(record(b"size", b"-1")) + header("x") + END, "no size", id="a size below zero"),
        pytest.param(pax(b"999 path=x\n") + header("x") + END, "damaged pax header", id="a record that is too long"),
        pytest.param(b"no tar" * 200, "not a tar", id="no tar"),
        pytest.param(b"", "", id="nothing"),
        pytest.param(gzip.compress(END), "compressed with gzip", id="gzip"),
    ],
)
def test_archive_that_is_no_honest_tar(form: str, data: bytes, words: str, workshop: Workshop) -> None:
    refuse(workshop, form, data, words)


@pytest.mark.few(2)
@pytest.mark.parametrize("at", range(600, 3600, 600))
@pytest.mark.parametrize("form", FORMS)
def test_archive_that_is_cut_short(form: str, at: int, workshop: Workshop) -> None:
    refuse(workshop, form, tar_of(FORMS[form])[:at], "")


@pytest.mark.parametrize("form", FORMS)
def test_huge_member_of_an_archive(form: str, workshop: Workshop) -> None:
    """A config of 2 GiB, most of which is a hole on this disk."""
    name = "config.json" if form == "docker-archive" else "index.json"
    path = workshop.project / "base.tar"
    members = without(FORMS[form], name)
    data = b"".join(info.tobuf() + content + bytes(-len(content) % 512) for info, content in members)
    with path.open("wb") as archive:
        archive.write(data + header(name, size=2**31))
        archive.truncate(len(data) + 512 + 2**31 + 1024)
    workshop.inspect(f"{form}:base.tar").check_refusal("more than the 4194304 bytes")


def test_blob_of_an_archive_whose_digest_differs(workshop: Workshop) -> None:
    other = file(LAYER_NAME, LAYER[:-1] + b"x")
    refuse(
        workshop, "oci-archive", tar_of([*without(oci_members(), LAYER_NAME), other]), "a layer of oci-archive:base.tar"
    )
    assert not (workshop.cache / "v1" / "blobs" / digest(LAYER).replace(":", "/")).exists()


@pytest.mark.parametrize("scheme", ["oci", "oci-archive", "docker-archive"])
def test_pipe_where_an_image_should_be(scheme: str, workshop: Workshop) -> None:
    """Nobody ever writes into it, so whoever waits for that waits for ever."""
    os.mkfifo(workshop.project / "base")
    workshop.inspect(f"{scheme}:base", deadline=15).check_refusal("base")


@pytest.mark.parametrize("which", ["index.json", "manifest", "layer"])
def test_pipe_or_symlink_for_a_file_of_a_layout(which: str, workshop: Workshop) -> None:
    layout = write_layout(workshop.project / "base", [GOOD])
    names = {"index.json": layout / "index.json", "manifest": blob_path(layout, digest(GOOD.manifest))}
    path = names.get(which) or blob_path(layout, digest(LAYER))
    path.unlink()
    os.mkfifo(path)
    workshop.inspect("oci:base", deadline=15).check_refusal("it is a pipe or a device")
    # Layers are read when they are sent.
    if which != "layer":
        workshop.push("base", "127.0.0.1:9/app").check_refusal("it is a pipe or a device")
    path.unlink()
    # A secret of this user's is what no message may tell.
    secret = workshop.home / "secret"
    secret.write_bytes(SECRET)
    path.symlink_to(secret)
    done = workshop.inspect("oci:base")
    done.check_refusal("")
    assert b"hunter2" not in done.said.encode()
    assert not holding(workshop.cache, b"hunter2")


def holding(folder: Path, text: bytes) -> list[Path]:
    """Return the files below a folder that hold a text."""
    return [path for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]


def test_sparse_files_in_an_archive(workshop: Workshop) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info, data = file("sparse", b"x")
        info.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "1"}
        tar.addfile(info, io.BytesIO(data))
    refuse(workshop, "oci-archive", buffer.getvalue(), "sparse files")
