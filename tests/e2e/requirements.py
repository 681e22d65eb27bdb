"""What a test needs of the machine: without it the test skips and says why, or fails where all is required."""

import os
import platform
import shutil
import sys
from typing import NoReturn

import pytest

from .shell import SEARCH_PATH


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it where `HATCH_OCI_REQUIRE_ALL` says that nothing may be missing."""
    if os.environ.get("HATCH_OCI_REQUIRE_ALL") == "1":
        pytest.fail(f"HATCH_OCI_REQUIRE_ALL is set, but this is missing: {reason}", pytrace=False)
    pytest.skip(f"missing: {reason}")


def require(*commands: str) -> None:
    """Go on only if every one of `commands` is installed."""
    absent = [command for command in commands if shutil.which(command, path=SEARCH_PATH) is None]
    if absent:
        missing(", ".join(absent))


def require_root() -> None:
    """Go on only as root, which debootstrap, umoci and runc want."""
    geteuid = getattr(os, "geteuid", None)
    if geteuid is None or geteuid() != 0:
        missing("root's rights")


def require_amd64() -> None:
    """Go on only where the images, which are for linux/amd64, can run."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        missing("Linux on x86_64")
