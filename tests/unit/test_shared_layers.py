"""What two images share at the bottom changes nothing of what differs between them, whether it is read or not."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from demo.base import Image, Layer, digest, image
from hatch_oci.comparison.changes import FileChange
from hatch_oci.comparison.compare import compare
from hatch_oci.comparison.subject import open_subject
from hatch_oci.registry.remote import Remote
from hatch_oci.report import QUIET
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import AMD64
from tests.unit.filesystems import Member, file, folder, hard_link, link, opaque, tar_of, whiteout
from tests.unit.layouts import write_layout

LOWER = [folder("d"), file("d/a", b"1"), folder("d/e"), file("d/e/a", b"1"), file("a", b"1")]
PATHS = st.sampled_from(["a", "d", "d/a", "d/b", "d/e"])
MAKERS: list[Callable[[str], Member]] = [
    lambda path: file(path, b"1"),
    lambda path: file(path, b"2"),
    lambda path: folder(path, 0o700),
    lambda path: link(path, "a"),
    lambda path: link(path, "e"),
    lambda path: hard_link(path, "d/a"),
    whiteout,
    opaque,
]
# What both write at a path: the same, each something else, or only one of them something.
PAIRS = st.tuples(PATHS, st.sampled_from(MAKERS), st.sampled_from([*MAKERS, *MAKERS[:2] * 4, None]))


@settings(deadline=None, max_examples=80)
@given(layers=st.lists(st.lists(PAIRS, min_size=1, max_size=2), min_size=1, max_size=2))
def test_reading_it_changes_nothing(
    layers: list[list[tuple[str, Callable[[str], Member], Callable[[str], Member] | None]]],
) -> None:
    old = [[make(path) for path, make, _ in layer] for layer in layers]
    new = [[make(path) for path, _, make in layer if make] for layer in layers]
    found = changes([LOWER, *old], [LOWER, *new])
    # A file below all that only one has: nothing is shared then.
    read = changes([[file("z")], LOWER, *old], [LOWER, *new])
    assert found == [one for one in read if one.path != "/z"]


def changes(old: Sequence[Sequence[Member]], new: Sequence[Sequence[Member]]) -> list[FileChange]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, layers in (("old", old), ("new", new)):
            write_layout(root / name, [image_of(layers)])
        store, remote = BlobStore(root / "cache"), Remote()
        was, now = (open_subject(name, root, store, remote) for name in ("old", "new"))
        found = compare(was, now, store, QUIET)
    return [] if found.same else list(found.images[0].files)


def image_of(layers: Sequence[Sequence[Member]]) -> Image:
    tars = [tar_of(members) for members in layers]
    made = image([Layer(tar, digest(tar)) for tar in tars], {}, AMD64)
    return Image(made.manifest.replace(b"tar+gzip", b"tar"), made.blobs)
