"""Layouts read back from disk, be they ours, somebody else's, or broken."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.base import digest
from hatch_oci.errors import OCIError
from hatch_oci.image.digest import Digest
from hatch_oci.image.manifest import Index
from hatch_oci.output.layout import layout_files
from hatch_oci.output.layout import write_layout as write_own
from hatch_oci.output.reading import find_layout, read_file, read_layout
from tests.unit.bases import AMD64, ARM64, index_of, small_image
from tests.unit.documents import damaged, value_or_message
from tests.unit.layouts import (
    BASE_NAME,
    blob_path,
    both,
    config_of,
    image_on,
    layers_of,
    write_blobs,
    write_index,
    write_layout,
)

IMAGE = small_image()
OTHER = small_image("arm", ARM64)


def entry_of(raw: bytes, **fields: Any) -> dict[str, Any]:
    return {"mediaType": json.loads(raw)["mediaType"], "digest": digest(raw), "size": len(raw), **fields}


def failure(layout: Path) -> str:
    with pytest.raises(OCIError) as caught:
        read_layout(layout)
    return str(caught.value)


def test_what_was_written_is_read_as_it_is(tmp_path: Path) -> None:
    image = read_layout(write_layout(tmp_path / "app.oci", [IMAGE], "example.com:5000/acme/app", ["1.0", "latest"]))
    assert (image.top.raw, str(image.top.digest)) == (IMAGE.manifest, digest(IMAGE.manifest))
    assert [one.raw for one in image.manifests] == [IMAGE.manifest]
    assert (image.repository, image.tags) == ("example.com:5000/acme/app", ("1.0", "latest"))
    assert list(map(str, image.blobs)) == [config_of(IMAGE), *layers_of(IMAGE)]
    for name, blob in IMAGE.blobs.items():
        assert b"".join(read_file(image.path(Digest.parse(name)))) == blob


def test_our_own_layout_is_read(tmp_path: Path) -> None:
    source = read_layout(write_layout(tmp_path / "theirs.oci", [IMAGE]))
    own = replace(source.to_write(), repository="example.com/app", tags=("1", "2"))
    write_own(tmp_path / "ours.oci", layout_files(own))
    image = read_layout(tmp_path / "ours.oci")
    assert (image.top.raw, image.repository, image.tags) == (IMAGE.manifest, "example.com/app", ("1", "2"))


def test_an_index_is_read_with_all_its_images(tmp_path: Path) -> None:
    image = read_layout(write_layout(tmp_path / "app.oci", [IMAGE, OTHER]))
    assert isinstance(image.top, Index)
    assert image.top.raw == both([IMAGE, OTHER])
    assert [one.raw for one in image.manifests] == [IMAGE.manifest, OTHER.manifest]
    assert [one.platform.architecture for one in image.configs] == ["amd64", "arm64"]
    assert set(map(str, image.blobs)) == {*IMAGE.blobs, *OTHER.blobs}


def test_a_layout_without_names_has_none(tmp_path: Path) -> None:
    image = read_layout(write_layout(tmp_path / "app.oci", [IMAGE], tags=()))
    assert (image.repository, image.tags) == (None, ())


def test_the_base_is_known_by_its_label(tmp_path: Path) -> None:
    assert read_layout(write_layout(tmp_path / "1.oci", [image_on("example.com/b:1")])).base_name == "example.com/b:1"
    assert read_layout(write_layout(tmp_path / "2.oci", [IMAGE])).base_name is None
    assert read_layout(write_layout(tmp_path / "3.oci", [small_image(Labels=None)])).base_name is None
    labels = {"other": BASE_NAME}
    assert read_layout(write_layout(tmp_path / "4.oci", [small_image(Labels=labels)])).base_name is None


@pytest.mark.parametrize("labels", [{BASE_NAME: 5}, {BASE_NAME: None}, [], "text"])
def test_labels_of_another_form_are_no_base(labels: Any, tmp_path: Path) -> None:
    write_layout(tmp_path / "app.oci", [small_image(Labels=labels)])
    found = value_or_message(lambda: read_layout(tmp_path / "app.oci").base_name)
    assert found is None or (isinstance(found, str) and str(tmp_path / "app.oci") in found)


def test_two_images_are_one_too_many(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app.oci", [IMAGE])
    write_blobs(layout, OTHER.manifest, *OTHER.blobs.values())
    write_index(layout, [entry_of(IMAGE.manifest), entry_of(OTHER.manifest)])
    assert failure(layout) == f"{layout} holds 2 images; one is needed"


def test_no_image_is_one_too_few(tmp_path: Path) -> None:
    write_index(tmp_path / "app.oci", [])
    assert failure(tmp_path / "app.oci") == f"{tmp_path / 'app.oci'} holds 0 images; one is needed"


def test_an_index_within_an_index_is_refused(tmp_path: Path) -> None:
    inner = both([IMAGE, OTHER])
    top = json.dumps(json.loads(inner) | {"manifests": [entry_of(inner)]}).encode()
    layout = write_layout(tmp_path / "app.oci", [IMAGE, OTHER], top=top)
    write_blobs(layout, inner)
    assert failure(layout) == f"the manifest {digest(inner)} of {layout} is an index within an index"


def test_an_index_of_nothing_is_refused(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app.oci", [IMAGE], top=index_of([]))
    assert str(layout) in failure(layout)


@pytest.mark.parametrize("what", ["manifest", "config"])
def test_a_document_that_is_missing_is_named(what: str, tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app.oci", [IMAGE])
    path = blob_path(layout, digest(IMAGE.manifest) if what == "manifest" else config_of(IMAGE))
    path.unlink()
    assert failure(layout) == f"cannot read {path}: No such file or directory"


@pytest.mark.parametrize("damage", [b"", b"{", b"x" * 100, b"y" * (5 * 1024 * 1024)], ids=["0", "1", "100", "5 MiB"])
@pytest.mark.parametrize("what", ["manifest", "config"])
def test_a_document_that_is_another_is_named(what: str, damage: bytes, tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app.oci", [IMAGE])
    path = blob_path(layout, digest(IMAGE.manifest) if what == "manifest" else config_of(IMAGE))
    path.write_bytes(damage)
    assert failure(layout) == f"{path} is not what its digest says: build the image anew"


def test_layers_need_not_be_there(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app.oci", [IMAGE])
    for name in layers_of(IMAGE):
        blob_path(layout, name).unlink()
    assert len(read_layout(layout).blobs) == 3


@pytest.mark.parametrize("case", ["nothing", "a file", "a folder"])
def test_what_is_no_layout_is_said_to_be_none(case: str, tmp_path: Path) -> None:
    path = tmp_path / "app.oci"
    if case == "a file":
        path.write_text("archive")
    elif case == "a folder":
        path.mkdir()
    assert failure(path).startswith(f"{path} is no image layout: ")


@pytest.mark.parametrize("name", ["sha256:../../../etc/passwd", "sha256:" + "A" * 64, "md5:" + "a" * 32, "x"])
def test_digests_that_are_none_lead_nowhere(name: str, tmp_path: Path) -> None:
    write_index(tmp_path / "app.oci", [entry_of(IMAGE.manifest) | {"digest": name}])
    assert "digest" in failure(tmp_path / "app.oci")


@given(data=st.data())
def test_a_damaged_layout_is_read_or_is_one_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    layout = tmp_path_factory.mktemp("layout")
    write_layout(layout, [IMAGE], "example.com/app", ["1"])
    document = data.draw(damaged(json.loads((layout / "index.json").read_text())))
    (layout / "index.json").write_text(json.dumps(document))
    value_or_message(lambda: read_layout(layout))


@given(data=st.data())
def test_a_damaged_document_is_read_or_is_one_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    layout = tmp_path_factory.mktemp("layout")
    raw = json.dumps(data.draw(damaged(json.loads(index_of([(IMAGE.manifest, {"platform": AMD64})]))))).encode()
    write_layout(layout, [IMAGE])
    write_blobs(layout, raw)
    kind = "application/vnd.oci.image.index.v1+json"
    write_index(layout, [{"mediaType": kind, "digest": digest(raw), "size": len(raw)}])
    value_or_message(lambda: read_layout(layout).base_name)


def test_the_one_layout_of_a_folder_is_found(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "app-1.oci", [IMAGE])
    (tmp_path / "app-1.oci.json").write_text("{}")
    (tmp_path / "app-1.whl").write_text("")
    assert find_layout(tmp_path) == layout


def test_several_layouts_are_named(tmp_path: Path) -> None:
    for number in (2, 1):
        write_layout(tmp_path / f"app-{number}.oci", [IMAGE])
    with pytest.raises(OCIError) as caught:
        find_layout(tmp_path)
    assert str(caught.value) == f"which image? in {tmp_path} there are app-1.oci, app-2.oci: name one"


@pytest.mark.parametrize("exists", [True, False], ids=["an empty folder", "no folder"])
def test_where_no_layout_is_one_is_to_be_built(exists: bool, tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    if exists:
        folder.mkdir()
    with pytest.raises(OCIError) as caught:
        find_layout(folder)
    assert str(caught.value) == f"no image in {folder}: run `hatch build -t oci`"
