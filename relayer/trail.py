"""The way of each packet: every stage it reached, when, and in which transaction.

The journal keeps where a packet is, which is all that relaying needs.  People ask how it got there; that is kept in a
file of its own beside the journal, written in the background and not synced, so that it costs relaying nothing.  It
may be deleted at any time.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from abci_app.closing import Closing
from relayer.actions import PutPacket

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from relayer.actions import RelayAction
    from relayer.state import RelayState
    from relayer.types import PacketKey, PacketRecord, TimeNs

LOG = structlog.get_logger(__name__)

KEPT_MOVES: Final = 200_000
"""Some seven belong to each packet."""
PRUNE_EVERY: Final = 10_000

_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS moves (id INTEGER PRIMARY KEY, chain TEXT NOT NULL, client TEXT NOT NULL, "
    "sequence INTEGER NOT NULL, stage TEXT NOT NULL, at_ns INTEGER NOT NULL, tx_hash BLOB NOT NULL, "
    "failure TEXT NOT NULL) STRICT"
)
_INDEX: Final = "CREATE INDEX IF NOT EXISTS moves_of_packet ON moves (chain, client, sequence)"
_INSERT: Final = (
    "INSERT INTO moves (chain, client, sequence, stage, at_ns, tx_hash, failure) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_PRUNE: Final = "DELETE FROM moves WHERE id <= (SELECT max(id) FROM moves) - ?"
_SELECT: Final = "SELECT stage, at_ns, tx_hash, failure FROM moves WHERE chain = ? AND client = ? AND sequence = ? ORDER BY id"

Row = tuple[str, str, int, str, int, bytes, str]


@dataclass(frozen=True, slots=True)
class Move:
    """A packet reached a stage."""

    stage: str
    at_ns: int
    """Unix nanoseconds of our clock."""
    tx_hash: bytes
    """The transaction in which we submitted it; empty where there is none."""
    failure: str
    """Why it is waiting again or was refused; empty otherwise."""


def trail_path(journal: Path) -> Path:
    """Return where the trail that belongs to a journal is."""
    return journal.with_name(journal.name + ".trail")


class Trail(Closing):
    """Writes the trail, in a thread of its own."""

    def __init__(self, path: Path, kept: int = KEPT_MOVES) -> None:
        self.path = path
        self._kept = kept
        self._rows: queue.SimpleQueue[list[Row] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="trail", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is left, then stop."""
        self._rows.put(None)
        self._thread.join()

    def note(self, decided: Iterable[RelayAction], state: RelayState, now_ns: TimeNs) -> None:
        """Remember the moves of one turn."""
        del state, now_ns
        rows = [_row(action.record) for action in decided if isinstance(action, PutPacket)]
        if rows:
            self._rows.put(rows)

    def _run(self) -> None:
        """Write until told to stop.  A disk that takes nothing costs the trail, and nothing else."""
        try:
            with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = OFF")
                for statement in (_TABLE, _INDEX):
                    connection.execute(statement)
                self._write_all(connection)
        except sqlite3.Error as error:
            LOG.warning("packets are no longer recorded", file=str(self.path), reason=str(error))
            while self._rows.get() is not None:
                pass

    def _write_all(self, connection: sqlite3.Connection) -> None:
        written = 0
        rows = self._rows.get()
        while rows is not None:
            is_last = False
            while not self._rows.empty():
                more = self._rows.get()
                if more is None:
                    is_last = True
                    break
                rows += more
            connection.execute("BEGIN")
            connection.executemany(_INSERT, rows)
            written += len(rows)
            if written >= PRUNE_EVERY or is_last:
                connection.execute(_PRUNE, (self._kept,))
                written = 0
            connection.execute("COMMIT")
            rows = None if is_last else self._rows.get()


def _row(record: PacketRecord) -> Row:
    sender = record.key.sender
    failure = "" if record.failure is None else str(record.failure)
    return (
        sender.chain,
        sender.client,
        record.key.sequence,
        record.stage,
        record.changed_ns,
        record.tx_hash,
        failure,
    )


def read_moves(path: Path, key: PacketKey) -> tuple[Move, ...]:
    """Return the way of a packet, oldest move first; nothing if it is not recorded."""
    if not path.exists():
        return ()
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute(_SELECT, (key.sender.chain, key.sender.client, key.sequence)).fetchall()
    except sqlite3.Error as error:
        LOG.warning("the trail cannot be read", file=str(path), reason=str(error))
        return ()
    return tuple(Move(*row) for row in rows)
