"""`python -m tests.faults`: try every attack and fault as often as docs/security.md says, and print a table."""

from __future__ import annotations

import sys

import pytest

from tests.faults.table import Table

# Nor in an order of chance: the table has a row for all tests of one function.
_PLUGINS = [part for name in ("terminal", "cacheprovider", "randomly") for part in ("-p", f"no:{name}")]

if __name__ == "__main__":
    chosen = sys.argv[1:] or ["tests/faults"]
    sys.exit(pytest.main([*_PLUGINS, "--full", *chosen], plugins=[Table()]))
