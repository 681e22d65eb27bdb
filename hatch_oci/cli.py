"""The command line: what there is to do beside building."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from hatch_oci.config import registry_options
from hatch_oci.errors import OCIError
from hatch_oci.image.platform import Platform
from hatch_oci.printing import print_result
from hatch_oci.proving import add_commands as add_proving
from hatch_oci.registry.remote import Remote
from hatch_oci.report import Reporter
from hatch_oci.shipping import add_commands as add_shipping
from hatch_oci.store.blobs import BlobStore, cache_folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; return the exit code: 0, 1 after an error or a no, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        # A command that has nothing but its result to tell returns none.
        return int(options.run(options, _reporter(options)) or 0)
    except OCIError as error:
        _complain(str(error), options.verbose)
    except BrokenPipeError:
        # Whoever reads has read enough.
        return 1
    except OSError as error:
        _complain(f"cannot use {error.filename}: {error.strerror}" if error.filename else str(error), options.verbose)
    except KeyboardInterrupt:
        return 130
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hatch_oci", description="Container images of Python projects.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    inspect_parser = commands.add_parser(
        "inspect",
        help="tell what an image is, and how it is reached",
        description="Tell what an image is, which Python it holds, and how it is reached. The keys about registries in "
        "the pyproject.toml of this folder hold here, too.",
    )
    inspect_parser.add_argument(
        "reference",
        help="like python:3.13-slim, oci:PATH[:TAG], or all else that `base-image` may be",
    )
    inspect_parser.add_argument("--platform", default="linux/amd64", help="which image of several (%(default)s)")
    inspect_parser.add_argument("--json", action="store_true", help="print JSON")
    inspect_parser.set_defaults(run=_inspect)
    add_shipping(commands)
    add_proving(commands)
    for command in commands.choices.values():
        command.add_argument("-v", "--verbose", action="count", default=0, help="tell of every request")
        command.add_argument("-q", "--quiet", action="count", default=0, help="tell nothing but the result")
    return parser


def _inspect(options: argparse.Namespace, reporter: Reporter) -> None:
    # Not above: a push has no use for what looks into images.
    from hatch_oci.inspection import inspect

    root = Path.cwd()
    with closing(Remote(registry_options(root), reporter)) as remote:
        platform = Platform.parse(options.platform)
        found = inspect(options.reference, platform, root, BlobStore(cache_folder()), remote)
    print_result(json.dumps(found.to_json(), indent=2) if options.json else found.to_text())


def _tell(text: str) -> None:
    # Not to the standard output, where Python prints if there is nothing else.
    if sys.stderr is not None:
        # In one piece: threads tell things at the same time.
        sys.stderr.write(f"{text}\n")


def _reporter(options: argparse.Namespace) -> Reporter:
    def say_nothing(_text: str) -> None:
        pass

    return Reporter(
        info=say_nothing if options.quiet else _tell,
        warn=say_nothing if options.quiet > 1 else lambda text: _tell(f"Warning: {text}"),
        debug=_tell if options.verbose else say_nothing,
        live=not options.quiet and sys.stderr is not None and sys.stderr.isatty(),
    )


def _complain(message: str, verbose: int) -> None:
    if verbose:
        _tell(traceback.format_exc().rstrip())
    _tell(f"Error: {message}")
