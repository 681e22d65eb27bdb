"""Hatch imports the plugin in each build, also in those of other targets: that must be cheap, and touch little."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What a build has imported before it comes to plugins.
NEW = """
import sys
import hatchling.builders.wheel, hatchling.metadata.core, hatchling.plugin.manager
before = set(sys.modules)
import hatch_oci.plugin
{statement}
print(*sorted(set(sys.modules) - before))
"""
# What would reach a network, start something else, or open what a registry sent.
NEVER = {
    "httpx",
    "httpcore",
    "h11",
    "anyio",
    "ssl",
    "certifi",
    "urllib.request",
    "http.client",
    "netrc",
    "keyring",
    "uv",
}
NEVER |= {"tarfile", "zstandard", "backports.zstd", "marshal", "publicsuffixlist", "asyncio", "concurrent.futures"}


def imported(statement: str) -> set[str]:
    """Return what is imported by the plugin, and by `statement`."""
    command = [sys.executable, "-c", NEW.format(statement=statement)]
    return set(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split())


def test_the_plugin_imports_nothing_but_itself() -> None:
    assert imported("") == {"hatch_oci", "hatch_oci.plugin"}


def test_its_builder_imports_nothing_of_a_network() -> None:
    found = imported("hatch_oci.plugin.hatch_register_builder()")
    assert "hatch_oci.builder" in found
    assert not found & NEVER
    others = {name.partition(".")[0] for name in found} - sys.stdlib_module_names
    assert others <= {"hatch_oci", "hatchling", "packaging", "zlib_ng"}
