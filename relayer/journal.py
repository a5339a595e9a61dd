"""The relayer's memory on disk: an SQLite database in WAL mode, synced before anything is paid for.

All journal actions of a turn are one transaction, written before anything else of that turn is done.  So a process
that dies at any point finds, when it starts again, either the state before a turn or the one after it, and for each
transaction that it may have sent the bytes to ask about or send again.

What a dead process has written stays, whether it was synced or not.  A machine that loses its power forgets what was
not synced: the writes since the last transaction was signed.  They tell of blocks and of outcomes, which the chains
tell again; a signed transaction is synced before it is sent.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, assert_never

from abci_app.closing import Closing
from relayer.actions import PutBody, PutCursor, PutPacket, PutTx
from relayer.errors import JournalMissing, JournalTooNew, JournalTooOld, JournalUnusable
from relayer.holder import release_lock, take_lock
from relayer.journal_schema import (
    COUNT_PACKETS,
    COUNT_TXS,
    MIGRATIONS,
    PRUNE,
    PUT_BODY,
    PUT_CURSOR,
    PUT_PACKET,
    PUT_TX,
    body_row,
    packet_row,
    read_body,
    read_packet,
    read_tx,
    tx_row,
)
from relayer.state import Restored
from relayer.types import ChainId, Height, Step, TxState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from relayer.actions import JournalAction
    from relayer.types import Duty, PacketKey, PacketRecord, TxRecord

SCHEMA_VERSION: Final = len(MIGRATIONS)
KEPT_DONE: Final = 10_000
"""Finished packets and transactions that stay, for people to look at."""

PRUNE_EVERY: Final = 500
"""So many more may be there before the oldest are forgotten; that takes some milliseconds."""

_OPEN_PACKETS: Final = "SELECT * FROM packets WHERE step <> 'done' ORDER BY seen_ns, chain, client, sequence"
_PENDING_TXS: Final = "SELECT * FROM txs WHERE state = 'pending' ORDER BY made_ns"
_OPEN_BODIES: Final = "SELECT * FROM bodies WHERE done = 0 ORDER BY seen_ns"


@contextmanager
def _as_unusable(path: Path) -> Iterator[None]:
    """Turn what the operating system or SQLite says into an error of ours."""
    try:
        yield
    except (OSError, OverflowError, sqlite3.Error) as error:
        raise JournalUnusable(f"expected a journal at {path}, got: {error}") from error


class Journal(Closing):
    """An open journal.  It may be used from any thread."""

    def __init__(self, path: Path) -> None:
        """Open a journal, and make it if there is none.

        Raises:
          JournalInUse: another process has it open.
          JournalTooNew: a newer version wrote it.
          JournalUnusable: it cannot be opened.

        """
        self.path = path
        self._busy = threading.Lock()
        with _as_unusable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(path)
        try:
            with _as_unusable(path):
                self._connection = _connect(path)
                self._is_synced = True
                _migrate(path, self._connection)
                with _transaction(self._connection):
                    self._prune()
        except BaseException:
            release_lock(self._lock)
            raise

    def close(self) -> None:
        """Close the journal, after what is being written, and let others open it."""
        with self._busy:
            self._connection.close()
        release_lock(self._lock)

    def apply(self, actions: Sequence[JournalAction]) -> None:
        """Write actions, all of them or none; they outlive this process when this returns.

        Raises:
          JournalUnusable: they could not be written.

        """
        if actions:
            self.write(actions)
            self.commit()

    def write(self, actions: Sequence[JournalAction]) -> bool:
        """Write actions, which nobody sees before `commit`; that must follow.  Return whether that waits for the disk.

        Not for a thread: SQLite lets go of the interpreter at each statement, and a busy one keeps a thread waiting.

        Raises:
          JournalUnusable: they could not be written, and there is nothing to commit.

        """
        synced = any(_must_be_synced(action) for action in actions)
        self._busy.acquire()
        try:
            with _as_unusable(self.path):
                if synced != self._is_synced:
                    self._connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
                    self._is_synced = synced
                with _begun(self._connection):
                    for action in actions:
                        _write(self._connection, action)
                    self._finished += sum(map(_is_finished, actions))
                    if self._finished >= PRUNE_EVERY:
                        self._prune()
        except BaseException:
            self._busy.release()
            raise
        return synced

    def commit(self) -> None:
        """Make what was written outlive this process.  It may be called from another thread.

        Raises:
          JournalUnusable: it could not be.

        """
        try:
            with _as_unusable(self.path):
                self._connection.execute("COMMIT")
        finally:
            self._busy.release()

    def restore(self) -> Restored:
        """Return what is not finished.

        Raises:
          JournalUnusable: it cannot be read.

        """
        with self._busy, _as_unusable(self.path):
            return read_unfinished(self._connection)

    def _prune(self) -> None:
        """Forget the oldest of what is finished, within a transaction."""
        self._finished = 0
        for statement in PRUNE:
            self._connection.execute(statement, (KEPT_DONE,))


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _check_version(path: Path, connection: sqlite3.Connection) -> int:
    version = _version(connection)
    if version > SCHEMA_VERSION:
        raise JournalTooNew(f"expected {path} in version {SCHEMA_VERSION} or older, got {version}")
    return version


def _migrate(path: Path, connection: sqlite3.Connection) -> None:
    """Bring an older journal, or a blank one, to the present version."""
    for version in range(_check_version(path, connection), SCHEMA_VERSION):
        with _transaction(connection):
            for statement in MIGRATIONS[version].split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")


@contextmanager
def _begun(connection: sqlite3.Connection) -> Iterator[None]:
    """Begin a transaction, and take it back if it fails."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    with _begun(connection):
        yield
    connection.execute("COMMIT")


def _must_be_synced(action: JournalAction) -> bool:
    """Tell whether a write must be on disk before what follows from it is done: a transaction that will be sent."""
    return isinstance(action, PutTx) and action.record.state is TxState.PENDING


def _is_finished(action: JournalAction) -> bool:
    """Tell whether a write says that something has come to its end."""
    match action:
        case PutPacket(record):
            return record.step is Step.DONE
        case PutTx(record):
            return record.state is not TxState.PENDING
        case PutBody(record):
            return record.done
        case _:
            return False


def _write(connection: sqlite3.Connection, action: JournalAction) -> None:
    match action:
        case PutCursor():
            connection.execute(PUT_CURSOR, (action.chain, action.height))
        case PutPacket():
            connection.execute(PUT_PACKET, packet_row(action.record))
        case PutTx():
            connection.execute(PUT_TX, tx_row(action.record))
        case PutBody():
            connection.execute(PUT_BODY, body_row(action.record))
        case _:
            assert_never(action)


def read_unfinished(connection: sqlite3.Connection) -> Restored:
    """Return what is not finished in a journal."""
    return Restored(
        cursors={
            ChainId(row["chain"]): Height(row["height"])
            for row in connection.execute("SELECT * FROM cursors")
        },
        packets=tuple(read_packet(row) for row in connection.execute(_OPEN_PACKETS)),
        txs=tuple(read_tx(row) for row in connection.execute(_PENDING_TXS)),
        bodies=tuple(read_body(row) for row in connection.execute(_OPEN_BODIES)),
    )


class JournalReader:
    """Read access to a journal that another process may be writing."""

    def __init__(self, path: Path) -> None:
        """Open a journal for reading.

        Raises:
          JournalMissing: there is none.
          JournalTooNew, JournalTooOld: another version wrote it.
          JournalUnusable: it cannot be read.

        """
        if not path.exists():
            raise JournalMissing(f"expected a journal at {path}, got none")
        self.path = path
        with _as_unusable(path):
            self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
            self._connection.row_factory = sqlite3.Row
            version = _check_version(path, self._connection)
        if version < SCHEMA_VERSION:
            self._connection.close()
            if not version:
                raise JournalMissing(f"expected a journal at {path}, got one in the making")
            raise JournalTooOld(f"expected {path} in version {SCHEMA_VERSION}, got {version}")

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def unfinished(self) -> Restored:
        """Return what is not finished.

        Raises:
          JournalUnusable: it cannot be read.

        """
        with _as_unusable(self.path):
            return read_unfinished(self._connection)

    def packets(self) -> tuple[PacketRecord, ...]:
        """Return all packets that are kept, finished ones too.

        Raises:
          JournalUnusable: it cannot be read.

        """
        with _as_unusable(self.path):
            rows = self._connection.execute("SELECT * FROM packets ORDER BY seen_ns, chain, client, sequence")
            return tuple(read_packet(row) for row in rows)

    def find_packet(self, key: PacketKey) -> PacketRecord | None:
        """Return a packet, or None if it is not kept.

        Raises:
          JournalUnusable: it cannot be read.

        """
        query = "SELECT * FROM packets WHERE chain = ? AND client = ? AND sequence = ?"
        with _as_unusable(self.path):
            names = (key.sender.chain, key.sender.client, key.sequence)
            row = self._connection.execute(query, names).fetchone()
            return None if row is None else read_packet(row)

    def list_open(self, stage: tuple[Duty, Step] | None, limit: int) -> tuple[PacketRecord, ...]:
        """Return packets that are not done, the oldest first, those of a stage if one is named.

        Raises:
          JournalUnusable: it cannot be read.

        """
        duty, step = ("%", "%") if stage is None else (stage[0].value, stage[1].value)
        query = (
            "SELECT * FROM packets WHERE step <> 'done' AND duty LIKE ? AND step LIKE ? "
            "ORDER BY seen_ns, chain, client, sequence LIMIT ?"
        )
        with _as_unusable(self.path):
            return tuple(read_packet(row) for row in self._connection.execute(query, (duty, step, limit)))

    def find_tx(self, tx_hash: bytes) -> TxRecord | None:
        """Return a transaction, or None if it is not kept.

        Raises:
          JournalUnusable: it cannot be read.

        """
        with _as_unusable(self.path):
            row = self._connection.execute("SELECT * FROM txs WHERE tx_hash = ?", (tx_hash,)).fetchone()
            return None if row is None else read_tx(row)

    def txs(self) -> tuple[TxRecord, ...]:
        """Return all transactions that are kept.

        Raises:
          JournalUnusable: it cannot be read.

        """
        with _as_unusable(self.path):
            return tuple(
                read_tx(row) for row in self._connection.execute("SELECT * FROM txs ORDER BY made_ns")
            )

    def count_packets(self) -> dict[tuple[str, str, str], int]:
        """Return how many packets of each chain have, or had when they were forgotten, each duty and step.

        Raises:
          JournalUnusable: it cannot be read.

        """
        with _as_unusable(self.path):
            rows = self._connection.execute(COUNT_PACKETS)
            return {(row["chain"], row["duty"], row["step"]): row["n"] for row in rows}

    def count_txs(self) -> dict[tuple[str, TxState], int]:
        """Return how many transactions to each chain have, or had when they were forgotten, each state.

        Raises:
          JournalUnusable: it cannot be read.

        """
        with _as_unusable(self.path):
            rows = self._connection.execute(COUNT_TXS)
            return {(row["chain"], TxState(row["state"])): row["n"] for row in rows}
