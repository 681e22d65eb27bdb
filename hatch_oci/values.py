"""What each key of the target's table may say: readers of single keys, which note mistakes in the table."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from hatch_oci.base.name import check_base_name
from hatch_oci.base.python import Libc
from hatch_oci.errors import DocumentError, InvalidReference, PlatformError
from hatch_oci.image.media_types import FAMILIES
from hatch_oci.image.platform import Platform
from hatch_oci.image.reference import Reference, is_tag
from hatch_oci.layers.compress import COMPRESSIONS
from hatch_oci.layers.folder import Copy
from hatch_oci.table import Table

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

Words = tuple[str, ...] | Literal["inherit"] | None
"""A command line, the base's, or what the default is."""

_NEWEST_PYTHON = 15
"""The minor of the newest `python:3.X-slim`."""

_COPY_KEYS = ("from", "to", "include", "exclude", "mode", "owner")

_ABSOLUTE = "must be an absolute path in the image, without `..`"

_LONGEST_SHEBANG = 127
"""Bytes: what every Linux kernel in use reads of a script's first line."""

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?"
_USER = re.compile(rf"{_NAME}(:{_NAME})?")
_SIGNAL = re.compile(r"SIG[A-Z][A-Z0-9]*([+-]\d{1,2})?|[1-9]|[1-5]\d|6[0-4]")

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")


def read_base_image(table: Table, allowed: SpecifierSet) -> str:
    """Return the base's name, by default that of the newest official image whose Python the project allows."""
    text = table.text("base-image")
    if not text:
        return _default_base(table, allowed)
    try:
        check_base_name(text)
    except InvalidReference as error:
        table.wrong("base-image", f"is {error}")
    return text


def _default_base(table: Table, allowed: SpecifierSet) -> str:
    for minor in range(_NEWEST_PYTHON, 6, -1):
        # A bound such as >=3.12.4 or <=3.12 speaks of patch releases: any will do.
        if any(allowed.contains(f"3.{minor}.{patch}") for patch in (0, 99)):
            return f"python:3.{minor}-slim"
    if "base-image" not in table.values:
        table.wrong("base-image", f"must be set: there is no python:3.X-slim for requires-python = {str(allowed)!r}")
    return ""


def read_platforms(table: Table) -> tuple[Platform, ...]:
    """Return the platforms, in the order in which they stand there."""
    texts = table.texts("platforms", ("linux/amd64",))
    if not texts:
        table.wrong("platforms", "must hold at least one platform")
    platforms = []
    for number, text in enumerate(texts, 1):
        if not text:
            continue
        try:
            platforms.append(Platform.parse(text))
        except PlatformError as error:
            table.wrong_element("platforms", number, f"is {error}")
    if len(set(platforms)) != len(platforms):
        table.wrong("platforms", "holds a platform twice")
    return tuple(platforms)


def read_repository(table: Table, default: str) -> str:
    """Return where the image belongs."""
    repository = table.text("repository", default)
    try:
        Reference.parse(f"{repository}:tag")
    except DocumentError:
        table.wrong("repository", "must be like ghcr.io/acme/app: lower case, without a tag or a scheme")
    return repository


def read_tags(table: Table, version: str) -> tuple[str, ...]:
    """Return the tags, each once; the version by default."""
    tags = tuple(re.sub(r"[+!]", "-", tag) for tag in table.texts("tags", (version,)))
    if not tags:
        table.wrong("tags", "must hold at least one tag")
    elif "tags" not in table.wrong_keys:
        for number, tag in enumerate(tags, 1):
            if not is_tag(tag):
                table.wrong_element("tags", number, f"is no tag, at most 128 letters, digits and ._-: {tag!r}")
    return tuple(dict.fromkeys(tags))


def read_wheel(table: Table) -> bool | str:
    """Return whether there is a wheel in the image, or the glob that finds it."""
    value = table.values.get("wheel", True)
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return table.text("wheel")
    table.wrong("wheel", "must be a boolean or a string")
    return True


def read_prefix(table: Table) -> str:
    """Return where the venv lies."""
    prefix = _absolute(table, "prefix", table.text("prefix", "/app/.venv"))
    if prefix == "/":
        table.wrong("prefix", "must not be the root: the venv needs a folder of its own")
    if re.search(r"\s", prefix) or len(f"#!{prefix}/bin/python".encode()) > _LONGEST_SHEBANG:
        table.wrong("prefix", "must be short and without spaces, since scripts name it in their first line")
    return prefix


def read_copy(table: Table) -> Copy:
    """Return what one table of `copy` says."""
    table.check_keys(_COPY_KEYS)
    for key in ("from", "to"):
        if key not in table.values:
            table.wrong(key, "is missing")
    target = table.text("to", "/")
    mode = table.text("mode", "0")
    owner = table.text("owner", "0")
    if not re.fullmatch(r"[0-7]{1,4}", mode):
        table.wrong("mode", 'must be an octal string like "0644"')
    if not re.fullmatch(r"\d{1,9}(:\d{1,9})?", owner):
        table.wrong("owner", 'must be numbers like "1000" or "1000:1000"')
        owner = "0"
    uid, _, gid = owner.partition(":")
    return Copy(
        source=table.text("from"),
        target=_absolute(table, "to", target) + ("/" if target.endswith("/") and target != "/" else ""),
        include=table.texts("include"),
        exclude=table.texts("exclude"),
        mode=int(mode, 8) if "mode" in table.values and re.fullmatch(r"[0-7]{1,4}", mode) else None,
        uid=int(uid),
        gid=int(gid or uid),
    )


def read_words(table: Table, key: str) -> Words:
    """Return a command line, as an array or as a shell would split it."""
    value = table.values.get(key)
    if value is None:
        return None
    if isinstance(value, list):
        return table.texts(key)
    if not isinstance(value, str):
        table.wrong(key, "must be an array or a string")
        return None
    text = table.text(key)
    try:
        return "inherit" if text == "inherit" else tuple(shlex.split(text))
    except ValueError as error:
        table.wrong(key, f"cannot be split as a shell would: {error}")
        return None


def read_env(table: Table) -> Mapping[str, str]:
    """Return the variables."""
    env = table.text_table("env")
    for name in env:
        if not name or "=" in name:
            table.wrong(f"env.{name}", "is no variable's name")
    return env


def read_ports(table: Table) -> tuple[str, ...]:
    """Return the ports, each with its protocol."""
    ports = []
    for number, value in enumerate(table.array("ports"), 1):
        text = table.element("ports", number, value) if isinstance(value, str) else repr(value)[:10]
        if value and not text:
            continue
        match = re.fullmatch(r"(\d{1,5})(?:/(tcp|udp|sctp))?", text)
        if match is None or not 1 <= int(match[1]) <= 65535:
            table.wrong_element("ports", number, 'must be a port like 8080 or "53/udp"')
            continue
        ports.append(f"{int(match[1])}/{match[2] or 'tcp'}")
    return tuple(ports)


def read_volumes(table: Table) -> tuple[str, ...]:
    """Return the volumes."""
    paths = table.texts("volumes")
    if "volumes" not in table.wrong_keys:
        for number, path in enumerate(paths, 1):
            if not _is_absolute(path):
                table.wrong_element("volumes", number, f"{_ABSOLUTE}: {path!r}")
    return tuple(_plain(path) for path in paths)


def read_user(table: Table) -> str | None:
    """Return the user, and maybe the group, that the image runs as."""
    user = table.optional_text("user")
    if user and not _USER.fullmatch(user):
        table.wrong("user", 'must be a name or a number, maybe with a group, like "app" or "1000:1000"')
    return user


def read_stop_signal(table: Table) -> str | None:
    """Return the signal that stops the image."""
    signal = table.optional_text("stop-signal")
    if signal and not _SIGNAL.fullmatch(signal):
        table.wrong("stop-signal", 'must be like "SIGTERM", or the number of a signal')
    return signal


def read_created(table: Table, timestamp: int) -> str:
    """Return the date of the image, `timestamp` by default."""
    if "created" not in table.values:
        return _rfc3339(datetime.fromtimestamp(timestamp, UTC))
    created = table.text("created", "now")
    if created == "now":
        return _rfc3339(datetime.now(UTC))
    created = created.upper()
    try:
        datetime.fromisoformat(created)
        valid = _RFC3339.fullmatch(created) is not None
    except ValueError:
        valid = False
    if not valid:
        table.wrong("created", 'must be "now" or a time like "2026-01-31T12:00:00Z"')
    return created


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def read_format(table: Table) -> str:
    """Return the name of the media types' family."""
    name = table.choice("format", tuple(FAMILIES))
    if table.values.get("annotations") and not FAMILIES[name].has_annotations:
        table.wrong("annotations", f"cannot be there with format = {name!r}, whose manifests have none: set `labels`")
    return name


def read_compression(table: Table) -> str:
    """Return the name of a compression, whose library is at hand."""
    name = table.choice("compression", tuple(COMPRESSIONS))
    chosen = COMPRESSIONS[name]
    if missing := chosen.missing():
        table.wrong("compression", f"= {name!r} needs {missing}")
    elif chosen.media_type not in FAMILIES[table.choice("format", tuple(FAMILIES))].layers:
        table.wrong("compression", f"= {name!r} makes layers that format = 'docker' cannot say")
    return name


def read_libc(table: Table) -> Libc | None:
    """Return the C library that was told, if any."""
    text = table.optional_text("libc")
    match = re.fullmatch(r"(glibc|musl)[ -]?(\d{1,3})\.(\d{1,3})(?:\.\d+)?", text) if text else None
    if text and match is None:
        table.wrong("libc", 'must be like "glibc 2.36" or "musl 1.2"')
    return Libc(match[1], int(match[2]), int(match[3])) if match else None


def optional_path(table: Table, key: str) -> str | None:
    """Return an absolute path of the image, if one is given."""
    text = table.optional_text(key)
    return _absolute(table, key, text) if text else None


def _absolute(table: Table, key: str, path: str) -> str:
    """Return an absolute path of the image, without what says nothing in it."""
    if not _is_absolute(path):
        table.wrong(key, f"{_ABSOLUTE}: {path!r}")
    return _plain(path)


def _is_absolute(path: str) -> bool:
    return path.startswith("/") and ".." not in path.split("/") and "\0" not in path


def _plain(path: str) -> str:
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))
