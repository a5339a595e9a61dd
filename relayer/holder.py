"""Which process holds a journal: a lock keeps others out, and the file that is locked says who holds it.

Whoever only asks reads the file and never locks it: a lock taken for a moment would keep a relayer from starting.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from abci_app.process import format_process, identify, read_pid_file
from relayer.errors import JournalInUse

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class HolderStatus:
    """Whether a relayer runs on a journal, as far as this host can tell."""

    runs: bool
    pid: int
    """Of the relayer's process; 0 if none runs."""
    error: str
    """Why that is not known; empty if it is."""

    def __str__(self) -> str:
        if self.runs:
            return f"runs as process {self.pid}"
        return f"may run or not, for its lock cannot be read: {self.error}" if self.error else "does not run"


def lock_path(journal: Path) -> Path:
    """Return the file whose lock keeps other processes from a journal."""
    return journal.with_name(journal.name + ".lock")


def take_lock(journal: Path) -> int:
    """Lock a journal for this process and return the lock; it ends with the process, however that dies.

    Raises:
      JournalInUse: another process has it.
      OSError: the file cannot be opened or written.

    """
    path = lock_path(journal)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _name_holder(lock)
    except BlockingIOError:
        os.close(lock)
        holder = read_pid_file(path)
        # Between its lock and its name another one has none.
        name = "" if holder is None else f", process {holder.pid}"
        raise JournalInUse(f"expected to be alone with {journal}, got a running relayer{name}") from None
    except BaseException:
        os.close(lock)
        raise
    return lock


def _name_holder(lock: int) -> None:
    """Write into a locked file which process this is.  Another file in its place would not be locked."""
    os.ftruncate(lock, 0)
    process = identify(os.getpid())
    if process is not None:
        os.pwrite(lock, format_process(process).encode(), 0)


def release_lock(lock: int) -> None:
    """Let others have the journal.  The process may live on, so the file must no longer name it."""
    # A disk that takes nothing any more must not keep the relayer from ending, which makes the name void as well.
    with suppress(OSError):
        os.ftruncate(lock, 0)
    os.close(lock)


def find_holder(journal: Path) -> HolderStatus:
    """Return which process relays with a journal.  Nothing is locked, so a relayer may start meanwhile."""
    try:
        holder = read_pid_file(lock_path(journal))
    except OSError as error:
        return HolderStatus(runs=False, pid=0, error=f"{lock_path(journal)}: {error.strerror}")
    if holder is None:
        return HolderStatus(runs=False, pid=0, error="")
    return HolderStatus(runs=True, pid=holder.pid, error="")
