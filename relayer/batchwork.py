"""Batches: from proofs to a transaction, and what follows when one fails."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from relayer.actions import BroadcastTx, PutTx, SignBatch, SubmitItem
from relayer.events import ItemAbsent, ItemProved, ItemUnproved
from relayer.lanework import block, drop_refresh
from relayer.packetwork import (
    ask_about,
    doubt,
    drop_batch,
    finish,
    is_early,
    receive_after_all,
    refuse,
    wait_again,
)
from relayer.policy import Consequence, consequence_of
from relayer.state import BatchStage, TrackedTx, Turn
from relayer.types import Duty, Height, Step, TimeNs, TxRecord, TxState
from tx.envelope import MAX_MESSAGES

if TYPE_CHECKING:
    from relayer.events import BatchFailed, BatchProved, BatchSigned
    from relayer.state import Batch
    from relayer.types import Failure, PacketRecord

MAX_HEADERS: Final = MAX_MESSAGES - 1
"""Client updates that fit into a transaction beside one packet."""


def handle_proved(turn: Turn, event: BatchProved) -> None:
    """Have the proven packets of a batch signed, and deal with the others."""
    state = turn.state
    batch = state.batches.get(event.batch)
    if batch is None or batch.stage is not BatchStage.PROVING:
        return
    batch.header_time_ns = event.header_time_ns
    _correct_time(turn, batch)
    for result in event.items:
        if result.key in batch.items:
            _take_proof(turn, batch, result)
    for key in [key for key in batch.items if key not in batch.proofs]:
        wait_again(turn, state.packets[key], None, pause=True)
    for key in list(batch.items)[max(0, MAX_MESSAGES - len(event.headers)) :]:
        wait_again(turn, state.packets[key], None, pause=False)
    if batch.batch_id not in state.batches:
        return
    batch.stage = BatchStage.SIGNING
    batch.deadline_ns = TimeNs(turn.now_ns + state.options.answer_timeout_ns)
    turn.wake_at(batch.deadline_ns)
    items = tuple(_submit_item(state.packets[key], batch.proofs[key]) for key in batch.items)
    turn.emit(SignBatch(batch.batch_id, batch.lane, batch.target_height, event.headers, items))


def _correct_time(turn: Turn, batch: Batch) -> None:
    """Believe a verified header rather than what a node has said of the newest block."""
    origin = turn.state.chain(turn.state.lanes[batch.lane].origin.chain)
    if batch.target_height == origin.head:
        origin.head_time_ns = batch.header_time_ns


def _submit_item(record: PacketRecord, proof: bytes) -> SubmitItem:
    return SubmitItem(record.duty, record.packet_bytes, record.acknowledgement, proof)


def _take_proof(turn: Turn, batch: Batch, result: ItemProved | ItemAbsent | ItemUnproved) -> None:
    """Note the proof of one packet, or what its absence means."""
    record = turn.state.packets[result.key]
    if is_early(record, batch.header_time_ns):
        receive_after_all(turn, record)
        return
    match result:
        case ItemProved(key, proof):
            batch.proofs[key] = proof
            turn.put(replace(record, step=Step.PROVED, changed_ns=turn.now_ns))
        case ItemUnproved(_, failure):
            if consequence_of(failure) is Consequence.PACKET:
                doubt(turn, record, failure)
            else:
                wait_again(turn, record, failure, pause=True)
        case ItemAbsent():
            if record.duty is Duty.RECEIVE:
                # The sender has dropped the commitment, and this is proven: somebody else saw the packet through.
                finish(turn, record, Duty.RECEIVE)
            elif record.duty is Duty.TIMEOUT:
                ask_about(turn, record)
            else:
                # It may be too early, or was never received: a node has lied then.
                above = Height(batch.target_height + 1)
                ask_about(turn, turn.put(replace(record, attempts=record.attempts + 1, provable_from=above)))


def handle_signed(turn: Turn, event: BatchSigned) -> None:
    """Remember the transaction of a batch, then send it."""
    state = turn.state
    batch = state.batches.get(event.batch)
    if batch is None or batch.stage is not BatchStage.SIGNING:
        return
    batch.stage = BatchStage.SENDING
    batch.tx_hash = event.tx_hash
    # They are in the transaction; of many batches that wait for a block they would be most of the memory.
    batch.proofs.clear()
    record = TxRecord(
        event.tx_hash, batch.lane, event.tx_bytes, event.expires_at_ns, TxState.PENDING, turn.now_ns
    )
    state.txs[event.tx_hash] = TrackedTx(
        event.tx_hash, batch.lane.chain, event.tx_bytes, event.expires_at_ns, record, batch=batch.batch_id
    )
    turn.emit(PutTx(record))
    for key in batch.items:
        submitted = replace(
            state.packets[key], step=Step.SUBMITTED, changed_ns=turn.now_ns, tx_hash=event.tx_hash
        )
        turn.put(submitted)
    send(turn, state.txs[event.tx_hash])


def send(turn: Turn, tx: TrackedTx) -> None:
    """Hand a transaction to its chain, for the first time or again."""
    tx.sent_ns = turn.now_ns
    tx.retry_at_ns = TimeNs(turn.now_ns + turn.state.options.resend_after_ns)
    turn.wake_at(tx.retry_at_ns)
    turn.emit(BroadcastTx(tx.chain, tx.tx_hash, tx.tx_bytes))


def handle_failed(turn: Turn, event: BatchFailed) -> None:
    """Go on after a batch could not be proved or signed."""
    batch = turn.state.batches.get(event.batch)
    if batch is None or batch.stage is BatchStage.SENDING:
        return
    if batch.stage is BatchStage.PROVING and not batch.is_update:
        # A node that was restarted keeps no older states: take a newer height next time.
        turn.state.lanes[batch.lane].reuse_from = Height(batch.target_height + 1)
    fail_batch(turn, batch, event.failure)


def fail_batch(turn: Turn, batch: Batch, failure: Failure) -> None:
    """Deal with the packets of a batch that came to nothing."""
    consequence = consequence_of(failure)
    lane = turn.state.lanes[batch.lane]
    records = [turn.state.packets[key] for key in batch.items]
    if consequence is Consequence.LANE or (batch.is_refresh and consequence is Consequence.PACKET):
        block(turn, lane, failure)
    if batch.is_refresh:
        drop_refresh(turn, batch)
        return
    if consequence is Consequence.TOO_LARGE and len(records) > 1:
        lane.packet_limit = len(records) // 2
    for record in records:
        if consequence is Consequence.REDUNDANT:
            ask_about(turn, record)
        elif consequence in {Consequence.RETRY, Consequence.PENDING}:
            wait_again(turn, record, failure, pause=True)
        elif consequence is Consequence.LANE or len(records) > 1:
            # A refusal that concerns one packet must not hold up the others: each goes alone next time.
            wait_again(turn, record, failure, pause=False, alone=consequence is Consequence.PACKET)
        else:
            refuse(turn, record, failure)


def settle_batch(turn: Turn, batch: Batch) -> None:
    """Close a batch whose transaction was executed in a block that has been read.

    The events of the block have moved its packets on.  One that is still here was a no-op: relayed before.
    """
    if batch.is_refresh:
        drop_batch(turn, batch.batch_id)
        return
    for key in list(batch.items):
        record = turn.state.packets[key]
        if record.duty is Duty.RECEIVE:
            ask_about(turn, record)
        else:
            finish(turn, record, record.duty)


def drop_stale_batches(turn: Turn, lost: Failure) -> None:
    """Give up batches whose proof or signature never came."""
    for batch in list(turn.state.batches.values()):
        if batch.stage is not BatchStage.SENDING and batch.deadline_ns <= turn.now_ns:
            fail_batch(turn, batch, lost)
