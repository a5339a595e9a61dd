"""Links becoming ready, and the journal taken over with them.

What the journal calls submitted has a pending transaction there: its fate is asked for, and if no block holds it the
same bytes are sent again.  Everything else waits anew.  Packets that were sent while the relayer was away are found
by reading the blocks above the cursor, and by listing what is open.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from relayer.lanework import ask_pending, check_active, set_client
from relayer.packetwork import lane_of, wait_again, watch_timeout
from relayer.state import Batch, BatchStage, BodyWork, Lane, Restored, TrackedTx, Turn
from relayer.txwork import look_up
from relayer.types import NO_HEIGHT, NO_TIME, BatchId, Duty, Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relayer.events import LinkReady
    from relayer.state import RelayState
    from relayer.types import ClientView, Link, LinkEnd, PacketRecord, TxHash, TxRecord


def handle_link(turn: Turn, event: LinkReady, *, retry_refused: bool) -> None:
    """Open the two lanes of a link, or take over news of its clients."""
    state = turn.state
    link = event.link
    if link.hub in state.lanes:
        set_client(turn, state.lanes[link.hub], event.hub_client)
        set_client(turn, state.lanes[link.shard], event.shard_client)
        return
    state.links[link.hub] = state.links[link.shard] = link
    _open_lane(turn, link.hub, link.shard, event.hub_client)
    _open_lane(turn, link.shard, link.hub, event.shard_client)
    restored = _take_restored(state, link)
    _restore_txs(turn, restored.txs)
    _restore_packets(turn, restored.packets, retry_refused=retry_refused)
    for record in restored.bodies:
        state.bodies[record.key] = BodyWork(replace(record, not_before_ns=NO_TIME))
        state.dirty_bodies[record.key] = None


def _take_restored(state: RelayState, link: Link) -> Restored:
    """Take what the journal held of a link out of what is kept of the others, so that nothing is held twice."""
    kept = state.restored
    state.restored = Restored(
        packets=tuple(record for record in kept.packets if record.key.sender not in link.ends),
        txs=tuple(record for record in kept.txs if record.lane not in link.ends),
        bodies=tuple(record for record in kept.bodies if record.key.shard != link.shard),
    )
    return Restored(
        packets=tuple(record for record in kept.packets if record.key.sender in link.ends),
        txs=tuple(record for record in kept.txs if record.lane in link.ends),
        bodies=tuple(record for record in kept.bodies if record.key.shard == link.shard),
    )


def _open_lane(turn: Turn, end: LinkEnd, origin: LinkEnd, client: ClientView) -> None:
    lane = Lane(end, origin, client)
    turn.state.lanes[end] = lane
    turn.state.dirty[end] = None
    check_active(turn, lane)
    ask_pending(turn, lane)


def _restore_txs(turn: Turn, records: Iterable[TxRecord]) -> None:
    """Follow the transactions that were pending."""
    state = turn.state
    for record in records:
        batch_id = BatchId(turn.next_number())
        state.batches[batch_id] = Batch(
            batch_id=batch_id,
            lane=record.lane,
            target_height=NO_HEIGHT,
            is_update=False,
            items={},
            proofs={},
            stage=BatchStage.SENDING,
            deadline_ns=NO_TIME,
            is_refresh=True,
            tx_hash=record.tx_hash,
        )
        state.lanes[record.lane].batches[batch_id] = None
        state.txs[record.tx_hash] = TrackedTx(
            record.tx_hash, record.lane.chain, record.tx_bytes, record.expires_at_ns, record, batch=batch_id
        )
        look_up(turn, state.txs[record.tx_hash])


def _restore_packets(turn: Turn, records: Iterable[PacketRecord], *, retry_refused: bool) -> None:
    """Put the packets of the journal into their places."""
    state = turn.state
    for record in records:
        state.keep(record)
        state.backlog.add(record.key)
        batch = _batch_of(turn, record.tx_hash) if record.step is Step.SUBMITTED else None
        if batch is not None and batch.lane == lane_of(turn, record).end:
            batch.items[record.key] = None
            batch.is_refresh, batch.is_backlog = False, True
            state.batch_of[record.key] = batch.batch_id
        elif record.step is not Step.REFUSED:
            # What has no pending transaction was never sent.
            wait_again(turn, record, None, pause=False)
        elif retry_refused:
            wait_again(turn, replace(record, attempts=0), None, pause=False)
        if record.duty is Duty.RECEIVE:
            watch_timeout(turn, state.packets[record.key])


def _batch_of(turn: Turn, tx_hash: TxHash) -> Batch | None:
    tx = turn.state.txs.get(tx_hash)
    return None if tx is None or tx.batch is None else turn.state.batches.get(tx.batch)
