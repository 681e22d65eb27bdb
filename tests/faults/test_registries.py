"""What strangers may serve."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.faults.conftest import Try


def test_no_layout_where_the_base_should_be(attempt: Try, tmp_path: Path) -> None:
    done = attempt(
        sys.executable, "-m", "hatch_oci", "inspect", "oci:nothing", folder=tmp_path, env={"HOME": str(tmp_path)}
    )
    done.check_refusal("nothing")
