"""All parsers by name, and what is asked of each: a value, or an `OCIError` that says why not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fuzz import files, texts
from fuzz.texts import Parser
from hatch_oci.errors import ConfigError, LockError, OCIError

PARSERS: Mapping[str, Parser] = {**texts.PARSERS, **files.PARSERS}

CORPUS = Path(__file__).parent.parent / "tests" / "corpus"
"""Inputs that are kept, in a folder for each parser, by their hashes."""

_LONGEST = 2000
_SEVERAL = ConfigError | LockError
"""They tell all mistakes at once, a line each."""


def examine(name: str, data: bytes) -> bool:
    """Tell whether a parser takes `data`; anything but a value or a clear refusal goes on as an exception."""
    try:
        PARSERS[name](data)
    except OCIError as error:
        check(error)
        return False
    except OSError as error:
        # The commands tell of these, and which file it is.
        assert error.filename, error  # noqa: PT017
        return False
    return True


def check(error: OCIError) -> None:
    """See that a refusal is a line or two of plain text."""
    lines = str(error).split("\n")
    assert all(line.strip() and line.isprintable() for line in lines), ascii(str(error))
    assert all(len(line) <= _LONGEST for line in lines), ascii(str(error)[:_LONGEST])
    assert len(lines) <= 2 or isinstance(error, _SEVERAL), ascii(str(error))
