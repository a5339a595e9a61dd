from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from abci_app.backends.homelock import HomeLock
from abci_app.errors import HomeLocked

REPOSITORY = Path(__file__).parents[2]
TAKE = "import sys, pathlib; from abci_app.backends.homelock import HomeLock; HomeLock(pathlib.Path(sys.argv[1]))"


def take_elsewhere(home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", TAKE, str(home)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


def test_another_process_is_told_who_has_the_home(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    refused = take_elsewhere(tmp_path)
    lock.release()
    assert f"HomeLocked: expected {tmp_path} to be free, got one that process {os.getpid()}" in refused.stderr


def test_the_same_process_is_refused_too(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(HomeLocked, match="this process"):
        HomeLock(tmp_path / "link")
    lock.release()


def test_a_released_home_can_be_taken(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    lock.release()
    assert take_elsewhere(tmp_path).returncode == 0
    again = HomeLock(tmp_path)
    lock.release()  # no longer the holder, so this changes nothing
    assert take_elsewhere(tmp_path).returncode != 0
    again.release()


def test_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    assert take_elsewhere(tmp_path).returncode == 0
    assert (tmp_path / "LOCK").exists()
    HomeLock(tmp_path).release()
