"""The list of processes by which other tests know what runs and what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from tests.support.e2e import Console
from tests.support.e2e_network import start_in_background

if TYPE_CHECKING:
    from pathlib import Path

STARTS = 100
"""Without a wait, 4 of 300 were not on it on a quiet machine, and 176 beside six busy loops."""


def test_a_process_is_on_the_list_from_the_moment_that_its_start_returns(tmp_path: Path) -> None:
    console = Console(tmp_path / "home")
    for _ in range(STARTS):
        process = start_in_background(console, tmp_path / "log", "--help")
        try:
            seen = console.trail.look_at(psutil.Process(process.pid))
        finally:
            process.kill()
            process.wait()
        assert seen is not None
