"""Registries and indexes, for those who mostly find in the cache what they would ask them for.

An HTTP client takes longer to import than a build takes that fetches nothing: it is imported here, once something is
to be fetched.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from hatch_oci.counts import Counts
from hatch_oci.registry.options import Patience, RegistryOptions
from hatch_oci.report import QUIET, Reporter

if TYPE_CHECKING:
    from hatch_oci.image.reference import Reference
    from hatch_oci.registry.pull import Repository
    from hatch_oci.registry.transport import Transport


class Remote:
    """What can be fetched from; may be shared between threads."""

    def __init__(
        self,
        options: RegistryOptions | None = None,
        reporter: Reporter = QUIET,
        patience: Patience | None = None,
        counts: Counts | None = None,
    ) -> None:
        """Reach registries as `options` say, when somebody needs one."""
        self.options = options or RegistryOptions()
        self.reporter = reporter
        self._patience = patience
        self._counts = counts
        self._lock = threading.RLock()
        self._transport: Transport | None = None
        self._repositories: dict[Reference, Repository] = {}

    @property
    def transport(self) -> Transport:
        """The connections, none of which is opened before the first request."""
        with self._lock:
            if self._transport is None:
                from hatch_oci.registry.transport import Transport

                self._transport = Transport(self.options, self.reporter, self._patience, self._counts)
            return self._transport

    def repository(self, reference: Reference) -> Repository:
        """Return the repository of an image, the same each time."""
        with self._lock:
            if reference not in self._repositories:
                from hatch_oci.registry.pull import Repository

                self._repositories[reference] = Repository(self.transport, reference)
            return self._repositories[reference]

    def close(self) -> None:
        """Close all connections."""
        if self._transport:
            self._transport.close()
