"""What a benchmark has started ends by itself if it can, and ends in any case."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from abci_app.process import spawn
from abci_app.supervisor import child_environment
from bench.children import end_child, wait_or_kill
from tests.support.waiting import eventually

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

TIDY = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
print("ready", flush=True)
signal.pause()
"""
DEAF = """
import signal
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
print("ready", flush=True)
while True:
    signal.pause()
"""


def start(code: str, directory: Path) -> subprocess.Popen[bytes]:
    log = directory / "child.log"
    process = spawn([sys.executable, "-c", code], child_environment(), log)
    eventually(lambda: log.exists() and b"ready" in log.read_bytes(), "the child to be ready")
    return process


def test_a_child_that_was_told_to_end_ends_by_itself(tmp_path: Path) -> None:
    child = start(TIDY, tmp_path)
    end_child(child, signal.SIGTERM)
    assert child.returncode == 3


def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    child = start(DEAF, tmp_path)
    end_child(child, patience_s=0.1)
    assert child.returncode == -signal.SIGKILL


def test_a_child_that_has_ended_keeps_its_status(tmp_path: Path) -> None:
    child = start("print('ready', flush=True); raise SystemExit(5)", tmp_path)
    wait_or_kill(child, 60)
    end_child(child)
    assert child.returncode == 5
