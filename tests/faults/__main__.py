"""`python -m tests.faults`: try every attack and fault as often as docs/security.md says, and print a table."""

from __future__ import annotations

import sys

import pytest

from tests.faults.table import Table

if __name__ == "__main__":
    chosen = sys.argv[1:] or ["tests/faults"]
    sys.exit(pytest.main(["-p", "no:terminal", "-p", "no:cacheprovider", "--full", *chosen], plugins=[Table()]))
