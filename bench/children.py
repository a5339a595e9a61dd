"""Ending the processes that benchmarks have started."""

from __future__ import annotations

import signal
import subprocess
from typing import Final

from abci_app.process import send_group_signal

STOP_S: Final = 90.0


def end_child(
    process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGINT, patience_s: float = STOP_S
) -> None:
    """Signal a process that still runs, so that it can clean up, and kill its group if it does not."""
    if process.poll() is None:
        process.send_signal(number)
        wait_or_kill(process, patience_s)


def wait_or_kill(process: subprocess.Popen[bytes], patience_s: float) -> None:
    """Wait for a process that was told to end, and kill its group if it does not."""
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        send_group_signal(process.pid, signal.SIGKILL)
        process.wait()
