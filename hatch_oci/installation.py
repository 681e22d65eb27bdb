"""What is installed into an image's venv: the dependencies of the lock, members of the workspace, and the app."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hatch_oci.layers.venv import Venv
from hatch_oci.layers.wheel import Wheel
from hatch_oci.lock.dependencies import Dependency
from hatch_oci.lock.groups import Group, Installable, group_wheels


class Installation(NamedTuple):
    """A venv, and the wheels that go into it."""

    venv: Venv
    dependencies: tuple[Dependency, ...] = ()
    members: tuple[Dependency, ...] = ()
    """Other packages of the project's workspace, which change as often as it."""

    app: Wheel | None = None
    """The project's own wheel, open."""

    @property
    def wheels(self) -> Iterator[Dependency]:
        """All but the app's."""
        yield from self.dependencies
        yield from self.members

    def groups(self, strategy: str, most: int) -> list[tuple[Group, tuple[Dependency, ...]]]:
        """Return the layers of dependencies, at most `most`, the lowest first, each with its wheels."""
        by_key = {one.facts.key: one for one in self.dependencies}
        groups = group_wheels([_installable(one) for one in self.dependencies], strategy, most)
        return [(group, tuple(by_key[key] for key in group.keys)) for group in groups]


def _installable(one: Dependency) -> Installable:
    return Installable(one.facts.key, one.facts.version, one.blob.size, one.facts.pure, one.upload_time)
