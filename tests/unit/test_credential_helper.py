from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from hatch_oci.errors import RegistryError
from hatch_oci.registry.credential_helper import ask_helper
from tests.unit.programs import Programs, answering, knowing

PROMPT = 0.3
"""Seconds after which a helper that hangs is given up."""


def failure(name: str = "x", seconds: float = 10) -> str:
    """Return the message of a helper that does not answer, which is one line without what it printed."""
    with pytest.raises(RegistryError) as caught:
        ask_helper(name, "r.example", seconds)
    message = str(caught.value)
    assert "\n" not in message
    assert "hidden" not in message
    return message


def ended(pid_file: Path) -> bool:
    """Tell whether the process ends whose id is in a file."""
    pid = int(pid_file.read_text())
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        # One that has ended, but whose new parent has not noticed yet, counts as ended.
        status = Path(f"/proc/{pid}/stat")
        if status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def test_a_helper_is_asked_for_a_server(programs: Programs) -> None:
    programs.helper("x", knowing("r.example", "ann", "secret"))
    assert ask_helper("x", "r.example") == ("ann", "secret")


def test_a_helper_is_started_with_get_and_reads_the_server_to_the_end(programs: Programs, tmp_path: Path) -> None:
    programs.helper("x", f'echo "$# $1" >{tmp_path}/called; cat >>{tmp_path}/called; {answering("ann", "x")}')
    assert ask_helper("x", "https://index.docker.io/v1/") == ("ann", "x")
    assert (tmp_path / "called").read_text() == "1 get\nhttps://index.docker.io/v1/"


def test_a_helper_may_print_more_than_is_needed_and_to_the_other_stream(
    programs: Programs, capfd: pytest.CaptureFixture[str]
) -> None:
    programs.helper("x", f"echo noise >&2; {answering('änn', 'ü')}")
    assert ask_helper("x", "r.example") == ("änn", "ü")
    assert capfd.readouterr() == ("", "")


def test_a_helper_need_not_read_its_input(programs: Programs) -> None:
    programs.helper("x", """exec <&-; echo '{"Username": "ann", "Secret": "x"}'""")
    # Longer than what a pipe holds, so that it cannot be written.
    assert ask_helper("x", "r" * 1024 * 1024) == ("ann", "x")


def test_credentials_that_are_not_found_are_none(programs: Programs) -> None:
    programs.helper("x", "cat >/dev/null; echo credentials not found in native keychain; exit 1")
    assert ask_helper("x", "r.example") is None


def test_not_found_is_no_failure_only_where_the_helper_says_that_it_failed(programs: Programs) -> None:
    programs.helper("x", "cat >/dev/null; echo credentials not found")
    assert failure() == "docker-credential-x did not answer with Username and Secret"


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a b", "x;y", "$x", "x\n", "ä", "-\x1b[2J"])
def test_a_name_of_other_characters_is_refused(name: str) -> None:
    shown = "".join(character if character.isprintable() else "?" for character in name)
    assert failure(name) == f"{shown!r} is no name of a credential helper"


def test_a_helper_that_is_missing_is_named(programs: Programs) -> None:
    assert failure("absent-1.0_x") == "docker-credential-absent-1.0_x is not installed"
    programs.helper("plain", "exit 0").chmod(0o644)
    assert failure("plain") == "docker-credential-plain is not installed"


@pytest.mark.parametrize("status", [1, 3, 255])
def test_a_helper_that_fails_is_told_of_without_what_it_printed(status: int, programs: Programs) -> None:
    programs.helper("x", f"cat >/dev/null; echo hidden; echo hidden >&2; exit {status}")
    assert failure() == f"docker-credential-x failed with exit code {status}"


def test_a_helper_that_is_killed_fails(programs: Programs) -> None:
    programs.helper("x", "kill -9 $$")
    assert failure() == "docker-credential-x failed with exit code -9"


def test_a_helper_that_is_no_program_is_told_of(programs: Programs) -> None:
    program = programs.helper("x", "", "/nowhere/interpreter")
    assert failure() == f"{program} cannot be run: No such file or directory"
    program.write_bytes(b"\x00\x01")
    assert failure() == f"{program} cannot be run: Exec format error"


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "hidden",
        "{}",
        "[]",
        '{"Username": "hidden"}',
        '{"Secret": "hidden"}',
        '{"Username": "ann", "Secret": null}',
        '{"Username": "ann", "Secret": 5}',
        '{"Username": ["hidden"], "Secret": "hidden"}',
        '{"Username": "a", "Secret": "hidden"} {}',
        '{"Secret": "hidden", "Secret": "hidden", "Username": "a"}',
        "\\377\\376",
    ],
)
def test_nonsense_is_told_of_without_what_it_is(answer: str, programs: Programs) -> None:
    programs.helper("x", f"cat >/dev/null; printf '{answer}'")
    assert failure() == "docker-credential-x did not answer with Username and Secret"


def test_a_helper_that_prints_without_end_is_stopped(programs: Programs, tmp_path: Path) -> None:
    program = programs.helper("x", f"echo $$ >{tmp_path}/pid; while :; do printf %10000s hidden; sleep 0.02; done")
    start = time.monotonic()
    assert failure() == f"{program} answered with more than 65536 bytes"
    assert time.monotonic() - start < 5
    assert ended(tmp_path / "pid")


def test_an_answer_of_the_largest_size_is_read(programs: Programs) -> None:
    text = '{"Username": "ann", "Secret": "x"}'
    programs.helper("x", f"cat >/dev/null; printf %65536s '{text}'")
    assert ask_helper("x", "r.example") == ("ann", "x")
    program = programs.helper("x", f"cat >/dev/null; printf %65537s '{text}'")
    assert failure() == f"{program} answered with more than 65536 bytes"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("exec sleep 30", id="itself"),
        pytest.param("sleep 30; echo late", id="its child"),
        pytest.param("exec >&-; exec sleep 30", id="with its output closed"),
        pytest.param("while :; do echo; sleep 0.05; done", id="dripping"),
    ],
)
def test_a_helper_that_hangs_is_ended(script: str, programs: Programs, tmp_path: Path) -> None:
    program = programs.helper("x", f"echo $$ >{tmp_path}/pid; {script}")
    start = time.monotonic()
    assert failure(seconds=PROMPT) == f"{program} gave no answer in 0.3 s"
    assert time.monotonic() - start < 5
    assert ended(tmp_path / "pid")


def test_a_child_that_keeps_the_pipe_open_is_ended_with_its_helper(programs: Programs, tmp_path: Path) -> None:
    program = programs.helper("x", f"{answering('ann', 'hidden')}; sleep 30 & echo $! >{tmp_path}/pid")
    start = time.monotonic()
    assert failure(seconds=PROMPT) == f"{program} gave no answer in 0.3 s"
    assert time.monotonic() - start < 5
    assert ended(tmp_path / "pid")


def test_a_child_that_went_its_own_way_is_not_waited_for(programs: Programs) -> None:
    # A daemon that the helper starts is out of reach, but may keep the pipe.
    script = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(5)\n    os._exit(0)"
    program = programs.helper("x", script, sys.executable)
    start = time.monotonic()
    assert failure(seconds=1) == f"{program} gave no answer in 1 s"
    assert time.monotonic() - start < 4


def test_a_helper_that_leaves_a_child_without_the_pipe_has_answered(programs: Programs, tmp_path: Path) -> None:
    programs.helper("x", f"{answering('ann', 'x')}; sleep 30 >/dev/null & echo $! >{tmp_path}/pid")
    assert ask_helper("x", "r.example", 5) == ("ann", "x")
    assert ended(tmp_path / "pid")
