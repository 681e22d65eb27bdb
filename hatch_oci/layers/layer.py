"""Layers: entries packed into the store, hashed on both sides of the compressor in one pass, on all cores."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

from hatch_oci import stopping
from hatch_oci.counts import Counts
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.layers import tar
from hatch_oci.layers.compress import BLOCK, COMPRESSIONS, Block, Deflated, Job
from hatch_oci.layers.entry import Entry, Packed
from hatch_oci.store.blobs import BlobStore


class Layer(NamedTuple):
    """A layer in the store."""

    descriptor: Descriptor
    diff_id: Digest
    summary: str
    """What it holds, for people: it is the layer's line in the image's history."""


def write_layer(entries: Collection[Entry], summary: str, compression: str, store: BlobStore) -> Layer:
    """Pack entries, which come complete and in order, with one of `COMPRESSIONS`.

    A `SourceError` where a file has not the size its entry says.
    """
    chosen = COMPRESSIONS[compression]
    plain = hashlib.sha256()
    with store.create() as writer, ExitStack() as stack:
        see: Callable[[Block], None] = plain.update
        do = _one_by_one
        if sum(entry.size for entry in entries) > BLOCK:
            # Not above: an app is mostly a single block, and threads take longer to import than that takes to pack.
            from hatch_oci.layers import threads

            see, do = stack.enter_context(threads.aside(plain.update)), threads.in_order
        blocks = _blocks(_parts(entries, see) if chosen.reuses else tar.pack(entries), see)
        if chosen.compresses:
            blocks = _counted(blocks, store.counts)
        for data in do(chosen.jobs(blocks)):
            stopping.check()
            writer.write(data)
    descriptor = Descriptor(chosen.media_type, writer.digest, writer.size)
    return Layer(descriptor, Digest("sha256", plain.hexdigest()), summary)


def _one_by_one(jobs: Iterable[Job]) -> Iterator[Block]:
    return (job() for job in jobs)


def _parts(entries: Iterable[Entry], see: Callable[[Block], None]) -> Iterator[Block | Deflated]:
    """Yield a tar in parts, of which those that are deflated already stay so; `see` is shown what is in these."""
    plain: list[Entry] = []
    for entry in entries:
        if entry.packed is None:
            plain.append(entry)
            continue
        yield from tar.members(plain)
        plain = []
        yield tar.header(entry)
        yield Deflated(entry.size, entry.packed.crc32, _seen(entry.packed, see))
        yield tar.padding(entry.size)
    yield from tar.pack(plain)


def _seen(packed: Packed, see: Callable[[Block], None]) -> Iterator[bytes]:
    for piece, content in packed.read():
        see(content)
        yield piece


def _blocks(parts: Iterable[Block | Deflated], see: Callable[[Block], None]) -> Iterator[Block | Deflated]:
    """Join the bytes among `parts`, and cut them at fixed places; `see` is shown each block."""
    pending: list[Block] = []
    size = 0
    for part in parts:
        if isinstance(part, Deflated):
            if size:
                yield _shown(b"".join(pending), see)
            pending, size = [], 0
            yield part
            continue
        pending.append(part)
        size += len(part)
        if size >= BLOCK:
            joined = memoryview(b"".join(pending))
            whole = size // BLOCK * BLOCK
            for start in range(0, whole, BLOCK):
                yield _shown(joined[start : start + BLOCK], see)
            pending = [joined[whole:]]
            size -= whole
    if size:
        yield _shown(b"".join(pending), see)


def _counted(blocks: Iterable[Block | Deflated], counts: Counts) -> Iterator[Block | Deflated]:
    """Count what is to be compressed among `blocks`."""
    size = 0
    for block in blocks:
        if not isinstance(block, Deflated):
            size += len(block)
        yield block
    counts.add("compressed", size)


def _shown(block: Block, see: Callable[[Block], None]) -> Block:
    see(block)
    return block
