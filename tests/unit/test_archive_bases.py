"""Archives as bases: what is found in them is what is found in a layout of the same image."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from demo.base import Image, Layer, digest, image
from hatch_oci.base.resolve import Base, fetch_layers
from hatch_oci.cli import main
from hatch_oci.errors import OCIError
from hatch_oci.image import media_types
from hatch_oci.report import QUIET
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import AMD64, ARM64, index_of, layer, resolve_with, small_image
from tests.unit.facts import write_fact
from tests.unit.filesystems import PACKERS, Member, file, link, tar_of
from tests.unit.projects import builder_of
from tests.unit.test_source import layout


def oci_archive(folder: Path, *entries: tuple[bytes, str | None], images: tuple[Image, ...]) -> Path:
    """Pack a layout with these manifests and tags as `tar -C LAYOUT -c .` does."""
    made = layout(folder / "layout of archive", *entries, images=images)
    path = folder / "base.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(made, ".")
    return path


def saved(one: Image, names: list[str] | None, prefix: str = "") -> tuple[dict[str, Any], list[Member]]:
    """Return what a Docker archive says of an image, and the members with its config and layers."""
    manifest = json.loads(one.manifest)
    config, *layers = (blob["digest"] for blob in (manifest["config"], *manifest["layers"]))
    paths = [f"{prefix}{number}/layer.tar" for number in range(len(layers))]
    members = [file(f"{prefix}config.json", one.blobs[config])]
    members += [file(path, one.blobs[blob]) for path, blob in zip(paths, layers, strict=True)]
    return {"Config": f"{prefix}config.json", "RepoTags": names, "Layers": paths}, members


def docker_archive(
    folder: Path, *images: tuple[dict[str, Any], list[Member]], more: list[Member] | None = None
) -> Path:
    """Pack what `saved` made, with the list at the end, as Docker does."""
    path = folder / "base.tar"
    members = [member for _, found in images for member in found]
    listed = file("manifest.json", json.dumps([entry for entry, _ in images]).encode())
    path.write_bytes(tar_of([*members, *(more or []), listed]))
    return path


def layers_of(base: Base, store: BlobStore) -> list[bytes]:
    return [blob.path.read_bytes() for blob in fetch_layers(base, store, QUIET)]


def refusal(text: str, folder: Path, store: BlobStore) -> str:
    """Return the one line that a base ends with, at whatever step."""
    with pytest.raises(OCIError) as caught:
        fetch_layers(resolve_with(text, store, folder), store, QUIET)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_oci_archive_is_as_good_as_its_layout(tmp_path: Path, store: BlobStore) -> None:
    small = small_image()
    oci_archive(tmp_path, (small.manifest, "1"), images=(small,))
    base = resolve_with("oci-archive:base.tar", store, tmp_path)
    assert str(base.digest) == digest(small.manifest)
    assert base.image_name is None
    assert base.layers == resolve_with("oci:layout of archive", store, tmp_path).layers
    assert layers_of(base, store) == [small.blobs[one["digest"]] for one in json.loads(small.manifest)["layers"]]


def test_tag_and_platform_choose_in_an_oci_archive(tmp_path: Path, store: BlobStore) -> None:
    amd, arm, other = small_image("amd"), small_image("arm", ARM64), small_image("other")
    both = index_of([(amd.manifest, {}), (arm.manifest, {})])
    oci_archive(tmp_path, (both, "both"), (other.manifest, "other"), images=(amd, arm, other))
    found = resolve_with("oci-archive:base.tar:both", store, tmp_path, "linux/arm64")
    assert str(found.digest) == digest(arm.manifest)
    assert str(resolve_with("oci-archive:base.tar:other", store, tmp_path).digest) == digest(other.manifest)
    assert refusal("oci-archive:base.tar:third", tmp_path, store) == (
        "oci-archive:base.tar:third has no image 'third'; it has: both, other. Name one, as in oci-archive:PATH:TAG"
    )


def test_a_docker_archive_gets_a_manifest_of_what_is_in_it(tmp_path: Path, store: BlobStore) -> None:
    small = small_image()
    docker_archive(tmp_path, saved(small, ["app:1"]))
    base = resolve_with("docker-archive:base.tar", store, tmp_path)
    own = json.loads(small.manifest)
    assert [one.to_json() for one in base.layers] == own["layers"]
    assert str(base.config.descriptor.digest) == own["config"]["digest"]
    assert base.image_name is None
    assert layers_of(base, store) == [small.blobs[one["digest"]] for one in own["layers"]]


def test_a_docker_archive_may_lie_under_a_name_that_is_not_utf_8(tmp_path: Path, store: BlobStore) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    small = small_image()
    docker_archive(folder, saved(small, ["app:1"]))
    base = resolve_with("docker-archive:base.tar", store, folder)
    assert [one.to_json() for one in base.layers] == json.loads(small.manifest)["layers"]


@pytest.mark.parametrize(
    ("packer", "media_type"),
    [
        ("plain", media_types.OCI_LAYER),
        ("gzip", media_types.OCI_LAYER_GZIP),
        ("zstd", media_types.OCI_LAYER_ZSTD),
    ],
)
def test_a_layers_type_is_what_its_bytes_are(packer: str, media_type: str, tmp_path: Path, store: BlobStore) -> None:
    data = tar_of([file("a", b"content")])
    packed = PACKERS[packer](data)
    one = image([Layer(packed, digest(data))], {}, AMD64)
    docker_archive(tmp_path, saved(one, None))
    base = resolve_with("docker-archive:base.tar", store, tmp_path)
    assert [(str(one.digest), one.size, one.media_type) for one in base.layers] == [
        (digest(packed), len(packed), media_type)
    ]
    assert layers_of(base, store) == [packed]


def test_a_layer_may_be_a_link_to_another(tmp_path: Path, store: BlobStore) -> None:
    # `docker save` and skopeo did that for layers that come twice, and for the names of old versions.
    twice = layer({"a": b"content"})
    entry, (config, first, _) = saved(image([twice, twice], {}, AMD64), ["app:1"])
    docker_archive(tmp_path, (entry, [config, first, link("1/layer.tar", "../0/layer.tar")]))
    base = resolve_with("docker-archive:base.tar", store, tmp_path)
    assert layers_of(base, store) == [twice.blob, twice.blob]


def test_a_docker_archive_that_is_a_layout_too_keeps_the_images_own_manifest(tmp_path: Path, store: BlobStore) -> None:
    one, other = small_image("one"), small_image("other")
    made = layout(tmp_path / "layout", (other.manifest, "other"), (one.manifest, "one"), images=(one, other))
    files = {str(path.relative_to(made)): path.read_bytes() for path in made.rglob("*") if path.is_file()}
    manifest = json.loads(one.manifest)
    config, *layers = (
        f"blobs/{blob['digest'].replace(':', '/')}" for blob in (manifest["config"], *manifest["layers"])
    )
    entry: dict[str, Any] = {"Config": config, "RepoTags": ["app:1"], "Layers": layers}
    docker_archive(tmp_path, (entry, [file(name, data) for name, data in files.items()]))
    base = resolve_with("docker-archive:base.tar", store, tmp_path)
    assert str(base.digest) == digest(one.manifest)
    assert layers_of(base, store) == [one.blobs[blob["digest"]] for blob in manifest["layers"]]
    # Without one of the manifest's own blobs it is of no use.
    first = files.pop(layers[0])
    entry["Layers"] = ["first.tar", *layers[1:]]
    members = [file(name, data) for name, data in files.items()]
    docker_archive(tmp_path, (entry, [*members, file("first.tar", first)]))
    assert str(resolve_with("docker-archive:base.tar", store, tmp_path).digest) != digest(one.manifest)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("app:1", "one"),
        ("docker.io/library/app:1", "one"),
        ("localhost/app:2", "two"),
        ("r.example:5000/app:1", "two"),
        ("not a Name", "two"),
    ],
)
def test_a_name_chooses_among_the_images_of_a_docker_archive(
    reference: str, expected: str, tmp_path: Path, store: BlobStore
) -> None:
    images = {"one": small_image("one"), "two": small_image("two")}
    docker_archive(
        tmp_path,
        saved(images["one"], ["app:1"], "one-"),
        saved(images["two"], ["localhost/app:2", "r.example:5000/app:1", "not a Name"], "two-"),
    )
    base = resolve_with(f"docker-archive:base.tar:{reference}", store, tmp_path)
    assert str(base.config.descriptor.digest) == json.loads(images[expected].manifest)["config"]["digest"]


def test_what_a_docker_archive_lacks_is_said(tmp_path: Path, store: BlobStore) -> None:
    docker_archive(tmp_path, saved(small_image("one"), ["app:1", "app:\x1b"], "one-"), saved(small_image("two"), None))
    advice = "it has: (no name), app:1, app:?. Name one, as in docker-archive:PATH:REFERENCE"
    assert refusal("docker-archive:base.tar", tmp_path, store) == (
        f"docker-archive:base.tar holds several images; {advice}"
    )
    assert refusal("docker-archive:base.tar:app:2", tmp_path, store) == (
        f"docker-archive:base.tar:app:2 has no image 'app:2'; {advice}"
    )


def test_an_archive_whose_very_name_ends_like_a_tag_wins(tmp_path: Path, store: BlobStore) -> None:
    small = small_image()
    docker_archive(tmp_path, saved(small, ["app:1"])).rename(tmp_path / "base:app:1")
    for text in ("base:app:1", "base:app:1:app:1", str(tmp_path / "base:app:1")):
        assert len(resolve_with(f"docker-archive:{text}", store, tmp_path).layers) == 2


def test_layers_are_hashed_once_and_again_when_the_archive_changes(tmp_path: Path, store: BlobStore) -> None:
    facts = store.folder / "facts" / "archives"
    docker_archive(tmp_path, saved(small_image("etc/one"), None))
    first = resolve_with("docker-archive:base.tar", store, tmp_path)
    known = {path: path.stat().st_ino for path in facts.iterdir()}
    assert len(known) == 2
    assert resolve_with("docker-archive:base.tar", store, tmp_path).layers == first.layers
    # What is written again is another file.
    assert {path: path.stat().st_ino for path in facts.iterdir()} == known
    docker_archive(tmp_path, saved(small_image("etc/two"), None))
    assert resolve_with("docker-archive:base.tar", store, tmp_path).layers != first.layers
    for path in facts.iterdir():
        write_fact(path, b'"nonsense"')
    assert resolve_with("docker-archive:base.tar", store, tmp_path).layers != first.layers


@pytest.mark.parametrize("scheme", ["oci-archive", "docker-archive"])
def test_every_byte_is_checked(scheme: str, tmp_path: Path, store: BlobStore) -> None:
    small = small_image()
    blob = json.loads(small.manifest)["layers"][1]["digest"]
    path = oci_archive(tmp_path, (small.manifest, "1"), images=(small,))
    if scheme == "docker-archive":
        # After its layers were hashed, and behind everybody's back.
        path = docker_archive(tmp_path, saved(small, None))
        base = resolve_with("docker-archive:base.tar", store, tmp_path)
    damaged = path.read_bytes().replace(small.blobs[blob], small.blobs[blob][:-1] + b"\xaa")
    path.write_bytes(damaged)
    if scheme == "oci-archive":
        base = resolve_with("oci-archive:base.tar", store, tmp_path)
    with pytest.raises(OCIError, match=f"a layer of {scheme}:base.tar: {blob} was asked for, but"):
        fetch_layers(base, store, QUIET)
    assert not store.path(base.layers[1].digest).exists()


def broken(change: Callable[[dict[str, Any], dict[str, bytes]], object]) -> bytes:
    """Return a Docker archive, its list and its members by their names changed before they are packed."""
    entry, members = saved(small_image(), ["app:1"])
    files = {info.name: data for info, data in members}
    change(entry, files)
    listed = {"manifest.json": json.dumps([entry]).encode()} | files
    return tar_of([file(name, data) for name, data in listed.items()])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda entry, _: entry.update(Config="../../etc/passwd"), ": '../../etc/passwd' is missing in the archive"),
        (lambda entry, _: entry.update(Layers=["/etc/passwd", "x"]), ": '/etc/passwd' is missing in the archive"),
        (lambda entry, _: entry["Layers"].pop(), " has 1 layers, but its config lists 2"),
        (lambda entry, _: entry.pop("Config"), "[0] → Config: is missing"),
        (lambda entry, _: entry.update(Config=["x"]), "[0] → Config: must be a string"),
        (lambda entry, _: entry.update(Layers="x"), "[0] → Layers: must be an array"),
        (lambda entry, _: entry.update(Layers=[5]), "[0] → Layers[0]: must be a string"),
        (lambda entry, _: entry.update(Layers=["x"] * 513), "[0] → Layers: has 513 entries, more than the 512"),
        (lambda entry, _: entry.update(RepoTags={}), "[0] → RepoTags: must be an array"),
        (lambda _, files: files.pop("1/layer.tar"), ": '1/layer.tar' is missing in the archive; is it cut short?"),
        (lambda _, files: files.update({"1/layer.tar": b"BZh91"}), " is compressed with bzip2, not gzip or zstd"),
        (lambda _, files: files.update({"config.json": b"{"}), "the config of docker-archive:base.tar: not valid JSON"),
        (lambda _, files: files.update({"config.json": b" " * 4194305}), "has more than the 4194304 bytes that are"),
        (lambda _, files: files.update({"manifest.json": b"[]"}), " holds no image; it has: none"),
        (lambda _, files: files.update({"manifest.json": b"{}"}), "manifest.json of docker-archive:base.tar: must be"),
        (lambda _, files: files.update({"manifest.json": b"[" * 9999}), "the JSON is nested too deeply"),
        (lambda _, files: files.update({"manifest.json": b" " * 4194305}), "has more than the 4194304 bytes that are"),
        (lambda _, files: files.update({"manifest.json": b'[{"Config":"a","Config":"b"}]'}), "the same key twice"),
        (lambda _, files: files.update({"oci-layout": b"", "index.json": b"x"}), "index.json of docker-archive:base"),
    ],
)
def test_a_docker_archive_that_lies_is_one_clear_error(
    change: Callable[[dict[str, Any], dict[str, bytes]], object], message: str, tmp_path: Path, store: BlobStore
) -> None:
    (tmp_path / "base.tar").write_bytes(broken(change))
    assert message in refusal("docker-archive:base.tar", tmp_path, store)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"oci-layout": b"{}"}, "oci-archive:base.tar: 'index.json' is missing in the archive; is it cut short?"),
        ({"oci-layout": b"{}", "index.json": b"nonsense"}, "index.json of oci-archive:base.tar: not valid JSON: "),
        ({"oci-layout": b"{}", "index.json": b" " * 4194305}, "index.json of oci-archive:base.tar has more than the"),
        ({"other": b""}, "oci-archive:base.tar is no archive of an OCI image layout"),
        (
            {"manifest.json": b"[]"},
            "oci-archive:base.tar is no archive of an OCI image layout, but a Docker archive: write docker-archive:PATH",
        ),
    ],
)
def test_an_oci_archive_that_is_none_is_one_clear_error(
    files: Mapping[str, bytes], message: str, tmp_path: Path, store: BlobStore
) -> None:
    (tmp_path / "base.tar").write_bytes(tar_of([file(name, data) for name, data in files.items()]))
    assert refusal("oci-archive:base.tar", tmp_path, store).startswith(message)


def test_a_manifest_of_any_size_is_not_read(tmp_path: Path, store: BlobStore) -> None:
    large = b" " * 5_000_000
    oci_archive(tmp_path, (large, "1"), images=())
    message = "the manifest of oci-archive:base.tar has more than the 4194304 bytes that are read"
    assert refusal("oci-archive:base.tar", tmp_path, store) == message


def test_a_docker_archive_of_a_layout_is_to_be_named_so(tmp_path: Path, store: BlobStore) -> None:
    small = small_image()
    oci_archive(tmp_path, (small.manifest, "1"), images=(small,))
    assert refusal("docker-archive:base.tar", tmp_path, store) == (
        "docker-archive:base.tar is no archive of Docker images, but an OCI archive: write oci-archive:PATH"
    )


@pytest.mark.parametrize("scheme", ["oci-archive", "docker-archive"])
def test_an_archive_can_be_inspected(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HATCH_OCI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    small = small_image(config={"User": "me"})
    if scheme == "oci-archive":
        oci_archive(tmp_path, (small.manifest, "1"), images=(small,))
    else:
        docker_archive(tmp_path, saved(small, ["app:1"]))
    assert main(["inspect", f"{scheme}:base.tar", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["config-digest"] == json.loads(small.manifest)["config"]["digest"]
    assert found["reached"] is None
    (tmp_path / "base.tar").write_bytes(b"\x1f\x8b rest")
    assert main(["inspect", f"{scheme}:base.tar"]) == 1
    assert capsys.readouterr().err == (
        f"Error: {scheme}:base.tar: compressed with gzip, which cannot be read in place: unpack it to a plain tar first\n"
    )


def test_a_build_on_an_archive_is_a_build_on_the_layout_it_was_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HATCH_OCI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HATCH_QUIET", "1")
    below, above = tmp_path / "below", tmp_path / "above"
    table = 'wheel = false\ncopy = [{from = "file", to = "/srv/"}]'
    for folder in (below, above):
        folder.mkdir()
        (folder / "file").write_text(folder.name)
    forms = 'versions = ["layout", "oci-archive", "docker-archive"]\ntags = ["1", "2"]\nrepository = "r.example/base"'
    made = dict(
        zip(
            ("oci", "oci-archive", "docker-archive"),
            builder_of(below, f'base-image = "scratch"\n{table}\n{forms}').build(),
            strict=True,
        )
    )
    bases = [f"{scheme}:{path}" for scheme, path in made.items()]
    bases += [f"oci-archive:{made['oci-archive']}:2", f"docker-archive:{made['docker-archive']}:r.example/base:2"]
    # What `docker load` takes is a layout as well.
    bases += [f"oci-archive:{made['docker-archive']}:1"]
    indexes = set()
    for base in bases:
        (path,) = builder_of(above, f'base-image = "{base}"\n{table}').build()
        indexes.add((Path(path) / "index.json").read_bytes())
    assert len(indexes) == 1
