"""One process a home.

The databases lock their own files, but the store cuts and deletes blob files before and after it, so the home as a
whole has a lock.  It is a POSIX record lock: the kernel drops it when the process dies, and, unlike `flock`, worker
processes that are forked do not keep it alive.  Such a lock does not exclude the process that holds it, hence the set
of homes held here.
"""

from __future__ import annotations

import fcntl
import os
from threading import Lock
from typing import TYPE_CHECKING, Final

from abci_app.backends.files import storage_errors
from abci_app.errors import HomeLocked

if TYPE_CHECKING:
    from pathlib import Path

LOCK_FILE: Final = "LOCK"
"""File in the home that is locked, and holds the id of the process that has locked it."""

_held: Final[set[Path]] = set()
_guard: Final = Lock()


class HomeLock:
    """The right to open the store of a home; held until it is released or the process ends."""

    __slots__ = ("_descriptor", "_home")

    def __init__(self, home: Path) -> None:
        """Take the lock of an existing directory.

        Raises:
          HomeLocked: another process has it, or this process has it already.
          DiskFull: there was no room for the lock file.
          StorageFailed: the lock file could not be written.

        """
        self._home = home.resolve()
        with _guard:
            if self._home in _held:
                raise HomeLocked(f"expected {home} to be free, got one that this process has open")
            with storage_errors(f"lock {home}"):
                self._descriptor: int | None = self._take()
            _held.add(self._home)

    def release(self) -> None:
        """Let others open the home; releasing again is a no-op."""
        with _guard:
            if self._descriptor is not None:
                _held.remove(self._home)
                os.close(self._descriptor)
                self._descriptor = None

    def _take(self) -> int:
        """Open and lock the file, and return its descriptor."""
        descriptor = os.open(self._home / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode("ascii", errors="replace").strip()
            os.close(descriptor)
            raise HomeLocked(
                f"expected {self._home} to be free, got one that process {holder} has open"
            ) from error
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor
