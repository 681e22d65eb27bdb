"""The commands about what an image is made of: `pin`, `diff` and `verify`.

What each of them needs is imported by it: a push, which goes through here, too, has no use for it.
"""

from __future__ import annotations

import argparse
import json
import os
from contextlib import closing
from pathlib import Path

from hatch_oci.config import chosen_base, image_folder, registry_options
from hatch_oci.output.reading import find_layout
from hatch_oci.printing import print_result
from hatch_oci.registry.remote import Remote
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore, cache_folder

_IMAGE = "the path of a layout, a reference to a registry, or all else that `base-image` may be"


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them; each parsed command has a `run` that takes the options and a reporter, and returns its exit code."""
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
    diff_parser = commands.add_parser(
        "diff",
        help="tell what differs between two images",
        description="Tell what differs between two images: configuration, layers, packages and files, "
        "for each platform that both are for.",
    )
    for name in ("old", "new"):
        diff_parser.add_argument(name, help=_IMAGE)
    diff_parser.add_argument("--json", action="store_true", help="print JSON")
    diff_parser.set_defaults(run=_diff)
    verify_parser = commands.add_parser(
        "verify",
        help="tell whether an image is what the sources give",
        description="Build the project once more, beside, and compare; exit with 1 if that gives another image.",
    )
    verify_parser.add_argument("image", nargs="?", help=f"{_IMAGE}; by default the layout in dist")
    verify_parser.set_defaults(run=_verify)


def _pin(options: argparse.Namespace, reporter: Reporter) -> int:
    from hatch_oci.pinning import check, pin, update

    root, store = Path.cwd(), BlobStore(cache_folder())
    chosen = chosen_base(root)
    with closing(Remote(chosen.registries, reporter)) as remote:
        if options.check:
            holds, text = check(chosen, remote, store)
            print_result(text)
            return 0 if holds else 1
        print_result((update if options.update else pin)(chosen, root, remote, store))
    return 0


def _diff(options: argparse.Namespace, reporter: Reporter) -> None:
    from hatch_oci.comparison.compare import compare
    from hatch_oci.comparison.subject import check_whole, open_subject
    from hatch_oci.comparison.telling import to_json, to_text

    root, store = Path.cwd(), BlobStore(cache_folder())
    with closing(Remote(registry_options(root), reporter)) as remote:
        old, new = (open_subject(text, root, store, remote) for text in (options.old, options.new))
        for subject in (old, new):
            check_whole(subject)
        changes = compare(old, new, store, reporter)
    print_result(json.dumps(to_json(changes), indent=2) if options.json else to_text(changes))


def _verify(options: argparse.Namespace, reporter: Reporter) -> int:
    from hatch_oci.verification import verify

    root, store = Path.cwd(), BlobStore(cache_folder())
    text = options.image or str(find_layout(image_folder(root)))
    if options.quiet:
        # What a builder says goes by Hatch's own variable.
        os.environ["HATCH_QUIET"] = str(options.quiet)
    with closing(Remote(registry_options(root), reporter)) as remote:
        holds, verdict = verify(text, root, store, remote)
    print_result(verdict)
    return 0 if holds else 1
