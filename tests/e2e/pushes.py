"""`python -m hatch_oci push`, a registry to push to, and skopeo, which says whether it arrived."""

import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .projects import REPOSITORY, hatchling_build, layout_of, set_table
from .registries import OPENER, digest_of
from .samples import TABLE
from .shell import Finished, run

APP, COPY = "acme/app", "acme/copy"
# Where it belongs is not a part of the image: the digest is the same wherever it goes.
BELONGS = '\nrepository = "{env:BELONGS:example.com/app}"\n'
# So that each request is one for the image.
ALONE = "sbom = false\nattestations = false\n"


def push(env: Mapping[str, str], *options: str | Path, cwd: Path | None = None, expect: int | None = 0) -> Finished:
    """Push, from the user's home unless from a project."""
    # Coverage, where it is measured, goes to the repository.
    env = {"COVERAGE_FILE": str(REPOSITORY / ".coverage"), **env}
    return run(*push_command(*options), env=env, cwd=cwd or Path(env["HOME"]), expect=expect)


def push_command(*options: str | Path) -> tuple[str | Path, ...]:
    """Answer the command that pushes."""
    return (sys.executable, "-m", "hatch_oci", "push", *options)


def push_json(env: Mapping[str, str], *options: str | Path) -> dict[str, Any]:
    """Push, and answer what is said to other programs."""
    document: dict[str, Any] = json.loads(push(env, "--json", *options).stdout)
    return document


def push_error(env: Mapping[str, str], *options: str | Path) -> str:
    """Answer the one or two lines that a user reads when it fails, and see that they are no more than that."""
    done = push(env, *options, expect=1)
    assert not done.stdout
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("Warning", "Pushing"))]
    assert 1 <= len(lines) <= 2, done.stderr
    assert lines[0].startswith("Error: "), done.stderr
    return " ".join(lines)


def build_small(project: Path, env: Mapping[str, str]) -> Path:
    """Build an image of the sample and the project's static files, without a wheel; answer the layout."""
    set_table(project, TABLE + BELONGS + ALONE)
    hatchling_build(project, env)
    return layout_of(project)


def own_storage(storage: Path, target: Path) -> Path:
    """Answer a registry's storage that holds the same, and that may be written to."""
    shutil.copytree(storage, target, copy_function=os.link)
    return target


def top_digest(layout: Path) -> str:
    """Answer the digest of a layout's image."""
    entries = json.loads((layout / "index.json").read_text())["manifests"]
    (digest,) = {entry["digest"] for entry in entries}
    return str(digest)


def pull(reference: str, target: Path, env: Mapping[str, str], *options: str, tls: bool = False) -> str:
    """Pull all of an image with skopeo, which checks every blob; answer the digest of what the reference leads to."""
    shutil.rmtree(target, ignore_errors=True)
    source = f"docker://{reference}"
    copy = ("skopeo", "--insecure-policy", "copy", "--all", f"--src-tls-verify={str(tls).lower()}", *options)
    run(*copy, source, f"dir:{target}", env=env)
    return digest_of((target / "manifest.json").read_bytes())


def tags_of(registry: str, repository: str) -> list[str]:
    """Answer the tags of a repository, none where there is no such repository."""
    try:
        with OPENER.open(f"http://{registry}/v2/{repository}/tags/list", timeout=60) as response:
            return list(json.load(response)["tags"] or [])
    except urllib.request.HTTPError as error:
        with error:
            if error.code != 404:
                raise
            return []


def methods(requests: list[str]) -> list[str]:
    """Answer what was asked but for the question whether this is a registry: `METHOD KIND`, in order."""
    kinds = {"manifests": "manifest", "uploads": "upload", "blobs": "blob"}
    found = []
    for request in requests:
        method, _, target = request.partition(" ")
        path, _, query = target.partition("?")
        if path != "/v2/":
            kind = next(name for part, name in kinds.items() if f"/{part}/" in path)
            found.append(f"{method} {'mount' if 'mount=' in query else kind}")
    return found
