"""What is synced: files and folders, and those of file systems that know no such thing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from hatch_oci.store.syncing import sync


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("path", ["/proc/version", "/proc"])
def test_what_cannot_be_synced_is_left_as_it_is(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="Invalid argument"):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync(Path(path))


def test_what_is_not_there_cannot_be_synced(tmp_path: Path) -> None:
    sync(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync(tmp_path / "missing")
