"""What is always true of the machine's state between two turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relayer.state import BatchStage
from relayer.types import Duty, Step, TxState

if TYPE_CHECKING:
    from relayer.state import Batch, RelayState
    from relayer.types import PacketRecord


def check_state(state: RelayState) -> None:
    """Check every invariant.

    Raises:
      AssertionError: one is broken.

    """
    for key, record in state.packets.items():
        _check(record.key == key, "a packet is kept under its own key")
        _check_place(state, record)
    for batch in state.batches.values():
        _check_batch(state, batch)
    for key, batch_id in state.batch_of.items():
        _check(
            batch_id in state.batches and key in state.batches[batch_id].items, "batches know their packets"
        )
    _check(state.backlog <= set(state.packets), "only open packets are backlog")
    for key in state.queries:
        _check(key in state.packets, "only known packets are asked about")
    _check_lanes(state)
    _check_txs(state)
    _check_bodies(state)
    _check(not state.dirty and not state.dirty_bodies, "nothing is left to be planned")


def _check(holds: bool, rule: str) -> None:
    if not holds:
        raise AssertionError(f"broken invariant: {rule}")


def _check_place(state: RelayState, record: PacketRecord) -> None:
    """A packet that is not done is in exactly one place, and its step fits."""
    sender = record.key.sender
    end = state.links[sender].opposite(sender) if record.duty is Duty.RECEIVE else sender
    is_waiting = record.key in state.lanes[end].waiting
    batch_id = state.batch_of.get(record.key)
    is_asked = record.key in state.queries
    is_refused = record.step is Step.REFUSED
    places = [is_waiting, batch_id is not None, is_asked, is_refused]
    _check(places.count(True) == 1, f"{record.key} is in one place")
    _check(record.step is not Step.DONE, "what is done is forgotten")
    _check(not is_waiting or record.step is Step.WAITING, "what waits has step waiting")
    for other, lane in state.lanes.items():
        _check(other == end or record.key not in lane.waiting, "a packet waits in the lane of its duty")
    if batch_id is not None:
        batch = state.batches[batch_id]
        _check(batch.lane == end, "a batch goes where its packets go")
        is_sent = batch.stage is BatchStage.SENDING
        _check(is_sent == (record.step is Step.SUBMITTED), "submitted packets are those of sent batches")
        _check(not is_sent or record.tx_hash == batch.tx_hash, "a submitted packet knows its transaction")


def _check_batch(state: RelayState, batch: Batch) -> None:
    _check(bool(batch.items) != batch.is_refresh, "a batch has packets, unless it is a refresh")
    _check(batch.batch_id in state.lanes[batch.lane].batches, "lanes know their batches")
    for key in batch.items:
        _check(state.batch_of.get(key) == batch.batch_id, "packets know their batch")
    if batch.stage is BatchStage.SENDING:
        tx = None if batch.tx_hash is None else state.txs.get(batch.tx_hash)
        _check(tx is not None and tx.batch == batch.batch_id, "a sent batch has a transaction")


def _check_lanes(state: RelayState) -> None:
    for end, lane in state.lanes.items():
        _check(lane.end == end, "a lane is kept under its end")
        for key in lane.waiting:
            _check(key in state.packets, "only known packets wait")
        live = {key for key in lane.waiting if key not in state.backlog}
        _check(live == set(lane.live), "what waits and is no backlog is live")
        sent = [record for key, record in state.packets.items() if key.sender == end]
        _check(len(sent) == lane.open, "open packets are counted")
        refused = sum(record.step is Step.REFUSED for record in sent)
        _check(refused == lane.refused, "refused packets are counted")
        for batch_id in lane.batches:
            _check(state.batches[batch_id].lane == end, "batches know their lane")


def _check_txs(state: RelayState) -> None:
    for tx_hash, tx in state.txs.items():
        _check(tx.tx_hash == tx_hash, "a transaction is kept under its hash")
        _check((tx.record is None) != (tx.body is None), "a transaction carries packets or parts")
        _check(tx.record is None or tx.record.state is TxState.PENDING, "followed transactions are pending")
        _check(tx.batch is None or tx.batch in state.batches, "a transaction's batch is known")


def _check_bodies(state: RelayState) -> None:
    for key, work in state.bodies.items():
        _check(work.record.key == key and not work.record.done, "open bodies are kept under their key")
        in_groups = [index for indices in work.groups.values() for index in indices]
        missing = list(work.missing or ())
        _check(len({*in_groups, *missing}) == len(in_groups) + len(missing), "a part is in one place")
        _check(set(work.group_deadlines) <= set(work.groups), "deadlines are those of groups")
