"""The door to the registries: what is behind it is shared, and mostly not even imported."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from demo.base import digest
from hatch_oci.image.reference import Reference
from hatch_oci.registry.remote import Remote
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import resolve_with, served, small_image

ROOT = Path(__file__).parents[2]
# What a build that finds all in the cache resolves its base with, and what it must not take the time to import.
RESOLVE = """
import sys
from pathlib import Path
from hatch_oci.base.resolve import resolve
from hatch_oci.image.platform import Platform
from hatch_oci.registry.remote import Remote
from hatch_oci.store.blobs import BlobStore
reference, folder = sys.argv[1:]
base = resolve(reference, Platform("linux", "amd64"), Path(), BlobStore(Path(folder)), Remote())
print(base.digest, *{name.partition(".")[0] for name in sys.modules} & {"httpx", "httpcore", "h11", "ssl", "tarfile"})
"""


def test_a_pinned_base_in_the_cache_is_resolved_without_importing_what_fetches(store: BlobStore) -> None:
    image = small_image()
    with served(image) as registry:
        reference = f"{registry.address}/app@{digest(image.manifest)}"
        resolve_with(reference, store)
    command = [sys.executable, "-c", RESOLVE, reference, str(store.folder.parent)]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert said.split() == [digest(image.manifest)]


def test_threads_share_connections_and_repositories() -> None:
    reference = Reference.parse("registry.invalid/app:1")
    with closing(Remote()) as remote, ThreadPoolExecutor(8) as pool:
        repositories = list(pool.map(lambda _: remote.repository(reference), range(32)))
        transports = list(pool.map(lambda _: remote.transport, range(32)))
    assert len(set(map(id, repositories))) == len(set(map(id, transports))) == 1
