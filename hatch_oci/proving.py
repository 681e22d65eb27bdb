"""The commands about what an image is made of: `pin`."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

from hatch_oci.config import chosen_base
from hatch_oci.pinning import check, pin, update
from hatch_oci.registry.remote import Remote
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore, cache_folder


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `pin`; each parsed command has a `run` that takes the options and a reporter, and returns its exit code."""
    pin_parser = commands.add_parser(
        "pin",
        help="pin the base image by its digest",
        description="Write the digest of the project's base behind its tag, into the file where the target's table "
        "stands. An index's digest holds for all platforms.",
    )
    how = pin_parser.add_mutually_exclusive_group()
    how.add_argument("--update", action="store_true", help="move a pinned base to what its tag stands for today")
    how.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the tag has moved on")
    pin_parser.set_defaults(run=_pin)
    for parser in (pin_parser,):
        parser.add_argument("-v", "--verbose", action="count", default=0, help="tell of every request")
        parser.add_argument("-q", "--quiet", action="count", default=0, help="tell nothing but the result")


def _pin(options: argparse.Namespace, reporter: Reporter) -> int:
    root, store = Path.cwd(), BlobStore(cache_folder())
    chosen = chosen_base(root)
    with closing(Remote(chosen.registries, reporter)) as remote:
        if options.check:
            holds, text = check(chosen, remote, store)
            print(text)
            return 0 if holds else 1
        print((update if options.update else pin)(chosen, root, remote, store))
    return 0
