"""Locks and targets for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

from packaging.pylock import Pylock

from hatch_oci.base.python import Libc, Python
from hatch_oci.image.platform import Platform
from hatch_oci.lock.lockfile import Lock
from hatch_oci.lock.target import Target

SHA256 = "0" * 64
GLIBC = Libc("glibc", 2, 36)
MUSL = Libc("musl", 1, 2)


def target(
    platform: str = "linux/amd64", version: str = "3.12.4", libc: Libc = GLIBC, *, free_threaded: bool = False
) -> Target:
    """Return a target."""
    return Target(Python("/usr/bin/python3.12", version, free_threaded, libc), Platform.parse(platform))


def wheel(filename: str, **fields: Any) -> dict[str, Any]:
    """Return a lock's entry for a wheel."""
    return {"url": f"https://example.com/{filename}", "hashes": {"sha256": SHA256}, **fields}


def sdist(filename: str) -> dict[str, Any]:
    """Return a lock's entry for a source distribution."""
    return {"url": f"https://example.com/{filename}", "hashes": {"sha256": SHA256}}


def package(name: str, *tags: str, version: str = "1.0", **fields: Any) -> dict[str, Any]:
    """Return a lock's entry for a package with wheels of these tags."""
    escaped = name.replace("-", "_")
    wheels = [wheel(f"{escaped}-{version}-{tag}.whl") for tag in tags]
    return {"name": name, "version": version, **({"wheels": wheels} if wheels else {}), **fields}


def document(*packages: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a lock as its TOML reads."""
    return {"lock-version": "1.0", "created-by": "test", "packages": list(packages), **fields}


def lock(
    *packages: Mapping[str, Any], ask_extras: Sequence[str] = (), ask_groups: Sequence[str] = (), **fields: Any
) -> Lock:
    """Return a lock, asked for extras and groups."""
    content = Pylock.from_dict(document(*packages, **fields))
    return Lock("pylock.toml", Path(), content, frozenset(ask_extras), frozenset(ask_groups))


def write_lock(
    path: Path,
    wheels: Iterable[Path],
    *,
    head: str = "",
    more: str = "",
    markers: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Write a pylock.toml that pins wheels beside it, some of them under markers."""
    lines = ['lock-version = "1.0"', 'created-by = "test"', head]
    for one in wheels:
        name, version = one.name.split("-")[:2]
        digest = sha256(one.read_bytes()).hexdigest()
        relative = one.relative_to(path.parent).as_posix()
        lines += ["[[packages]]", f'name = "{name.replace("_", "-").lower()}"', f'version = "{version}"']
        if name in markers:
            lines.append(f'marker = "{markers[name]}"')
        lines += [f'wheels = [{{path = "{relative}", hashes = {{sha256 = "{digest}"}}}}]']
    path.write_text("\n".join([*lines, more]), "utf-8")
    return path
