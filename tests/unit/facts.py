"""What a store remembers, as it lies on disk: a line with the SHA-256 of the JSON that follows."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def read_fact(path: Path) -> Any:
    """Return a remembered value."""
    seal, _, raw = path.read_bytes().partition(b"\n")
    assert hashlib.sha256(raw).hexdigest().encode() == seal
    return json.loads(raw)


def write_fact(path: Path, raw: bytes) -> None:
    """Let these bytes be remembered, whole, as if another version had written them."""
    path.chmod(0o644)
    path.write_bytes(hashlib.sha256(raw).hexdigest().encode() + b"\n" + raw)
