"""What there is to know of an image before building on it, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hatch_oci.base.look import Contents, fetch_and_look
from hatch_oci.base.open import open_source
from hatch_oci.base.resolve import Base, platforms_of, resolve_source
from hatch_oci.errors import BaseError
from hatch_oci.image.document import printable
from hatch_oci.image.platform import Platform
from hatch_oci.registry.pull import Reached
from hatch_oci.registry.remote import Remote
from hatch_oci.report import format_number, format_size
from hatch_oci.store.blobs import BlobStore

_WIDTH = 12
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class Inspection:
    """An image, for one of its platforms."""

    media_type: str
    platforms: tuple[Platform, ...]
    base: Base
    contents: Contents
    reached: Reached | None
    """None for an image that lies on this machine."""

    @property
    def size(self) -> int:
        """Bytes of config and layers, as they are stored."""
        return len(self.base.config.raw) + sum(layer.size for layer in self.base.layers)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        base, python = self.base, self.contents.python
        return {
            "reference": base.name,
            "digest": str(base.top_digest),
            "media-type": self.media_type,
            "platforms": list(map(str, self.platforms)),
            "platform": str(base.config.platform),
            "manifest-digest": str(base.digest),
            "config-digest": str(base.config.descriptor.digest),
            "size": self.size,
            "layers": [
                {"digest": str(layer.digest), "size": layer.size, "media-type": layer.media_type}
                for layer in base.layers
            ],
            "config": base.config.document.get("config") or {},
            "python": f"CPython {python.full_version}" if python else None,
            "libc": str(python.libc) if python else None,
            "reached": _reached_json(self.reached) if self.reached else None,
        }

    def to_text(self) -> str:
        """Return all of it for people, in lines."""
        base = self.base
        python = str(self.contents.python) if self.contents.python else f"none ({self.contents.problem})"
        rows = [
            ("Reference", base.name),
            ("Digest", f"{base.top_digest} {self.media_type}"),
            ("Platforms", ", ".join(map(str, self.platforms))),
            ("Platform", f"{base.config.platform} {base.digest}"),
            ("Size", f"{format_size(self.size)} in {format_number(len(base.layers), 'layer')}"),
            *(("", f"{layer.digest} {format_size(layer.size)} {layer.media_type}") for layer in base.layers),
            ("Config", str(base.config.descriptor.digest)),
            *(("", text) for text in _config_lines(base.config.document.get("config") or {})),
            ("Python", python),
            ("Reached", "on this machine" if self.reached is None else _reached_text(self.reached)),
        ]
        return "\n".join(f"{name:{_WIDTH}}{printable(text, _LONGEST)}".rstrip() for name, text in rows)


def inspect(text: str, platform: Platform, root: Path, store: BlobStore, remote: Remote) -> Inspection:
    """Find the image that `text` names and look into it, which fetches its layers; `root` is where paths start from."""
    source = open_source(remote, text, root, store)
    if source is None:
        message = "scratch is no image: there is nothing to inspect"
        raise BaseError(message)
    base = resolve_source(source, platform, store)
    _, contents = fetch_and_look(base, store, remote.reporter, None, None)
    return Inspection(
        media_type=source.top.media_type,
        platforms=tuple(platforms_of(source, store)),
        base=base,
        contents=contents,
        reached=source.repository().reached if source.repository else None,
    )


def _config_lines(config: Mapping[str, Any]) -> Iterator[str]:
    for key, value in sorted(config.items()):
        if isinstance(value, dict):
            yield from (f"{key} {name}={text}" if text else f"{key} {name}" for name, text in sorted(value.items()))
        elif key == "Env" and isinstance(value, list):
            yield from (f"{key} {variable}" for variable in value)
        elif value:
            yield f"{key} {value}"


def _reached_json(reached: Reached) -> dict[str, Any]:
    return {
        "registry": reached.registry,
        "mirror": reached.mirror,
        "scheme": reached.scheme,
        "credentials": reached.credentials,
        "redirects": list(reached.redirects),
    }


def _reached_text(reached: Reached) -> str:
    if reached.scheme is None:
        return "in the cache, without asking a registry"
    host = f"mirror {reached.mirror} of {reached.registry}" if reached.mirror else reached.registry
    credentials = f"with {reached.credentials}" if reached.credentials else "without credentials"
    stores = f", layers from {', '.join(reached.redirects)}" if reached.redirects else ""
    return f"{host} by {reached.scheme}, {credentials}{stores}"
