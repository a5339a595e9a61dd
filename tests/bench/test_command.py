from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest
from click.testing import CliRunner

from bench.main import bench_command
from bench.registry import ROWS, Row
from localnet.errors import DirectoryNotOurs
from tests.support.localnet import use_real_cometbft
from tests.support.tools import ROOT
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


@pytest.fixture
def fake_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the names of three rows stand for rows that do nothing."""
    use_real_cometbft()
    for name, function in (
        ("kzg", "run_good_row"),
        ("hub", "run_failing_row"),
        ("socket", "run_broken_row"),
    ):
        monkeypatch.setitem(ROWS, name, Row(name, f"tests.support.bench:{function}"))


def find_servers(process: psutil.Process) -> list[psutil.Process]:
    """Return the servers that a run has started."""
    found = []
    for candidate in process.children():
        try:
            is_server = "bench.blockserver" in candidate.cmdline()
        except psutil.Error:
            continue  # it has ended meanwhile
        if is_server:
            found.append(candidate)
    return found


def run(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(bench_command, [*arguments, "--dir", str(tmp_path / "bench")])


@pytest.mark.usefixtures("fake_rows")
def test_a_directory_with_other_files_is_left_as_it_is(tmp_path: Path) -> None:
    thesis = tmp_path / "bench" / "kzg" / "thesis.tex"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    result = run(tmp_path, "kzg")
    assert isinstance(result.exception, DirectoryNotOurs)
    assert thesis.read_text() == "years of work"


@pytest.mark.parametrize("name", ROWS)
def test_every_row_can_be_loaded(name: str) -> None:
    assert callable(ROWS[name].load())


@pytest.mark.usefixtures("fake_rows")
def test_a_row_that_was_measured_is_a_success(tmp_path: Path) -> None:
    result = run(tmp_path, "kzg", "--quick")
    assert result.exit_code == 0
    assert "0.600" in result.stdout
    assert "measuring" in result.stderr


@pytest.mark.usefixtures("fake_rows")
def test_a_row_that_fails_lets_the_others_run_and_fails_the_command(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    result = run(tmp_path, "socket", "hub", "kzg", "--json", str(file))
    assert result.exit_code == 1
    assert "hub failed: expected 3 updates, got 2 [bench/3]" in result.stdout
    assert "socket failed: unexpected KeyError: 'oops'" in result.stdout
    rows = json.loads(file.read_text())["rows"]
    assert [(row["row"], bool(row["error"]), len(row["lines"])) for row in rows] == [
        ("kzg", False, 1),
        ("hub", True, 0),
        ("socket", True, 0),
    ]


def test_a_row_that_does_not_exist_is_a_wrong_use(tmp_path: Path) -> None:
    result = run(tmp_path, "nonsense")
    assert result.exit_code == 2
    assert "updates-1" in result.stderr


def test_help_names_every_row() -> None:
    result = CliRunner().invoke(bench_command, ["--help"])
    assert all(name in result.stdout for name in ROWS)


def test_an_interrupted_run_leaves_no_process_behind(tmp_path: Path) -> None:
    use_real_cometbft()
    command = [sys.executable, "-m", "cli.main", "bench", "socket", "--dir", str(tmp_path)]
    child = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
    )
    try:
        process = psutil.Process(child.pid)
        started = eventually(lambda: find_servers(process) or None, "the server of the row")
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 130
    finally:
        child.kill()
    gone, alive = psutil.wait_procs(started, timeout=10)
    assert (len(gone), alive) == (len(started), [])
