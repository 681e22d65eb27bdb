"""What dependencies are selected for: a Python in a base, on a platform."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from packaging.tags import Tag

from hatch_oci.base.python import Python, machine_name, supported_tags
from hatch_oci.image.platform import Platform


@dataclass(frozen=True)
class Target:
    """A Python in a base, on a platform."""

    python: Python
    platform: Platform

    def __str__(self) -> str:
        major, minor = self.python.minor
        threads = "t" if self.python.free_threaded else ""
        return f"{self.platform} (cp{major}{minor}{threads}, {self.python.libc})"

    @cached_property
    def tags(self) -> list[Tag]:
        """The tags of the wheels that run there, the most specific first."""
        return supported_tags(self.python, self.platform)

    @cached_property
    def environment(self) -> dict[str, str]:
        """All eleven variables of markers: a missing one would be taken from this machine (dependency specifiers)."""
        major, minor = self.python.minor
        return {
            "implementation_name": "cpython",
            "implementation_version": self.python.version,
            "os_name": "posix",
            "platform_machine": machine_name(self.platform),
            # What the kernel is that it will run on, nobody knows.
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.python.version,
            "platform_python_implementation": "CPython",
            "python_version": f"{major}.{minor}",
            "sys_platform": "linux",
        }
