"""What relayers deliver, and what they got for it.

Each packet of a round that the hub waits for counts once, for whoever brings it first: the header of a shard's
checkpoint, and each part of its body.  What is counted is paid by the round that the task aggregates next, which is the
round itself, or for a late delivery one that can still take it.  A void attempt pays nothing.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from abci_app.state import BULK
from hub.accounts.state import MAX_EARNED
from hub.records import decode_record, encode_record
from hub.settlement.keys import carried_prefix, relay_key, relay_prefix, relayed_key
from hub.settlement.types import Carried, RelayEarning

if TYPE_CHECKING:
    from abci_app.state import StateReader, StateWriter
    from hub.settlement.types import RelayPayment


def count_delivery(state: StateWriter, task: int, relayer: bytes, packets: int) -> None:
    """Count packets that a relayer was the first to deliver, validly and while the task could use them."""
    key = carried_prefix(task) + relayer
    count = int.from_bytes(state.get(BULK, key) or b"", "big") + packets
    state.set(BULK, key, count.to_bytes(8, "big"))


def take_deliveries(state: StateWriter, task: int) -> tuple[Carried, ...]:
    """Return what was counted for a task since its last attempt was closed, sorted by account, and forget it."""
    prefix = carried_prefix(task)
    entries = list(state.scan(BULK, prefix))
    for key, _ in entries:
        state.delete(BULK, key)
    return tuple(Carried(key[len(prefix) :], int.from_bytes(value, "big")) for key, value in entries)


def record_relay_payment(state: StateWriter, task: int, round_number: int, payment: RelayPayment) -> None:
    """Note what a relayer got for a round; the totals stay at the largest number that they have room for."""
    earned = RelayEarning(payment.packets, payment.amount)
    state.set(BULK, relay_key(payment.account, task, round_number), encode_record(earned))
    total = get_relay_total(state, payment.account)
    total = RelayEarning(
        min(total.packets + earned.packets, MAX_EARNED), min(total.amount + earned.amount, MAX_EARNED)
    )
    state.set(BULK, relayed_key(payment.account), encode_record(total))


def get_relay_total(state: StateReader, account: bytes) -> RelayEarning:
    """Return what an account got for all its deliveries."""
    data = state.get(BULK, relayed_key(account))
    return RelayEarning(0, 0) if data is None else decode_record(RelayEarning, data)


def list_relay_earnings(
    state: StateReader, account: bytes, start: tuple[int, int], limit: int
) -> list[tuple[int, int, RelayEarning]]:
    """Return (task, round, what an account got for it) in order, from the round `start` on, at most `limit`."""
    prefix = relay_prefix(account)
    entries = (
        (
            int.from_bytes(key[len(prefix) : len(prefix) + 8], "big"),
            int.from_bytes(key[len(prefix) + 8 :], "big"),
            decode_record(RelayEarning, value),
        )
        for key, value in state.scan(BULK, prefix)
    )
    return list(islice((entry for entry in entries if entry[:2] >= start), limit))
