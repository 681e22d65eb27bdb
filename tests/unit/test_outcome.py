"""What a pipeline's next step reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from hatch_oci.errors import OutputError
from hatch_oci.image.digest import Digest
from hatch_oci.output.outcome import tell_pipelines

DIGEST = Digest.of(b"image")
REFERENCES = ["ghcr.io/acme/app:1.0", "ghcr.io/acme/app:latest", f"ghcr.io/acme/app@{DIGEST}"]


def test_without_anybody_who_wants_to_know_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tell_pipelines(DIGEST, REFERENCES, None)
    assert list(tmp_path.iterdir()) == []


def test_the_digest_goes_to_its_file(tmp_path: Path) -> None:
    path = tmp_path / "digest.txt"
    path.write_text(
        "an older and much longer digest, which is not to be seen any more, not even the end of it, really\n"
    )
    tell_pipelines(DIGEST, REFERENCES, str(path))
    assert path.read_text() == f"{DIGEST}\n"


def test_github_reads_digest_and_references_after_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = tmp_path / "outputs"
    outputs.write_text("earlier=step\n")
    monkeypatch.setenv("GITHUB_OUTPUT", str(outputs))
    tell_pipelines(DIGEST, REFERENCES, None)
    assert outputs.read_text().splitlines() == [
        "earlier=step",
        f"digest={DIGEST}",
        "reference=ghcr.io/acme/app:1.0",
        f"references={' '.join(REFERENCES)}",
    ]


def test_an_empty_variable_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", "")
    monkeypatch.chdir(tmp_path)
    tell_pipelines(DIGEST, REFERENCES, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_file_that_cannot_be_written_is_named(by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "nowhere" / "file"
    monkeypatch.setenv("GITHUB_OUTPUT", str(path) if by == "variable" else "")
    with pytest.raises(OutputError, match=f"^cannot write {path}: No such file or directory$"):
        tell_pipelines(DIGEST, REFERENCES, str(path) if by == "option" else None)
