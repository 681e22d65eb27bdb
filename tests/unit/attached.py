"""What goes with an image, as it lies in its layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from demo.base import digest
from tests.unit.layouts import blob_path
from tests.unit.locked import record

CYCLONEDX, SPDX = "application/vnd.cyclonedx+json", "application/spdx+json"
IN_TOTO = "application/vnd.in-toto+json"


def documents(result: Path, platform: str = "linux/amd64") -> dict[str, Any]:
    """Return the documents that go with an image, by their types."""
    listed = record(result)["platforms"][platform]["referrers"]
    return {one["type"]: json.loads(raw(result, one["document-digest"])) for one in listed}


def raw(result: Path, name: str) -> bytes:
    """Return a blob, which is what its digest says."""
    data = blob_path(result, name).read_bytes()
    assert digest(data) == name
    return data
