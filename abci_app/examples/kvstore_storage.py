"""What the kvstore example keeps on disk: height, app hash and state in one row, and some snapshots."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from abci_app.errors import CorruptState, HomeLocked
from abci_app.examples.kvstore_state import KvState, decode_state, encode_state, hash_state

if TYPE_CHECKING:
    from pathlib import Path

SNAPSHOTS_KEPT: Final = 3
"""A peer that has begun to fetch a snapshot should be able to finish."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS committed (
  id INTEGER PRIMARY KEY CHECK (id = 1), height INTEGER NOT NULL, app_hash BLOB NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS snapshots (height INTEGER PRIMARY KEY, data BLOB NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The encoded state of a height, for other nodes."""

    height: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Committed:
    """Everything about the last commit.  Immutable: readers take the reference and need no lock."""

    height: int
    state: KvState
    data: bytes
    """The encoded state."""
    app_hash: bytes
    snapshots: tuple[Snapshot, ...]
    """The newest last."""


def commit_of(height: int, state: KvState, snapshots: tuple[Snapshot, ...]) -> Committed:
    """Return a state as it is committed, with its encoding and app hash."""
    data = encode_state(state)
    return Committed(height, state, data, hash_state(data), snapshots)


class Storage:
    """A SQLite file of one process.  Each write is one transaction, on disk before the method returns."""

    def __init__(self, home: Path) -> None:
        """Open the file in the directory `home`, which is made when it is missing.

        Raises:
          HomeLocked: another process has it open.

        """
        home.mkdir(parents=True, exist_ok=True)
        # One thread at a time uses the connection: the server runs the writing calls one after another.
        self._database = sqlite3.connect(
            home / "kvstore.db", timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            # With a write-ahead log, FULL is what makes a commit survive a loss of power.
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(SCHEMA)
        except sqlite3.OperationalError as error:
            self._database.close()
            raise HomeLocked(f"expected {home} to be free, got {error}") from error

    def load(self) -> Committed:
        """Return what was committed last, or an empty state of height zero.

        Raises:
          CorruptState: the state on disk is not the one that its app hash was computed from.

        """
        rows = self._database.execute("SELECT height, data FROM snapshots ORDER BY height").fetchall()
        snapshots = tuple(Snapshot(height, data) for height, data in rows)
        row = self._database.execute("SELECT height, app_hash, data FROM committed").fetchone()
        if row is None:
            return commit_of(0, KvState(), snapshots)
        height, app_hash, data = row
        committed = commit_of(height, decode_state(data), snapshots)
        if committed.app_hash != app_hash:
            raise CorruptState(f"expected app hash {app_hash.hex()}, got {committed.app_hash.hex()}")
        return committed

    def save(self, committed: Committed) -> None:
        """Write height, app hash, state and snapshots in one transaction."""
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute(
                "INSERT OR REPLACE INTO committed VALUES (1, ?, ?, ?)",
                (committed.height, committed.app_hash, committed.data),
            )
            oldest = committed.snapshots[0].height if committed.snapshots else 0
            self._database.execute("DELETE FROM snapshots WHERE height < ?", (oldest,))
            self._database.executemany(
                "INSERT OR IGNORE INTO snapshots VALUES (?, ?)",
                [(snapshot.height, snapshot.data) for snapshot in committed.snapshots],
            )

    def close(self) -> None:
        """Let other processes open the file."""
        self._database.close()
