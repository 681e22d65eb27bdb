"""The commands that bring an image to where it runs: `push` and `load`."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_oci.config import image_folder, registry_options
from hatch_oci.errors import OCIError, OutputError
from hatch_oci.image.digest import Digest
from hatch_oci.loading import ENGINES, load_archive
from hatch_oci.output.archive import archive_pieces
from hatch_oci.output.docker import docker_files
from hatch_oci.output.outcome import tell_pipelines
from hatch_oci.output.reading import find_layout, read_layout
from hatch_oci.pushing import Pushed, push_image
from hatch_oci.registry.transport import Transport
from hatch_oci.report import Reporter
from hatch_oci.settings import SPARSE_VARIABLE
from hatch_oci.store.blobs import BlobStore, cache_folder

if TYPE_CHECKING:
    from hatch_oci.trust.signers import Signer

_LAYOUT = "an image layout; by default the one in dist"


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `push` and `load`; each parsed command has a `run` that takes the options and a reporter."""
    push = commands.add_parser(
        "push",
        help="push an image to a registry",
        description="Push what `hatch build -t oci` wrote, byte for byte. What the registry has is not sent.",
    )
    push.add_argument("layout", nargs="?", type=Path, help=_LAYOUT)
    push.add_argument(
        "--to", metavar="REPOSITORY", help="like ghcr.io/acme/app; by default where the image says it belongs"
    )
    push.add_argument("--tag", action="append", default=[], help="may come several times; by default the image's tags")
    push.add_argument("--build", action="store_true", help="build first, without fetching what the registry has")
    push.add_argument("--digest-file", metavar="FILE", help="write the digest there, too")
    signers = push.add_mutually_exclusive_group()
    signers.add_argument(
        "--sign", action="store_true", help="sign image and documents, for the identity that this pipeline has"
    )
    signers.add_argument(
        "--signer", metavar="COMMAND", help="sign by a program: a descriptor on its input, a signature on its output"
    )
    push.add_argument(
        "--trust-config", metavar="FILE", type=Path, help="with --sign: by another Sigstore than the public instance"
    )
    push.add_argument("--json", action="store_true", help="print JSON")
    push.set_defaults(run=_push)
    load = commands.add_parser(
        "load",
        help="load an image into a local engine",
        description="Stream what `hatch build -t oci` wrote into `docker load` or `podman load`.",
    )
    load.add_argument("layout", nargs="?", type=Path, help=_LAYOUT)
    load.add_argument("--engine", choices=ENGINES, help="by default the first that is installed")
    load.set_defaults(run=_load)


def _push(options: argparse.Namespace, reporter: Reporter) -> None:
    root, signer = Path.cwd(), _signer(options)
    layout = _build(root) if options.build else options.layout or find_layout(image_folder(root))
    image = read_layout(layout)
    signatures: tuple[Digest, ...] = ()
    with closing(Transport(registry_options(root), reporter)) as transport:
        pushed = push_image(image, options.to, options.tag, transport, BlobStore(cache_folder()))
        if signer:
            from hatch_oci.signing import sign_image

            signatures = sign_image(image, pushed.repository, signer, transport)
    tell_pipelines(pushed.digest, pushed.references, options.digest_file)
    print(json.dumps(_to_json(pushed, signatures), indent=2) if options.json else "\n".join(pushed.references))


def _signer(options: argparse.Namespace) -> Signer | None:
    """Return who is to sign, if anybody is; before anything is done, as that may be told to be impossible."""
    if options.trust_config and not options.sign:
        message = "--trust-config goes with --sign"
        raise OCIError(message)
    # Not above: most pushes sign nothing.
    if options.sign:
        from hatch_oci.trust.sigstore import sigstore_signer

        return sigstore_signer(options.trust_config)
    if options.signer is None:
        return None
    from hatch_oci.trust.signers import program_signer

    return program_signer(options.signer)


def _load(options: argparse.Namespace, reporter: Reporter) -> None:
    image = read_layout(options.layout or find_layout(image_folder(Path.cwd()))).to_write()
    if len(image.manifests) > 1:
        message = "an engine on this machine runs one platform: build for that one alone, and load it"
        raise OutputError(message)
    engine = load_archive(archive_pieces(docker_files(image)), options.engine)
    names = [f"{image.repository}:{tag}" for tag in image.tags]
    reporter.info(f"Loaded into {engine}; run it with `{engine} run --rm {names[0]}`")
    print("\n".join(names))


def _build(root: Path) -> Path:
    """Build the project at `root`, sparse, as `hatch build -t oci` would."""
    # Not above: a push alone has no use for a builder.
    from hatch_oci.builder import OCIBuilder

    os.environ[SPARSE_VARIABLE] = "1"
    (artifact,) = OCIBuilder(str(root)).build(versions=["layout"])
    return Path(artifact)


def _to_json(pushed: Pushed, signatures: Sequence[Digest]) -> dict[str, object]:
    return {
        "repository": pushed.repository,
        "digest": str(pushed.digest),
        "tags": list(pushed.tags),
        "references": pushed.references,
        "referrers": list(map(str, pushed.referrers)),
        "signatures": list(map(str, signatures)),
        "uploaded-bytes": pushed.uploaded,
    }
