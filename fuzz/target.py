"""`python -m fuzz.target PARSER [option of libFuzzer]… [folder]…`: fuzz one parser, with coverage as a guide."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["hatch_oci", "packaging"]):
    from fuzz.parsers import examine


def main(name: str, *arguments: str) -> None:
    """Hand over to libFuzzer, which does not come back."""
    # By the first word it starts itself again, in a shell, when it merges.
    itself = f"{sys.executable} -m fuzz.target {name}"
    atheris.Setup([itself, *arguments], lambda data: examine(name, data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
