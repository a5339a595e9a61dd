"""Start, name and end operating system processes such that none is left behind and none is mistaken for another.

A process id alone names nothing once the process is gone: it is used again.  So an id is always stored with the time
at which the process started, and checked against it before a signal is sent.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PR_SET_PDEATHSIG: Final = 1
"""prctl(2): send this process a signal when its parent ends."""

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_STAT_STATE: Final = 0
_STAT_THREADS: Final = 17
_STAT_START: Final = 19
"""Index of `starttime` behind the name in /proc/PID/stat (proc(5) counts it as field 22)."""


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process that is or was."""

    pid: int
    started: str
    """When it started, in a form only good for comparison."""


def identify(pid: int) -> ProcessId | None:
    """Return the process that has the id now, or None if there is none or it is dead and not yet collected."""
    if sys.platform == "linux":
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        values = text.rpartition(")")[2].split()
        # The state is that of the first thread.  While others go on, the process keeps its ports and locks.
        is_dead = values[_STAT_STATE] in {"Z", "X"} and int(values[_STAT_THREADS]) <= 1
        return None if is_dead else ProcessId(pid, values[_STAT_START])
    import psutil  # noqa: PLC0415  # only where /proc is missing

    try:
        process = psutil.Process(pid)
        return (
            None if process.status() == psutil.STATUS_ZOMBIE else ProcessId(pid, str(process.create_time()))
        )
    except psutil.NoSuchProcess:
        return None


def is_alive(process: ProcessId) -> bool:
    """Tell whether exactly this process still runs."""
    return identify(process.pid) == process


def write_pid_file(path: Path, process: ProcessId) -> None:
    """Record a process, in one step: whoever reads finds it whole, or what was recorded before."""
    fresh = path.with_suffix(".new")
    fresh.write_text(format_process(process))
    fresh.replace(path)


def format_process(process: ProcessId) -> str:
    """Return the text by which a file names a process, as `read_pid_file` takes it."""
    return f"{process.pid} {process.started}\n"


def read_pid_file(path: Path) -> ProcessId | None:
    """Return the recorded process if it still runs."""
    try:
        pid, started = path.read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    process = ProcessId(int(pid), started)
    return process if is_alive(process) else None


def send_signal(process: ProcessId, number: signal.Signals) -> bool:
    """Send a signal to exactly this process; return False if it is gone."""
    if not is_alive(process):
        return False
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def send_group_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process group by the id of its leader, which must not have been waited for."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        # The child is dead already (macOS reports that as a lack of permission).
        return


def spawn(command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a child whose output goes to the end of a file.

    The child leads a process group, so that a Ctrl-C in the terminal reaches only its supervisor, and that its own
    children can be ended with it.  On Linux it is killed when the thread that called this ends, however that comes
    about; call it from the main thread.
    """
    with log.open("ab") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            process_group=0,
            preexec_fn=die_with_parent,  # noqa: PLW1509  # supervisors have one thread
        )


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends.  Does nothing where that is unknown."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
