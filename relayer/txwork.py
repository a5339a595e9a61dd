"""Transactions: following each one until its fate is certain.

A lost answer says nothing: the transaction may have arrived or not.  So its outcome is asked for after each block,
and if no block holds it the *same bytes* are sent again; a chain executes them once only.  Only when block time has
passed their expiry, and no block holds them, may another transaction take their place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from relayer.actions import LookUpTx, PutTx
from relayer.batchwork import fail_batch, send, settle_batch
from relayer.bodywork import close_group
from relayer.errors import AnswerLost
from relayer.lanework import advance_client, note_success
from relayer.policy import Consequence, consequence_of, failure_of
from relayer.types import NO_HEIGHT, Height, TimeNs, TxState

if TYPE_CHECKING:
    from relayer.events import TxAccepted, TxIncluded, TxRefused, TxUnknown, TxUnsent
    from relayer.state import TrackedTx, Turn
    from relayer.types import ChainId, Failure


def look_up(turn: Turn, tx: TrackedTx) -> None:
    """Ask what became of a transaction, unless that is known or an answer is awaited."""
    state = turn.state
    if tx.included_at is not None:
        return
    if tx.asked_ns is not None and turn.now_ns - tx.asked_ns < state.options.answer_timeout_ns:
        return
    tx.asked_ns = turn.now_ns
    tx.asked_after_expiry = state.chain(tx.chain).head_time_ns > tx.expires_at_ns
    turn.wake_at(turn.now_ns + state.options.answer_timeout_ns)
    since_ns = tx.record.made_ns if tx.is_replay and tx.record is not None else None
    tx.is_replay = False
    turn.emit(LookUpTx(tx.chain, tx.tx_hash, since_ns))


def look_up_all(turn: Turn, chain: ChainId) -> None:
    """Ask for all transactions on a chain that has a new block."""
    for tx in list(turn.state.txs.values()):
        if tx.chain == chain:
            look_up(turn, tx)


def look_up_overdue(turn: Turn) -> None:
    """Ask for transactions of which nothing was heard for long."""
    for tx in list(turn.state.txs.values()):
        if tx.retry_at_ns <= turn.now_ns:
            look_up(turn, tx)


def handle_accepted(turn: Turn, event: TxAccepted) -> None:
    """Note that a transaction is in a mempool."""
    tx = turn.state.txs.get(event.tx_hash)
    if tx is not None:
        tx.accepted = True


def handle_refused(turn: Turn, event: TxRefused) -> None:
    """Close a transaction that CheckTx refuses."""
    tx = turn.state.txs.get(event.tx_hash)
    if tx is None or tx.included_at is not None:
        return
    if consequence_of(event.failure) is Consequence.PENDING:
        tx.accepted = tx.is_replay = True
        look_up(turn, tx)
    else:
        conclude(turn, tx, TxState.FAILED, event.failure)


def handle_unsent(turn: Turn, event: TxUnsent) -> None:
    """Send a transaction again later if it turns out not to have arrived; give it up if the node will never take it."""
    tx = turn.state.txs.get(event.tx_hash)
    if tx is None or tx.accepted or tx.included_at is not None:
        return
    if consequence_of(event.failure) is not Consequence.RETRY:
        conclude(turn, tx, TxState.FAILED, event.failure)
    else:
        tx.attempts += 1
        tx.retry_at_ns = turn.retry_at(tx.tx_hash.hex(), tx.attempts)


def handle_included(turn: Turn, event: TxIncluded) -> None:
    """Close a transaction that is in a block; if it was executed, when that block's events have been read."""
    tx = turn.state.txs.get(event.tx_hash)
    if tx is None:
        return
    tx.asked_ns = None
    if event.failure is not None:
        conclude(turn, tx, TxState.FAILED, event.failure, event.height)
        return
    tx.included_at = event.height
    if turn.state.chain(tx.chain).cursor >= event.height or tx.body is not None:
        conclude(turn, tx, TxState.INCLUDED, None, event.height)


def handle_unknown(turn: Turn, event: TxUnknown) -> None:
    """Send a transaction again, wait on, or give it up when it has expired."""
    tx = turn.state.txs.get(event.tx_hash)
    if tx is None or tx.included_at is not None:
        return
    was_asked, tx.asked_ns = tx.asked_ns is not None, None
    if event.asked and was_asked and tx.asked_after_expiry:
        text = "expected the transaction in a block before its expiry, got none"
        conclude(turn, tx, TxState.EXPIRED, failure_of(AnswerLost(text)))
    elif turn.now_ns >= tx.retry_at_ns and turn.state.chain(tx.chain).head_time_ns <= tx.expires_at_ns:
        send(turn, tx)


def settle_included(turn: Turn, chain: ChainId, height: Height) -> None:
    """Close the transactions of the blocks that have been read."""
    for tx in list(turn.state.txs.values()):
        if tx.chain == chain and tx.included_at is not None and tx.included_at <= height:
            conclude(turn, tx, TxState.INCLUDED, None, tx.included_at)


def conclude(
    turn: Turn, tx: TrackedTx, outcome: TxState, failure: Failure | None, height: Height = NO_HEIGHT
) -> None:
    """Close a transaction and go on with what it carried."""
    state = turn.state
    del state.txs[tx.tx_hash]
    if tx.record is not None:
        # The bytes have served: nobody will send them again.
        turn.emit(PutTx(replace(tx.record, state=outcome, failure=failure, height=height, tx_bytes=b"")))
    if tx.body is not None:
        close_group(turn, *tx.body, failure)
    if tx.record is not None and outcome is TxState.INCLUDED:
        note_success(turn, state.lanes[tx.record.lane])
    batch = None if tx.batch is None else state.batches.get(tx.batch)
    if batch is None:
        return
    if failure is not None:
        fail_batch(turn, batch, failure)
        return
    if batch.is_update:
        advance_client(turn, state.lanes[batch.lane], batch.target_height, TimeNs(batch.header_time_ns))
    settle_batch(turn, batch)
