"""Images that were changed by somebody who thought of all digests."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from demo.base import Image, digest
from tests.unit.building import blob, read
from tests.unit.layouts import write_layout
from tests.unit.locked import layers


def top(layout: Path) -> str:
    (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    return str(entry["digest"])


def number_of(layout: Path, holds: str) -> int:
    """Return which layer holds that, counted from one."""
    return [*layers(layout)].index(holds) + 1


Edit = Callable[[tarfile.TarInfo, bytes], bytes]


def forged(layout: Path, holds: str, edit: Edit, at: Path) -> Path:
    """Write the image with an edited layer, whose digests are all right, into a layout of its own."""
    manifest, config = read(layout)
    number = number_of(layout, holds) - 1
    buffer = io.BytesIO()
    with (
        tarfile.open(blob(layout, manifest["layers"][number])) as old,
        tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as new,
    ):
        for info in old:
            content = old.extractfile(info) if info.isreg() else None
            data = edit(info, content.read() if content else b"")
            info.size = len(data)
            new.addfile(info, io.BytesIO(data))
    packed = gzip.compress(buffer.getvalue(), mtime=0)
    manifest["layers"][number] |= {"digest": digest(packed), "size": len(packed)}
    config["rootfs"]["diff_ids"][number] = digest(buffer.getvalue())
    kept = [blob(layout, one).read_bytes() for one in manifest["layers"] if one["digest"] != digest(packed)]
    return written(manifest, config, [packed, *kept], at)


def written(manifest: dict[str, Any], config: dict[str, Any], blobs: list[bytes], at: Path) -> Path:
    raw = json.dumps(config).encode()
    manifest["config"] |= {"digest": digest(raw), "size": len(raw)}
    return write_layout(at, [Image(json.dumps(manifest).encode(), {digest(one): one for one in (raw, *blobs)})])


def rewrite(at: str, change: Callable[[bytes], bytes]) -> Edit:
    """Return what changes the content of one file."""
    return lambda info, data: change(data) if f"/{info.name}" == at else data
