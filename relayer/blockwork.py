"""Blocks: what a new height and the events of a block mean for packets, clients and transactions."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from relayer.actions import PutCursor
from relayer.bodywork import want_body_of
from relayer.lanework import ask_pending, note_update
from relayer.packetwork import add_sent, add_written, correct, finish, is_misled, start_duty
from relayer.state import KEPT_HASHES
from relayer.txwork import look_up_all, settle_included
from relayer.types import NS_PER_SECOND, Duty, Height, LinkEnd

if TYPE_CHECKING:
    from relayer.events import BlockSeen, BlocksSkipped, HeadSeen
    from relayer.state import Turn
    from relayer.types import ChainId


def handle_head(turn: Turn, event: HeadSeen) -> None:
    """Take note of a chain's newest block.

    One that is below, or earlier than, the newest before takes that back: a node had lied.
    """
    chain = turn.state.chain(event.chain)
    if event.last_block_hash:
        chain.hashes[Height(event.height - 1)] = event.last_block_hash
        while len(chain.hashes) > KEPT_HASHES:
            chain.hashes.popitem(last=False)
    if (event.height, event.time_ns) == (chain.head, chain.head_time_ns):
        return
    is_lower = event.height < chain.head or event.time_ns < chain.head_time_ns
    is_first = not chain.head
    chain.start = event.height if is_first else min(chain.start, event.height)
    chain.head, chain.head_time_ns = event.height, event.time_ns
    if is_lower or is_first:
        # The journal may hold what a lie has led to before the start.
        _take_back(turn, event.chain)
    _expire_packets(turn, event.chain)
    look_up_all(turn, event.chain)
    mark_chain(turn, event.chain)


def mark_chain(turn: Turn, chain: ChainId) -> None:
    """Have all lanes looked at that come from, or lead to, a chain."""
    for lane in turn.state.lanes.values():
        if chain in {lane.origin.chain, lane.end.chain}:
            turn.state.dirty[lane.end] = None


def _expire_packets(turn: Turn, chain_id: ChainId) -> None:
    """Turn packets that this chain can no longer receive to their timeout.

    That a packet was not received is proven with a header whose time has reached the timeout.  The state below that
    header is final in this respect: every later block refuses the packet.
    """
    chain = turn.state.chain(chain_id)
    while chain.timeouts and chain.timeouts[0][0] * NS_PER_SECOND <= chain.head_time_ns:
        _, key = heapq.heappop(chain.timeouts)
        record = turn.state.packets.get(key)
        if record is not None and record.duty is Duty.RECEIVE:
            start_duty(turn, record, Duty.TIMEOUT, chain.head)


def _take_back(turn: Turn, chain_id: ChainId) -> None:
    """Correct what a false head of a chain has done to the packets that wait for a proof from there."""
    lanes = [lane for lane in turn.state.lanes.values() if lane.origin.chain == chain_id]
    for record in [turn.state.packets[key] for lane in lanes for key in lane.waiting]:
        if is_misled(turn, record):
            correct(turn, record)


def handle_block(turn: Turn, event: BlockSeen) -> None:
    """Read the events of a block."""
    state = turn.state
    chain = state.chain(event.chain)
    if event.height <= chain.cursor:
        return
    has_gap = bool(chain.cursor) and event.height > chain.cursor + 1
    above = Height(event.height + 1)
    for update in event.updated:
        note_update(turn, LinkEnd(event.chain, update.client), update.height)
    for sent in event.sent:
        add_sent(turn, sent)
    for written in event.written:
        if written.key.sender in state.links:
            add_written(turn, written, above)
            want_body_of(turn, written.key.sender, written.packet_bytes, written.acknowledgement)
    for finished in event.finished:
        record = state.packets.get(finished.key)
        if record is not None:
            finish(turn, record, Duty.TIMEOUT if finished.timed_out else Duty.ACKNOWLEDGE)
    _set_cursor(turn, event.chain, event.height)
    if has_gap:
        _list_again(turn, event.chain)


def _set_cursor(turn: Turn, chain_id: ChainId, height: Height) -> None:
    turn.state.chain(chain_id).cursor = height
    turn.emit(PutCursor(chain_id, height))
    settle_included(turn, chain_id, height)
    mark_chain(turn, chain_id)


def handle_skipped(turn: Turn, event: BlocksSkipped) -> None:
    """Go on above blocks that cannot be read, or go back below blocks that there are not."""
    if event.height != turn.state.chain(event.chain).cursor:
        _set_cursor(turn, event.chain, event.height)
        _list_again(turn, event.chain)


def _list_again(turn: Turn, chain_id: ChainId) -> None:
    """List the open packets that a chain has sent, since blocks that sent some may have been missed.

    The cursor stands above those blocks by now: a node that lags below it could not know what they sent.
    """
    for lane in turn.state.lanes.values():
        if lane.end.chain == chain_id:
            ask_pending(turn, lane)
