"""Tables of the journal, and how records become rows.

The version of the schema is SQLite's `user_version`.  A later version adds a step to `MIGRATIONS`; steps are never
changed once released.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from relayer.types import (
    BodyKey,
    BodyRecord,
    ChainId,
    ClientId,
    Duty,
    Failure,
    Height,
    LinkEnd,
    PacketKey,
    PacketRecord,
    Step,
    TimeNs,
    TxHash,
    TxRecord,
    TxState,
)

if TYPE_CHECKING:
    import sqlite3

Value: TypeAlias = str | int | bytes

MIGRATIONS: Final = (
    """
    CREATE TABLE cursors (
        chain TEXT PRIMARY KEY,
        height INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE packets (
        chain TEXT NOT NULL,
        client TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        packet BLOB NOT NULL,
        timeout_s INTEGER NOT NULL,
        duty TEXT NOT NULL,
        step TEXT NOT NULL,
        provable_from INTEGER NOT NULL,
        seen_ns INTEGER NOT NULL,
        changed_ns INTEGER NOT NULL,
        acknowledgement BLOB NOT NULL,
        tx_hash BLOB NOT NULL,
        attempts INTEGER NOT NULL,
        not_before_ns INTEGER NOT NULL,
        alone INTEGER NOT NULL,
        codespace TEXT NOT NULL,
        code INTEGER NOT NULL,
        message TEXT NOT NULL,
        PRIMARY KEY (chain, client, sequence)
    ) STRICT;
    CREATE INDEX open_packets ON packets (seen_ns) WHERE step <> 'done';
    CREATE INDEX done_packets ON packets (changed_ns) WHERE step = 'done';
    CREATE TABLE txs (
        tx_hash BLOB PRIMARY KEY,
        chain TEXT NOT NULL,
        client TEXT NOT NULL,
        tx BLOB NOT NULL,
        expires_at_ns INTEGER NOT NULL,
        state TEXT NOT NULL,
        made_ns INTEGER NOT NULL,
        height INTEGER NOT NULL,
        codespace TEXT NOT NULL,
        code INTEGER NOT NULL,
        message TEXT NOT NULL
    ) STRICT;
    CREATE INDEX pending_txs ON txs (made_ns) WHERE state = 'pending';
    CREATE TABLE bodies (
        chain TEXT NOT NULL,
        client TEXT NOT NULL,
        task INTEGER NOT NULL,
        round INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        body_root BLOB NOT NULL,
        parts INTEGER NOT NULL,
        done INTEGER NOT NULL,
        seen_ns INTEGER NOT NULL,
        changed_ns INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        refusals INTEGER NOT NULL,
        not_before_ns INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        codespace TEXT NOT NULL,
        code INTEGER NOT NULL,
        message TEXT NOT NULL,
        PRIMARY KEY (chain, client, task, round, attempt)
    ) STRICT;
    """,
    """
    CREATE TABLE forgotten_packets (
        chain TEXT NOT NULL,
        duty TEXT NOT NULL,
        n INTEGER NOT NULL,
        PRIMARY KEY (chain, duty)
    ) STRICT;
    CREATE TABLE forgotten_txs (
        chain TEXT NOT NULL,
        state TEXT NOT NULL,
        n INTEGER NOT NULL,
        PRIMARY KEY (chain, state)
    ) STRICT;
    CREATE INDEX finished_txs ON txs (made_ns) WHERE state <> 'pending';
    """,
)
"""SQL that leads from each version to the next."""

PUT_CURSOR: Final = "INSERT OR REPLACE INTO cursors VALUES (?, ?)"
PUT_PACKET: Final = (
    "INSERT OR REPLACE INTO packets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
PUT_TX: Final = "INSERT OR REPLACE INTO txs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
PUT_BODY: Final = "INSERT OR REPLACE INTO bodies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


_OLD_PACKETS: Final = (
    "FROM packets WHERE step = 'done' AND changed_ns < "
    "(SELECT changed_ns FROM packets WHERE step = 'done' ORDER BY changed_ns DESC LIMIT 1 OFFSET ?)"
)
_OLD_TXS: Final = (
    "FROM txs WHERE state <> 'pending' AND made_ns < "
    "(SELECT made_ns FROM txs WHERE state <> 'pending' ORDER BY made_ns DESC LIMIT 1 OFFSET ?)"
)
_OLD_BODIES: Final = (
    "FROM bodies WHERE done = 1 AND changed_ns < "
    "(SELECT changed_ns FROM bodies WHERE done = 1 ORDER BY changed_ns DESC LIMIT 1 OFFSET ?)"
)
_ADD: Final = "ON CONFLICT DO UPDATE SET n = n + excluded.n"

PRUNE: Final = (
    f"INSERT INTO forgotten_packets SELECT chain, duty, count(*) {_OLD_PACKETS} GROUP BY chain, duty {_ADD}",
    f"DELETE {_OLD_PACKETS}",
    f"INSERT INTO forgotten_txs SELECT chain, state, count(*) {_OLD_TXS} GROUP BY chain, state {_ADD}",
    f"DELETE {_OLD_TXS}",
    f"DELETE {_OLD_BODIES}",
)
"""Forget what is finished but for the newest ones of each kind, about as many as the number that each is given.

Packets and transactions stay counted: what people ask for is how many there have been.
"""

COUNT_PACKETS: Final = (
    "SELECT chain, duty, step, sum(n) AS n FROM ("
    "SELECT chain, duty, step, count(*) AS n FROM packets GROUP BY chain, duty, step "
    "UNION ALL SELECT chain, duty, 'done', n FROM forgotten_packets) GROUP BY chain, duty, step"
)
COUNT_TXS: Final = (
    "SELECT chain, state, sum(n) AS n FROM ("
    "SELECT chain, state, count(*) AS n FROM txs GROUP BY chain, state "
    "UNION ALL SELECT chain, state, n FROM forgotten_txs) GROUP BY chain, state"
)


def _failure_columns(failure: Failure | None) -> tuple[str, int, str]:
    return ("", 0, "") if failure is None else (failure.codespace, failure.code, failure.message)


def _read_failure(row: sqlite3.Row) -> Failure | None:
    return Failure(row["codespace"], row["code"], row["message"]) if row["codespace"] else None


def _read_end(row: sqlite3.Row) -> LinkEnd:
    return LinkEnd(ChainId(row["chain"]), ClientId(row["client"]))


def packet_row(record: PacketRecord) -> tuple[Value, ...]:
    """Return the row of a packet.  Of one that is done, its bytes are no longer needed."""
    is_done = record.step is Step.DONE
    return (
        record.key.sender.chain,
        record.key.sender.client,
        record.key.sequence,
        b"" if is_done else record.packet_bytes,
        record.timeout_s,
        record.duty.value,
        record.step.value,
        record.provable_from,
        record.seen_ns,
        record.changed_ns,
        b"" if is_done else record.acknowledgement,
        record.tx_hash,
        record.attempts,
        record.not_before_ns,
        int(record.alone),
        *_failure_columns(record.failure),
    )


def read_packet(row: sqlite3.Row) -> PacketRecord:
    """Return the packet of a row."""
    return PacketRecord(
        key=PacketKey(_read_end(row), row["sequence"]),
        packet_bytes=row["packet"],
        timeout_s=row["timeout_s"],
        duty=Duty(row["duty"]),
        step=Step(row["step"]),
        provable_from=Height(row["provable_from"]),
        seen_ns=TimeNs(row["seen_ns"]),
        changed_ns=TimeNs(row["changed_ns"]),
        acknowledgement=row["acknowledgement"],
        tx_hash=TxHash(row["tx_hash"]),
        attempts=row["attempts"],
        not_before_ns=TimeNs(row["not_before_ns"]),
        alone=bool(row["alone"]),
        failure=_read_failure(row),
    )


def tx_row(record: TxRecord) -> tuple[Value, ...]:
    """Return the row of a transaction."""
    return (
        record.tx_hash,
        record.lane.chain,
        record.lane.client,
        record.tx_bytes,
        record.expires_at_ns,
        record.state.value,
        record.made_ns,
        record.height,
        *_failure_columns(record.failure),
    )


def read_tx(row: sqlite3.Row) -> TxRecord:
    """Return the transaction of a row."""
    return TxRecord(
        tx_hash=TxHash(row["tx_hash"]),
        lane=_read_end(row),
        tx_bytes=row["tx"],
        expires_at_ns=TimeNs(row["expires_at_ns"]),
        state=TxState(row["state"]),
        made_ns=TimeNs(row["made_ns"]),
        height=Height(row["height"]),
        failure=_read_failure(row),
    )


def body_row(record: BodyRecord) -> tuple[Value, ...]:
    """Return the row of a body."""
    return (
        record.key.shard.chain,
        record.key.shard.client,
        record.key.task,
        record.key.round,
        record.key.attempt,
        record.body_root,
        record.parts,
        int(record.done),
        record.seen_ns,
        record.changed_ns,
        record.attempts,
        record.refusals,
        record.not_before_ns,
        record.outcome,
        *_failure_columns(record.failure),
    )


def read_body(row: sqlite3.Row) -> BodyRecord:
    """Return the body of a row."""
    return BodyRecord(
        key=BodyKey(_read_end(row), row["task"], row["round"], row["attempt"]),
        body_root=row["body_root"],
        parts=row["parts"],
        done=bool(row["done"]),
        seen_ns=TimeNs(row["seen_ns"]),
        changed_ns=TimeNs(row["changed_ns"]),
        attempts=row["attempts"],
        refusals=row["refusals"],
        not_before_ns=TimeNs(row["not_before_ns"]),
        outcome=row["outcome"],
        failure=_read_failure(row),
    )
