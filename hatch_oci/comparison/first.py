"""The first thing that an image has otherwise than another that should be the same, down to the byte."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import IO

from hatch_oci.comparison.changes import Change
from hatch_oci.comparison.compare import attribute_changes
from hatch_oci.comparison.contents import Described, LayerKey, describe, open_member
from hatch_oci.comparison.subject import LayerFacts, OneImage, Subject
from hatch_oci.errors import ContentError
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.document import printable

_CHUNK = 64 * 1024
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is otherwise in the `image` than in what was `built` now."""

    where: str
    what: str
    path: str = ""
    """The file in the image, if it is about one."""

    compressed: bool = False
    """Whether the same files are but compressed otherwise."""


def first_layer(old: OneImage, new: OneImage, paths: tuple[Sequence[LayerKey], Sequence[LayerKey]]) -> Finding | None:
    """Return what the first layer that is another has otherwise; None where all layers are the same.

    `paths` are the files with the layers of both.
    """
    for number, (was, now) in enumerate(zip_longest(old.layers, new.layers), 1):
        where = _where(number, was, now)
        if was is None or now is None:
            return Finding(where, "is only in the image" if was else "is only built now")
        if was.diff_id != now.diff_id:
            listings = [list(describe(*keys[number - 1])) for keys in paths]
            found = _first_member(where, listings[0], listings[1], [keys[number - 1][0] for keys in paths])
            return found or Finding(where, "has the same files, but its tar is written otherwise")
        if was.descriptor.digest != now.descriptor.digest:
            with paths[0][number - 1][0].open("rb") as one, paths[1][number - 1][0].open("rb") as other:
                byte = first_byte(one, other)
            return Finding(where, f"has the same files, compressed to other bytes: {byte}", compressed=True)
    return None


def damage(subject: Subject, blob: Descriptor, whole: Path | None) -> Finding:
    """Return where a blob is not what its digest says; `whole` is the file of one that is, if there is one."""
    where = _place(subject, blob)
    what = f"is not what its digest {blob.digest} says"
    if whole is None:
        return Finding(where, what)
    with _copy(subject, blob) as damaged:
        with damaged.open("rb") as one, whole.open("rb") as other:
            byte = first_byte(one, other)
        readable, right = _readable(damaged), _readable(whole)
        found = _end_of(where, readable, right) or _first_member(where, readable, right, [damaged, whole])
    if found is None:
        return Finding(where, f"{what}: {byte}")
    return Finding(found.where, f"{found.what}; it {what}: {byte}", found.path)


def first_byte(old: IO[bytes], new: IO[bytes]) -> str:
    """Return where two contents differ first, and what stands there: lines where it is text."""
    position = line = 0
    while True:
        was, now = old.read(_CHUNK), new.read(_CHUNK)
        if was != now or not was:
            break
        position += len(was)
        line += was.count(b"\n")
    pairs = enumerate(zip(was, now, strict=False))
    at = next((at for at, (one, other) in pairs if one != other), min(len(was), len(now)))
    line += was[:at].count(b"\n") + 1
    start = was.rfind(b"\n", 0, at) + 1
    texts = [_text(chunk[start:].split(b"\n")[0]) for chunk in (was, now)]
    if all(texts):
        return f"byte {position + at}, line {line}: {texts[0]} in the image, {texts[1]} built now"
    one, other = (f"0x{chunk[at]:02x}" if at < len(chunk) else "its end" for chunk in (was, now))
    return f"byte {position + at}: {one} in the image, {other} built now"


def _first_member(
    where: str, old: Sequence[Described], new: Sequence[Described], paths: Sequence[Path]
) -> Finding | None:
    """Return what the first member has otherwise, of two layers that have their members in order."""
    names = [{one.member.name for one in listing} for listing in (old, new)]
    for was, now in zip_longest(old, new):
        if was == now:
            continue
        if was and was.member.name not in names[1]:
            return _finding(where, was.member.name, "is only in the image")
        if now and now.member.name not in names[0]:
            return _finding(where, now.member.name, "is only built now")
        if was is None or now is None or was.member.name != now.member.name:
            return _finding(where, next(one.member.name for one in (was, now) if one), "stands elsewhere in the tar")
        name = was.member.name
        changes = attribute_changes(was.attributes, now.attributes)
        return _finding(where, name, ", ".join(_attribute(change, name, paths) for change in changes))
    return None


def _end_of(where: str, damaged: Sequence[Described], whole: Sequence[Described]) -> Finding | None:
    """Return where a layer ends that is right as far as it can be read."""
    count = len(damaged)
    if count < len(whole) and damaged == whole[:count]:
        return _finding(where, whole[count].member.name, "cannot be read")
    return None


def _finding(where: str, name: str, what: str) -> Finding:
    path = f"/{name.strip('./')}" if name.startswith("./") else f"/{name.strip('/')}"
    return Finding(where, f"{printable(path, 4096)}: {what}", path)


def _attribute(change: Change, name: str, paths: Sequence[Path]) -> str:
    if change.name != "content":
        return f"{change.name} {change.old or 'none'} in the image, {change.new or 'none'} built now"
    # A damaged layer may not be readable as far as this.
    with suppress(ContentError), open_member(paths[0], name) as one, open_member(paths[1], name) as other:
        return f"content, {first_byte(one, other)}"
    return "content"


def _readable(path: Path) -> list[Described]:
    """Return the members of a layer, as far as it can be read."""
    found: list[Described] = []
    with suppress(ContentError):
        # One by one: what came before the damage is kept.
        found.extend(describe(path, None))
    return found


@contextmanager
def _copy(subject: Subject, blob: Descriptor) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / blob.digest.hex
        with path.open("wb") as file:
            file.writelines(subject.source.read_blob(blob))
        yield path


def _place(subject: Subject, blob: Descriptor) -> str:
    for image in subject.images.values():
        for number, layer in enumerate(image.layers, 1):
            if layer.descriptor.digest == blob.digest:
                return _where(number, layer, layer)
    return "the configuration"


def _where(number: int, was: LayerFacts | None, now: LayerFacts | None) -> str:
    holds = dict.fromkeys(printable(layer.holds, _LONGEST) for layer in (was, now) if layer and layer.holds)
    return f"layer {number} ({'; built now: '.join(holds)})" if holds else f"layer {number}"


def _text(line: bytes) -> str:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return repr(text[:_LONGEST]) if text.isprintable() else ""
