"""What a pipeline's next step wants to know, written where it looks for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hatch_oci.errors import OutputError
from hatch_oci.image.digest import Digest

GITHUB_OUTPUT = "GITHUB_OUTPUT"


def tell_pipelines(digest: Digest, references: Sequence[str], digest_file: str | None) -> None:
    """Write the digest to `digest_file`, and append digest and references to the file that `GITHUB_OUTPUT` names.

    An `OutputError` where that is not possible.
    """
    try:
        if digest_file:
            Path(digest_file).write_text(f"{digest}\n", "utf-8")
        if outputs := os.environ.get(GITHUB_OUTPUT):
            with Path(outputs).open("a", encoding="utf-8") as file:
                file.write(f"digest={digest}\nreference={references[0]}\nreferences={' '.join(references)}\n")
    except OSError as error:
        message = f"cannot write {error.filename}: {error.strerror or error}"
        raise OutputError(message) from error
