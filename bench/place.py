"""Where cases are measured: a folder, a registry, and the samples that several of them take."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

from bench import BenchError
from bench.files import write_half_random
from bench.images import Layer, digest_of, layers_of, write_image
from bench.registry import serve
from bench.stack import PLATFORMS, gather, lock, say
from hatch_oci.store.blobs import BlobStore, cache_folder

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_MIB = 1024**2
SKOPEO = ("skopeo", "--insecure-policy", "copy", "--quiet")


@dataclass(frozen=True, slots=True)
class Image:
    """An image in the registry."""

    name: str
    digest: str
    layers: Sequence[Layer]
    """Without their files."""

    @property
    def tagged(self) -> str:
        """What names it by a tag."""
        return f"{self.name}:1"

    @property
    def pinned(self) -> str:
        """What names it by its digest."""
        return f"{self.name}@{self.digest}"

    @property
    def urls(self) -> list[str]:
        """Where its layers are."""
        host, _, repository = self.name.partition("/")
        return [f"http://{host}/v2/{repository}/blobs/{layer.digest}" for layer in self.layers]


class Place:
    """Makes each sample when it is first asked for; at the end of a `with` block the registry stops."""

    def __init__(self, folder: Path) -> None:
        """Use an empty folder, which the caller removes."""
        self._folder = folder
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the registry."""
        self._open.close()

    @cached_property
    def registry(self) -> str:
        """`host:port` of a registry."""
        return self._open.enter_context(serve(self._folder / "registry"))

    @cached_property
    def large_base(self) -> Image:
        """A base of 1 GiB: 8 layers of 128 MiB, which is what half-random files of 256 MiB make."""
        say("Making a base of 1 GiB")
        return self.base("large", 8, 256 * _MIB)

    @cached_property
    def python_base(self) -> Image:
        """A small base which has a Python, as far as a build looks at it."""
        folder = self._folder / "python"
        for path, content in (("usr/local/bin/python3.11", "#!/bin/false\n"), ("etc/hosts", "127.0.0.1 localhost\n")):
            (folder / path).parent.mkdir(parents=True)
            (folder / path).write_text(content, "utf-8")
            (folder / path).chmod(0o755)
        return self._pushed("python", [folder], ["PYTHON_VERSION=3.11.9"])

    @cached_property
    def wheels(self) -> Sequence[Path]:
        """The wheels of the stack, which stay in the user's cache."""
        folder = self._folder / "stack"
        folder.mkdir(parents=True)
        say("Fetching wheels")
        lock(folder)
        return [one.blob.path for one in gather(folder, BlobStore(cache_folder()))[PLATFORMS[0]]]

    def base(self, name: str, count: int, size: int) -> Image:
        """Push a base whose layers are half-random files of so many bytes; seeds differ."""
        return self._pushed(name, self._half_random(count, size))

    def _half_random(self, count: int, size: int) -> Iterator[Path]:
        for seed in range(count):
            folder = self._folder / "layer"
            write_half_random(folder / f"srv/{seed}.bin", size, seed)
            yield folder
            shutil.rmtree(folder)

    def _pushed(self, name: str, layers: Iterable[Path], env: Sequence[str] = ()) -> Image:
        layout = self._folder / "layout"
        write_image(layout, layers, env)
        target = f"{self.registry}/{name}"
        command = [*SKOPEO, "--dest-tls-verify=false", f"oci:{layout}:1", f"docker://{target}:1"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            message = f"skopeo cannot push a base: {done.stderr.strip()[-500:]}"
            raise BenchError(message)
        image = Image(target, digest_of(layout), layers_of(layout))
        shutil.rmtree(layout)
        return image
