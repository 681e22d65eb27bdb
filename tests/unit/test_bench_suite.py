"""The suite that measures against other tools: how it runs, what it reckons, what it prints; no time is judged."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bench import BenchError, __main__, suite
from bench.cases import MIB, Case, Pair, Result, run_pairs
from bench.files import code, write_code, write_half_random
from bench.growth import Grown, Growth, run_growth
from bench.images import digest_of, layers_of, size_by_zlib, write_image
from bench.place import Place
from bench.projects import PYTHON_LINES, Project
from bench.summary import growth_rows, pair_row
from bench.table import markdown
from bench.timing import Command, Run, Side
from bench.tools import check_room
from bench.wheels import forget_layers, write_wheels
from hatch_oci.store.blobs import BlobStore
from tests.unit.bases import resolve_with

ROOT = Path(__file__).parents[2]


def make_nothing(_place: Place, _folder: Path) -> Pair:
    raise NotImplementedError


def make_none(_place: Place, _folder: Path, _count: int) -> Side:
    raise NotImplementedError


def case(bar: float | None = 0.5, stretch: float | None = None, size_bar: float | None = None) -> Case:
    return Case("tiny", "something", "`peer`", bar, make_nothing, stretch, size_bar)


def result(
    one: Case, ours: Sequence[float], peer: Sequence[float], peak: float = 10, size: float | None = None
) -> Result:
    def runs(all_seconds: Sequence[float]) -> list[Run]:
        return [Run(seconds, int(peak * MIB)) for seconds in all_seconds]

    return Result(one, runs(ours), runs(peer), size)


def python(folder: Path, code: str) -> Command:
    return Command([sys.executable, "-c", code], folder)


def appending(folder: Path, letter: str) -> Callable[[], None]:
    def append() -> None:
        with (folder / "log").open("a") as log:
            log.write(letter)

    return append


def appender(folder: Path, letter: str) -> Command:
    return python(folder, f"open('log', 'a').write('{letter}')")


def bench(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    env = os.environ | variables
    return subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True)


def test_both_run_in_turn_after_a_run_of_each_to_warm_up_and_are_prepared_each_time(tmp_path: Path) -> None:
    def make(place: Place, folder: Path) -> Pair:
        assert (place, folder) == (here, tmp_path)
        ours = Side([appender(folder, "A"), appender(folder, "a")], appending(folder, "<"))
        return Pair(ours, Side([appender(folder, "B")], appending(folder, ">")), lambda: 1.5)

    here = Place(tmp_path / "place")
    found = run_pairs(Case("tiny", "", "", 1.0, make), here, tmp_path, 2)
    assert (tmp_path / "log").read_text() == "<Aa>B" * 3
    assert (len(found.ours), len(found.peer), found.size) == (2, 2, 1.5)


def test_a_run_is_the_sum_of_its_commands_seconds_and_the_peak_of_the_largest(tmp_path: Path) -> None:
    # This very process holds more than what it starts: that must not count.
    large = bytearray(os.urandom(1)) * (150 * MIB)
    small = python(tmp_path, "import time; time.sleep(0.2)")
    run = Side([small, small]).run()
    assert run.seconds >= 0.4
    assert MIB < run.peak < 60 * MIB
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'b\"x\" * (100 << 20)'], check=True)"
    assert 100 * MIB < Side([python(tmp_path, child), small]).run().peak < 150 * MIB
    assert len(large) == 150 * MIB


def test_what_fails_says_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"-c import sys; .* fails \(7\): no, not so$"):
        Side([python(tmp_path, "import sys; print('no,\\n not so'); sys.exit(7)")]).run()


def test_the_plugins_variables_are_those_of_the_command_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HATCH_OCI_OFFLINE", "1")
    code = "import os; print(*(n for n in os.environ if n.startswith('HATCH_OCI_')), file=open('names', 'w'))"
    Side([Command([sys.executable, "-c", code], tmp_path, {"HATCH_OCI_CACHE_DIR": "x"})]).run()
    assert (tmp_path / "names").read_text() == "HATCH_OCI_CACHE_DIR\n"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc to look into")
def test_what_was_started_stops_with_the_bench(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from bench.timing import Command, Side; import signal;"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5));"
        'child = \'import os, time; open("pid", "w").write(str(os.getpid()) + chr(10)); time.sleep(60)\';'
        "Side([Command([sys.executable, '-c', child], Path(sys.argv[1]))]).run()"
    )
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path], cwd=ROOT)
    pid = tmp_path / "pid"
    wait_until(lambda: pid.exists() and pid.read_text().endswith("\n"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 5
    wait_until(lambda: not is_running(int(pid.read_text())))


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Tell whether a process runs; one that ended, and that nobody waited for, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_ratio_is_the_median_of_the_pairs_ratios() -> None:
    # Of the medians it would be 3 / 2.
    found = result(case(), [1, 3, 9], [2, 10, 1])
    assert found.ratio == 0.5
    assert found.missed == []


@pytest.mark.parametrize(
    ("bar", "stretch", "ours", "peak", "size", "met"),
    [
        (0.5, None, 1.0, 96, None, "yes"),
        (0.5, 0.25, 1.0, 96, None, "yes"),
        (0.5, 0.25, 0.5, 96, None, "yes, stretch"),
        (0.5, 0.25, 1.1, 96, None, "no: time"),
        (0.5, 0.25, 0.5, 97, 1.13, "no: size, memory"),
        (0.5, 0.25, 1.1, 97, 1.12, "no: time, memory"),
        (None, 1.0, 2.0, 1, None, "stretch"),
        (None, 1.0, 2.1, 1, None, "stretch not"),
        (None, 1.0, 2.0, 97, None, "no: memory"),
    ],
)
def test_a_row_says_which_bars_are_met(
    bar: float | None, stretch: float | None, ours: float, peak: float, size: float | None, met: str
) -> None:
    assert pair_row(result(case(bar, stretch, 1.12), [ours], [2.0], peak, size))[6] == met


def test_a_row_tells_medians_and_bars() -> None:
    found = result(case(0.7, 0.5, 1.12), [1, 2.004, 30], [4, 4, 4], 70.4, 1.0016)
    assert pair_row(found) == [
        *("`tiny`: something", "`peer`", "2.00", "4.00", "0.50", "≤ 0.7, stretch 0.5", "yes", "70", "1.002 (≤ 1.12)")
    ]
    assert pair_row(result(case(None, 1.0), [1], [4]))[5:] == ["stretch 1.0", "stretch", "10", ""]


def test_a_table_keeps_a_pipe_within_its_cell() -> None:
    assert list(markdown([["a", "b"], ["`tar | pigz`", "1"]])) == ["| a | b |", "|---|---|", r"| `tar \| pigz` | 1 |"]


def grown(runs: dict[int, list[float]], peak: float = 10) -> Grown:
    growth = Growth("growth-tiny", "things", tuple(count for count in runs if count), make_none)
    return Grown(growth, {count: [Run(one, int(peak * MIB)) for one in all_] for count, all_ in runs.items()})


def test_each_takes_what_is_more_than_a_build_of_none_in_the_same_round() -> None:
    # The machine is slow in the second round: nothing of that is to be seen.
    found = grown({0: [1.0, 5.0, 1.0], 10: [1.1, 5.1, 1.1], 100: [2.25, 6.25, 2.25], 200: [3.6, 7.6, 3.6]})
    assert list(growth_rows(found)) == [
        ["`growth-tiny`: things", "0", "1.00", "", "", "", "10"],
        ["`growth-tiny`: things", "10", "1.10", "10.00", "1.00", "yes", "10"],
        ["`growth-tiny`: things", "100", "2.25", "12.50", "1.25", "yes", "10"],
        ["`growth-tiny`: things", "200", "3.60", "13.00", "1.30", "no: time", "10"],
    ]
    assert list(growth_rows(grown({0: [1.0], 1: [2.0]}, 97)))[1][5] == "no: memory"


def test_a_growth_is_run_in_rounds(tmp_path: Path) -> None:
    def make(_place: Place, folder: Path, count: int) -> Side:
        assert folder == tmp_path / str(count)
        return Side([appender(tmp_path, f"{count} ")])

    found = run_growth(Growth("tiny", "", (1, 7), make), Place(tmp_path / "place"), tmp_path, 2)
    assert (tmp_path / "log").read_text() == "7 1 0 " * 3
    assert {count: len(runs) for count, runs in found.runs.items()} == {0: 2, 1: 2, 7: 2}


def test_raw_numbers_are_kept_also_of_what_came_before_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def make(_place: Place, folder: Path) -> Pair:
        return Pair(Side([python(folder, "")]), Side([python(folder, "")]))

    def fail(_place: Place, _folder: Path) -> Pair:
        message = "it does not work"
        raise BenchError(message)

    names = ("tiny", "broken")
    cases = [Case(name, "x", "y", 1000.0, one) for name, one in zip(names, (make, fail), strict=True)]
    monkeypatch.setattr(suite, "CASES", cases)
    monkeypatch.setattr(__main__, "NAMES", names)
    file = tmp_path / "raw.json"
    assert __main__.main(["--pairs", "2", "--json", str(file)]) == 1
    said = capsys.readouterr()
    assert said.err.endswith("bench: it does not work\n")
    assert [line.split(" | ")[0] for line in said.out.splitlines()[2:]] == ["| `tiny`: x"]
    document = json.loads(file.read_text())
    (only,) = document["cases"]
    assert (only["case"], only["bar"], only["missed"]) == ("tiny", 1000.0, [])
    ratios = [ours["seconds"] / peer["seconds"] for ours, peer in zip(only["ours"], only["theirs"], strict=True)]
    assert only["ratio"] == pytest.approx(sum(ratios) / 2)
    assert all(run["peak"] > MIB for run in only["ours"])
    assert (
        __main__.main(["tiny", "--json", str(tmp_path / "no" / "folder")]),
        capsys.readouterr().err.strip(),
    ) == (1, f"bench: {tmp_path / 'no' / 'folder'}: No such file or directory")


def test_missing_tools_are_told_in_a_line_with_what_installs_them(tmp_path: Path) -> None:
    found = bench("base-cold", "files", PATH=str(tmp_path))
    tools = ("docker-registry", "skopeo", "umoci")
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == f"bench: not installed: {', '.join(tools)}; on Debian: apt-get install {' '.join(tools)}\n"


def test_too_little_room_is_told_before_anything_is_written() -> None:
    check_room(1)
    with pytest.raises(BenchError, match=r"^1048576\.0 GiB are needed in \S+, where .* set TMPDIR"):
        check_room(1024**5)


def test_the_list_names_what_can_be_chosen() -> None:
    found = bench("--list")
    assert [line.split()[0] for line in found.stdout.splitlines()] == list(suite.NAMES)
    assert bench("--pairs", "0").stderr.endswith("error: --pairs is at least 1\n")
    assert "invalid choice: 'layers'" in bench("files", "layers").stderr


def test_samples_are_as_large_as_they_should_be(tmp_path: Path) -> None:
    write_code(tmp_path / "code", 500, 4000)
    sizes = [path.stat().st_size for path in (tmp_path / "code").rglob("*.py")]
    assert len(sizes) == 500
    assert sum(sizes) < 570 * 4000
    for name in ("a", "b"):
        write_half_random(tmp_path / name, 1_000_001, 7)
    data = (tmp_path / "a").read_bytes()
    assert data == (tmp_path / "b").read_bytes()
    assert len(data) == 1_000_001
    assert 0.45 < len(gzip.compress(data)) / len(data) < 0.55


def test_a_base_is_one_that_the_plugin_takes(tmp_path: Path, store: BlobStore) -> None:
    for name in ("one", "two"):
        write_half_random(tmp_path / name / "srv" / name, 100_000)
    write_image(tmp_path / "base", [tmp_path / "one", tmp_path / "two"], ["A=b"])
    base = resolve_with("oci:base", store, tmp_path)
    layers = layers_of(tmp_path / "base")
    assert [str(layer.digest) for layer in base.layers] == [layer.digest for layer in layers]
    assert base.config.env == {"A": "b"}
    assert [str(diff_id).partition(":")[0] for diff_id in base.config.diff_ids] == ["sha256", "sha256"]
    assert [layer.path.stat().st_size for layer in layers] == [layer.size for layer in layers]
    assert digest_of(tmp_path / "base").startswith("sha256:")
    assert size_by_zlib(layers[0]) == pytest.approx(layers[0].size, rel=0.05)


def test_layers_are_forgotten_and_wheels_are_not(tmp_path: Path) -> None:
    program = tmp_path / "root" / "usr" / "local" / "bin" / "python3.11"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/false\n")
    write_image(tmp_path / "base", [tmp_path / "root"], ["PYTHON_VERSION=3.11.9"])
    table = (f'base-image = "oci:{tmp_path / "base"}"', "wheel = false", 'lock = "pylock.toml"', *PYTHON_LINES)
    project = Project(tmp_path, *table, dependencies=["made0", "made1"])
    write_wheels(project.folder, 2)
    side = Side([project.build()], lambda: forget_layers(project, layers_of(tmp_path / "base")))
    side.run()
    # The base's, the venv's, and the wheels'.
    layers = layers_of(project.image)
    assert [project.cached(layer.digest).exists() for layer in layers[1:]] == [True, True]
    wheels = {one for one in project.cached("sha256").iterdir() if one.read_bytes()[:2] == b"PK"}
    assert len(wheels) == 2
    side.prepare()
    assert [project.cached(layer.digest).exists() for layer in layers[1:]] == [False, False]
    assert all(wheel.exists() for wheel in wheels)
    assert not project.image.exists()
    side.run()
    assert layers_of(project.image) == layers


@pytest.mark.parametrize("mean", [2000, 12_500])
def test_modules_have_the_size_in_the_mean_that_is_asked_for(mean: int) -> None:
    sizes = [len(data) for _, data in itertools.islice(code(mean), 2000)]
    assert sum(sizes) / len(sizes) == pytest.approx(mean, rel=0.1)


def test_parts_and_layers_are_measured_alone() -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "bench", "parts", "files"]
    result = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    assert result.returncode == 2
    assert "invalid choice: 'parts'" in result.stderr
    assert "or layers or parts alone" in result.stderr
