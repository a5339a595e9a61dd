"""Reading and writing of settlements."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from abci_app.state import BULK, PROVABLE
from hub.records import decode_record, encode_record
from hub.settlement.keys import DUE_PREFIX, TREASURY_KEY, due_key, paid_key, pending_key
from hub.settlement.types import PaidSettlement, PendingSettlement
from tx.paths import settlement_root_key

if TYPE_CHECKING:
    from abci_app.state import StateReader, StateWriter


def get_treasury(state: StateReader) -> bytes:
    """Return the address of the account that gets what is left over."""
    return state.get(BULK, TREASURY_KEY) or b""


def init_treasury(state: StateWriter, treasury: bytes) -> None:
    """Write the treasury of the genesis."""
    state.set(BULK, TREASURY_KEY, treasury)


def put_pending(
    state: StateWriter, task: int, round_number: int, pending: PendingSettlement, time_ns: int
) -> None:
    """Let a round be settled in the first block whose time is not before `time_ns`."""
    state.set(BULK, pending_key(task, round_number), encode_record(pending))
    state.set(BULK, due_key(time_ns, task, round_number), b"\x01")


def take_due_settlements(
    state: StateWriter, now_ns: int, limit: int
) -> list[tuple[int, int, PendingSettlement]]:
    """Return (task, round, what it pays) of rounds to settle now, at most `limit`, and forget that they pend."""
    start = len(DUE_PREFIX)
    due = []
    for key, _ in list(islice(state.scan(BULK, DUE_PREFIX), limit)):
        time_ns, task, round_number = (
            int.from_bytes(key[start + place : start + place + 8], "big") for place in (0, 8, 16)
        )
        if time_ns > now_ns:
            break
        pending = decode_record(PendingSettlement, state.get(BULK, pending_key(task, round_number)) or b"")
        state.delete(BULK, key)
        state.delete(BULK, pending_key(task, round_number))
        due.append((task, round_number, pending))
    return due


def get_paid(state: StateReader, task: int, round_number: int) -> PaidSettlement | None:
    """Return what a round has paid, or None before it is settled."""
    data = state.get(BULK, paid_key(task, round_number))
    return None if data is None else decode_record(PaidSettlement, data)


def put_paid(state: StateWriter, task: int, round_number: int, paid: PaidSettlement, root: bytes) -> None:
    """Write what a round has paid, and the root by which it can be proven."""
    state.set(BULK, paid_key(task, round_number), encode_record(paid))
    state.set(PROVABLE, settlement_root_key(task, round_number), root)


def get_settlement_root(state: StateReader, task: int, round_number: int) -> bytes:
    """Return the root of a settled round, or nothing before it is settled."""
    return state.get(PROVABLE, settlement_root_key(task, round_number)) or b""
