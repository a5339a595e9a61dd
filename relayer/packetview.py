"""One packet as people ask for it: where it is, how it got there, in which transactions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relayer.errors import PacketUnknown
from relayer.journal import JournalReader
from relayer.trail import read_moves, trail_path
from relayer.types import NS_PER_SECOND, STAGE_NAMES, Step

if TYPE_CHECKING:
    from pathlib import Path

    from relayer.trail import Move
    from relayer.types import PacketKey, PacketRecord

MAX_LISTED: Final = 1_000
_STAGES: Final = {name: stage for stage, name in STAGE_NAMES.items()}
_ENDS: Final = frozenset({"gone", "acknowledged", "timed_out"})


@dataclass(frozen=True, slots=True)
class MoveView:
    """One stage that the packet reached."""

    stage: str
    at_ns: int
    tx_hash: str
    """Of our transaction, in hexadecimal, or of the one that delivered the packet; empty where none is known."""
    tx_state: str
    """What became of it: pending, included, failed, expired; empty if it is not known."""
    tx_height: int
    """Of the block that holds it; 0 if there is none."""
    failure: str


@dataclass(frozen=True, slots=True)
class PacketView:
    """A packet."""

    chain: str
    """The chain that sent it."""
    client: str
    """The client on that chain over which it was sent."""
    sequence: int
    stage: str
    """seen, proved, submitted, committed, ack_proved, ack_submitted, acknowledged, or how else it goes."""
    ended: bool
    age_s: int
    """Since it was first seen."""
    timeout_s: int
    """Unix seconds from which on it can no longer be received; 0 if that is not known any more."""
    attempts: int
    """Failures of the present duty."""
    failure: str
    moves: tuple[MoveView, ...]


def find_packet(journal: Path, key: PacketKey, now_ns: int) -> PacketView:
    """Return what the relayer knows of a packet.

    Raises:
      PacketUnknown: nothing.
      JournalMissing, JournalUnusable, JournalTooNew, JournalTooOld: the journal cannot be read.

    """
    reader = JournalReader(journal)
    try:
        record = reader.find_packet(key)
        moves = tuple(_view_move(move, reader) for move in read_moves(trail_path(journal), key))
    finally:
        reader.close()
    if record is not None:
        return _view(record, moves, now_ns)
    if not moves:
        raise PacketUnknown(f"expected a packet that was seen, got {key}")
    last, first = moves[-1], moves[0]
    return PacketView(
        chain=key.sender.chain,
        client=key.sender.client,
        sequence=key.sequence,
        stage=last.stage,
        ended=last.stage in _ENDS,
        age_s=(now_ns - first.at_ns) // NS_PER_SECOND,
        timeout_s=0,
        attempts=0,
        failure=last.failure,
        moves=moves,
    )


def list_packets(journal: Path, stage: str, limit: int, now_ns: int) -> tuple[PacketView, ...]:
    """Return the packets that are not done, the oldest first; those of a stage, if one is named.

    Raises:
      JournalMissing, JournalUnusable, JournalTooNew, JournalTooOld: the journal cannot be read.

    """
    reader = JournalReader(journal)
    try:
        records = reader.list_open(_STAGES.get(stage), min(limit, MAX_LISTED))
    finally:
        reader.close()
    return tuple(_view(record, (), now_ns) for record in records)


def _view(record: PacketRecord, moves: tuple[MoveView, ...], now_ns: int) -> PacketView:
    return PacketView(
        chain=record.key.sender.chain,
        client=record.key.sender.client,
        sequence=record.key.sequence,
        stage=record.stage,
        ended=record.step is Step.DONE,
        age_s=(now_ns - record.seen_ns) // NS_PER_SECOND,
        timeout_s=record.timeout_s,
        attempts=record.attempts,
        failure="" if record.failure is None else str(record.failure),
        moves=moves,
    )


def _view_move(move: Move, reader: JournalReader) -> MoveView:
    found = reader.find_tx(move.tx_hash) if move.tx_hash else None
    return MoveView(
        stage=move.stage,
        at_ns=move.at_ns,
        tx_hash=move.tx_hash.hex(),
        tx_state="" if found is None else found.state.value,
        tx_height=0 if found is None else found.height,
        failure=move.failure,
    )
