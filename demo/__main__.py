"""``python -m demo [BASE]``: build the example project into an image, start it, and show its page.

Without BASE, the base image is made from the Python that runs this, and served by a registry in this process.
"""

from __future__ import annotations

import argparse
import http.client
import importlib.util
import os
import signal
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from demo import DemoError
from demo.base import MANIFEST_TYPE, host_platform, python_image
from demo.registry import Manifest, Repository, serve
from demo.rootfs import assemble_python
from demo.start import running, start
from demo.unpack import LayoutImage, open_image, tags, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

EXAMPLE = Path(__file__).resolve().parent.parent / "example_project"


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the command line (default: the process's own); return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__.partition("\n\n")[2])
    parser.add_argument("base", nargs="?", metavar="BASE", help="a base image, such as python:3.13-slim")
    options = parser.parse_args(arguments)

    # So that everything below is stopped and removed then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with tempfile.TemporaryDirectory(prefix="hatch-oci-demo-") as folder:
            demonstrate(Path(folder), options.base)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:  # noqa: BLE001 (whatever it is, the user gets one line)
        kind = "" if isinstance(error, DemoError) else f"{type(error).__name__}: "
        print(f"demo: {kind}{error}", file=sys.stderr)
        return 1
    return 0


def demonstrate(folder: Path, base: str | None) -> None:
    """Build, start and show the example, with everything that takes files below ``folder``."""
    if importlib.util.find_spec("hatch") is None:
        message = f"Hatch is not installed for {sys.executable}; `hatch run demo` brings it"
        raise DemoError(message)
    # A base made here is of no use to later builds; one from a real registry is worth keeping.
    cache = {} if base else {"HATCH_OCI_CACHE_DIR": str(folder / "cache")}
    with nullcontext(base) if base else own_base(folder) as reference:
        say(f"Building example_project on {reference}")
        layout = build(folder, reference, cache)
    tag = tags(layout)[0]
    image = open_image(layout, tag)
    root = folder / "root"
    unpack(image, root)
    with start(root, image.configuration) as service:
        say(f"Started it ({service.way}); / on port {service.port} answers:")
        print(fetch(service.port, "/").rstrip())
        style = fetch(service.port, "/static/style.css")
        say(f"/static/style.css answers with {len(style)} bytes")
    say("The image")
    show(image, tag)


@contextmanager
def own_base(folder: Path) -> Iterator[str]:
    """Make a base image of the running Python; yield its reference in a registry that serves it."""
    say("Making a base image of the Python that runs this")
    version = assemble_python(folder / "base")
    base = python_image(folder / "base", version)
    tag = f"{sys.version_info.major}.{sys.version_info.minor}-slim"
    repository = Repository(base.blobs, {tag: Manifest(MANIFEST_TYPE, base.manifest)})
    with serve({"library/python": repository}) as registry:
        yield f"{registry.address}/library/python:{tag}"


def build(folder: Path, base: str, variables: Mapping[str, str]) -> Path:
    """Run ``hatch build -t oci`` for the example on the image ``base``; return the layout it made.

    ``variables`` are added to the environment.
    """
    # Where Hatch runs this, it tells by variables which environment that is: not the one for the build.
    env = {name: value for name, value in os.environ.items() if not name.startswith("HATCH_ENV")}
    env |= variables
    env["BASE_IMAGE"] = base
    env["PLATFORM"] = "/".join(host_platform().values())
    # Hatch keeps the build environment, and with it the plugin as it was when it was installed there.
    # With data of its own, the build runs the plugin as it is now, and leaves no environment behind.
    env["HATCH_DATA_DIR"] = str(folder / "hatch")
    output = folder / "dist"
    command = [sys.executable, "-m", "hatch", "build", "-t", "oci", str(output)]
    with running(command, cwd=EXAMPLE, env=env) as process:
        status = process.wait()
    if status:
        message = (
            f"hatch build -t oci ended with status {status}; it needs a package index (the network, as a rule), "
            "which has the plugin's own dependencies and the wheels of example_project/requirements.txt"
        )
        raise DemoError(message)
    layouts = list(output.glob("*.oci"))
    if len(layouts) != 1:
        message = f"hatch build -t oci made {len(layouts)} images in place of one"
        raise DemoError(message)
    return layouts[0]


def fetch(port: int, path: str) -> str:
    """Return what the service on ``port`` answers for ``path``."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        message = f"the service answers {response.status} for {path}"
        raise DemoError(message)
    return body


def show(image: LayoutImage, tag: str) -> None:
    """Print the image's digest and tag, and a table of its layers."""
    print(f"digest  {image.digest}\ntag     {tag}\n")
    steps = [step for step in image.configuration.get("history", []) if not step.get("empty_layer")]
    print(f"{'bytes':>12}  {'layer':<71}  made by")
    for number, layer in enumerate(image.manifest["layers"]):
        made_by = steps[number].get("created_by", "") if number < len(steps) else ""
        print(f"{layer['size']:>12,}  {layer['digest']}  {made_by}")


def say(text: str) -> None:
    """Print a heading, at once, as Hatch prints to the same terminal."""
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
