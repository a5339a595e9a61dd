"""Ctrl-C at any stage of a demo, or its sudden death, leaves no process behind."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.e2e import Console, finish, read_lines, require_kinds
from tests.support.waiting import eventually

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.support.e2e import Trail

pytestmark = pytest.mark.localnet

INTERRUPTED = 130
NODE = "cometbft start"


def start_demo(console: Console, folder: Path) -> subprocess.Popen[str]:
    """Start a demo that is small, and long enough to be interrupted."""
    options = ("--shards", "1", "--validators", "1", "--participants", "2", "--rounds", "2")
    return console.start("demo", "--dir", str(folder / "demo"), *options)


def wait_for_process(trail: Trail, name: str) -> None:
    def look() -> bool | None:
        return True if any(name in line for line in trail.list_processes().values()) else None

    eventually(look, f"a process {name}")


@pytest.mark.parametrize(
    ("line", "process"),
    [
        ("starting", NODE),
        ("creating light clients", "relayer link"),
        ("round 1/2", "participant.worker"),
        ("auditing", "cli.main demo"),
        ("float FedAvg", "cli.main demo"),
    ],
    ids=["starting", "linking", "training", "auditing", "comparing"],
)
def test_an_interrupt_stops_everything(tmp_path: Path, line: str, process: str) -> None:
    console = Console(tmp_path / "home")
    demo = start_demo(console, tmp_path)
    try:
        read_lines(demo, line)
        wait_for_process(console.trail, process)
        os.killpg(demo.pid, signal.SIGINT)
    finally:
        done = finish(demo)
    # the line of the prompt, which holds the ^C, is ended; then there is one line
    assert (done.exit_code, done.stderr.lstrip("\n")) == (INTERRUPTED, "interrupted\n"), done.describe()
    assert console.trail.list_processes() == {}


def test_the_death_of_a_demo_ends_all_that_it_started(tmp_path: Path) -> None:
    console = Console(tmp_path / "home")
    demo = start_demo(console, tmp_path)
    try:
        read_lines(demo, "round 1/2")
        require_kinds(console.trail.list_processes(), NODE, "relayer.main", "participant.worker")
    finally:
        demo.kill()
        finish(demo)
    console.trail.wait_until_gone()
