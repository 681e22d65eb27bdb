"""RPM's database, as far as it says which packages are installed: a table of SQLite's, with a header a package."""

from __future__ import annotations

import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

_NAME, _VERSION, _RELEASE, _EPOCH, _LICENCE, _ARCHITECTURE = 1000, 1001, 1002, 1003, 1014, 1022
_TEXTS = frozenset({_NAME, _VERSION, _RELEASE, _LICENCE, _ARCHITECTURE})
_INT32, _STRINGS = 4, (6, 9)
_MOST_TAGS = 65536
_MOST_STEPS = 10_000
"""Of a thousand instructions each: a table may turn out to be a query that never ends."""


def read_headers(database: bytes) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, version, architecture and licence of each package; a `ValueError` where that is not what it holds."""
    steps = iter(range(_MOST_STEPS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rpmdb.sqlite"
        path.write_bytes(database)
        try:
            # It is in a mode that keeps a second file beside it, which nobody may write here.
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
                connection.set_progress_handler(lambda: next(steps, None) is None, 1000)
                connection.execute("PRAGMA trusted_schema = OFF")
                for (header,) in connection.execute("SELECT blob FROM Packages"):
                    yield from _package(header)
        except (sqlite3.Error, struct.error, TypeError) as error:
            message = f"not a database of RPM's: {error}"
            raise ValueError(message) from error


def _package(header: bytes) -> Iterator[tuple[str, str, str, str]]:
    tags, size = struct.unpack_from(">II", header)
    start = 8 + 16 * tags
    if tags > _MOST_TAGS or len(header) < start + size:
        message = "a header ends too early"
        raise ValueError(message)
    found = {}
    for number in range(tags):
        tag, kind, offset, _ = struct.unpack_from(">IIII", header, 8 + 16 * number)
        if tag in _TEXTS and kind in _STRINGS:
            end = header.find(b"\0", start + offset)
            found[tag] = header[start + offset : end].decode("utf-8", "replace")
        elif tag == _EPOCH and kind == _INT32:
            found[tag] = str(struct.unpack_from(">I", header, start + offset)[0])
    epoch = f"{found[_EPOCH]}:" if found.get(_EPOCH, "0") != "0" else ""
    # A key that packages are signed with is kept as a package, too, which is for no architecture.
    if found.get(_NAME) and found.get(_ARCHITECTURE):
        version = f"{epoch}{found.get(_VERSION, '')}-{found.get(_RELEASE, '')}"
        yield found[_NAME], version, found[_ARCHITECTURE], found.get(_LICENCE, "")
