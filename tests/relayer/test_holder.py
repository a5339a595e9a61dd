"""Whether a relayer runs on a journal: found out without keeping one from starting."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from abci_app.process import ProcessId, format_process
from relayer.errors import JournalInUse, JournalTooNew
from relayer.holder import HolderStatus, find_holder, lock_path, take_lock
from relayer.journal import Journal
from tests.support.relayer_cli import run, run_json
from tests.support.tools import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.relayer import Pair

NOBODY = HolderStatus(runs=False, pid=0, error="")
OURSELVES = HolderStatus(runs=True, pid=os.getpid(), error="")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relayer.db"


def test_an_open_journal_names_its_process(path: Path) -> None:
    assert find_holder(path) == NOBODY
    with Journal(path):
        assert find_holder(path) == OURSELVES
    assert find_holder(path) == NOBODY


def test_a_killed_process_holds_nothing_although_the_file_names_it(path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.relayer_journal_writer", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert find_holder(path) == HolderStatus(runs=True, pid=process.pid, error="")
        with pytest.raises(JournalInUse, match=f"process {process.pid} "):
            Journal(path)
        process.kill()
        process.wait()
    assert lock_path(path).read_text().startswith(f"{process.pid} ")
    assert find_holder(path) == NOBODY
    with Journal(path):
        assert find_holder(path) == OURSELVES


def test_a_process_that_has_the_number_of_a_dead_relayer_is_not_taken_for_it(path: Path) -> None:
    lock_path(path).write_text(format_process(ProcessId(os.getpid(), "1")))
    assert find_holder(path) == NOBODY


def test_who_asks_never_locks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock taken for a moment would refuse a relayer that starts just then."""

    def fail(_file: int, _operation: int) -> None:
        raise AssertionError("expected no lock, got one")

    with Journal(path):
        for name in ("flock", "lockf"):
            monkeypatch.setattr(fcntl, name, fail)
        assert find_holder(path) == OURSELVES
    assert find_holder(path) == NOBODY


def test_a_relayer_that_has_not_named_itself_yet_still_keeps_others_out(path: Path) -> None:
    lock = take_lock(path)
    try:
        lock_path(path).write_text("")
        with pytest.raises(JournalInUse, match=r"got a running relayer \["):
            take_lock(path)
    finally:
        os.close(lock)


def test_a_journal_that_could_not_be_opened_is_held_by_nobody(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(path):
        pass
    monkeypatch.setattr("relayer.journal.SCHEMA_VERSION", 0)
    with pytest.raises(JournalTooNew):
        Journal(path)
    assert find_holder(path) == NOBODY


def test_a_lock_that_cannot_be_read_is_told_as_unknown(path: Path) -> None:
    lock_path(path).mkdir()
    found = find_holder(path)
    assert (found.runs, found.pid) == (False, 0)
    assert str(found).startswith("may run or not, for its lock cannot be read: ")
    assert "Is a directory" in found.error


def test_status_and_health_say_which_process_relays(pair: Pair) -> None:
    with Journal(pair.config.journal):
        assert run_json(pair, "status")["relayer"] == {"runs": True, "pid": os.getpid(), "error": ""}
        assert run(pair, "status").stdout.startswith(f"Relayer: runs as process {os.getpid()}\n")
        (check,) = [check for check in run_json(pair, "health")["checks"] if check["name"] == "relayer"]
        assert (check["is_good"], check["is_note"]) == (True, False)
        assert check["found"] == f"runs as process {os.getpid()}"


def test_a_relayer_that_does_not_run_is_a_note_of_health_and_no_failure(pair: Pair) -> None:
    assert run_json(pair, "status")["relayer"] == {"runs": False, "pid": 0, "error": ""}
    assert run(pair, "status").stdout.startswith("Relayer: does not run\n")
    found = run_json(pair, "health")
    (check,) = [check for check in found["checks"] if check["name"] == "relayer"]
    assert found["is_good"]
    assert (check["is_good"], check["is_note"], check["found"]) == (True, True, "does not run")
