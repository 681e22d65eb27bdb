"""What the workers of pytest-xdist make once, and use together."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """Answer this session's folder, the same for every worker."""
    folder = factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Answer the folder that `make` fills for whichever worker comes first; it may use those beside it."""
    folder = shared_folder(factory)
    with locked(folder / f"{name}.lock"):
        if not (folder / name).exists():
            made = factory.mktemp(name) / "made"
            make(made)
            made.rename(folder / name)
    return folder / name


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until no other worker holds the lock in this file, and hold it until the block ends."""
    # Imported here: Windows has no fcntl.
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
