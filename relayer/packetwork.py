"""Transitions of single packets.

Every packet that is not done is in exactly one place: waiting in a lane, in a batch, being asked about, or refused.
The functions here move it from one place to another and write each new record to the journal.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from relayer.actions import QueryPacket
from relayer.bodywork import want_body_of
from relayer.types import NO_TIME, NO_TX, NS_PER_SECOND, Duty, Height, PacketRecord, Step

if TYPE_CHECKING:
    from relayer.events import (
        ListedPacket,
        PacketStatusSeen,
        PacketStatusUnknown,
        SentPacket,
        WrittenAck,
    )
    from relayer.state import ChainState, Lane, Turn
    from relayer.types import BatchId, ChainId, Failure, PacketKey, TimeNs

SPARE_TIMEOUTS: Final = 256
"""Timeouts of ended packets that are kept in any case, so that they are not looked for all the time."""


def lane_of(turn: Turn, record: PacketRecord) -> Lane:
    """Return the lane in which the packet's present duty is done."""
    return turn.state.lane_of(record)


def detach(turn: Turn, record: PacketRecord) -> None:
    """Take a packet out of the place where it is."""
    state = turn.state
    state.queries.pop(record.key, None)
    lane = lane_of(turn, record)
    lane.waiting.pop(record.key, None)
    lane.live.pop(record.key, None)
    batch_id = state.batch_of.pop(record.key, None)
    if batch_id is None:
        return
    batch = state.batches[batch_id]
    del batch.items[record.key]
    batch.proofs.pop(record.key, None)
    if not batch.items and not batch.is_refresh:
        # Nothing depends on it any more.  If it was sent, its transaction is still followed on its own.
        drop_batch(turn, batch_id)


def drop_batch(turn: Turn, batch_id: BatchId) -> None:
    """Forget a batch that holds no packet."""
    state = turn.state
    batch = state.batches.pop(batch_id)
    lane = state.lanes[batch.lane]
    del lane.batches[batch.batch_id]
    state.dirty[lane.end] = None
    # Another lane's backlog may have waited for this one to end.
    state.dirty.update(dict.fromkeys(islice(state.chain(lane.end.chain).turns, 1)))
    if batch.tx_hash is not None and batch.tx_hash in state.txs:
        state.txs[batch.tx_hash].batch = None


def enqueue(turn: Turn, record: PacketRecord) -> None:
    """Let a packet wait in its lane."""
    lane = lane_of(turn, record)
    lane.waiting[record.key] = None
    if record.key not in turn.state.backlog:
        lane.live[record.key] = None
    turn.state.dirty[lane.end] = None


def start_duty(
    turn: Turn, record: PacketRecord, duty: Duty, provable_from: Height, acknowledgement: bytes = b""
) -> None:
    """Give a packet a new duty, with a clean record."""
    detach(turn, record)
    turn.state.turns.pop(record.key, None)
    if (record.duty, duty) == (Duty.RECEIVE, Duty.TIMEOUT):
        turn.state.received_from[record.key] = record.provable_from
    fresh = replace(
        record,
        duty=duty,
        step=Step.WAITING,
        provable_from=provable_from,
        acknowledgement=acknowledgement,
        changed_ns=turn.now_ns,
        tx_hash=NO_TX,
        attempts=0,
        not_before_ns=NO_TIME,
        alone=False,
        failure=None,
    )
    enqueue(turn, turn.put(fresh))


def wait_again(
    turn: Turn,
    record: PacketRecord,
    failure: Failure | None,
    *,
    pause: bool,
    alone: bool = False,
    provable_from: Height | None = None,
) -> None:
    """Let a packet wait for another attempt; with a pause that grows with the number of failures."""
    if is_misled(turn, record):
        correct(turn, record)
        return
    detach(turn, record)
    attempts = record.attempts + 1 if pause else record.attempts
    again = replace(
        record,
        step=Step.WAITING,
        changed_ns=turn.now_ns,
        tx_hash=NO_TX,
        attempts=attempts,
        not_before_ns=turn.retry_at(record.key, attempts) if pause else NO_TIME,
        alone=record.alone or alone,
        failure=failure if failure is not None else record.failure,
        provable_from=record.provable_from if provable_from is None else provable_from,
    )
    enqueue(turn, turn.put(again))


def refuse(turn: Turn, record: PacketRecord, failure: Failure) -> None:
    """Record that a chain refuses a packet for good."""
    detach(turn, record)
    turn.put(replace(record, step=Step.REFUSED, failure=failure, attempts=record.attempts + 1))


def doubt(turn: Turn, record: PacketRecord, failure: Failure) -> None:
    """Go on after a node told of a packet or an acknowledgement that its chain contradicts: another one may know better.

    The acknowledgement is asked for again.  The packet is refused as it is, and taken from the list if that has another.
    """
    if record.duty is Duty.ACKNOWLEDGE:
        ask_about(turn, turn.put(replace(record, attempts=record.attempts + 1, failure=failure)))
        return
    refuse(turn, record, failure)
    list_from(turn, turn.state.lanes[record.key.sender], record.key.sequence)


def finish(turn: Turn, record: PacketRecord, duty: Duty) -> None:
    """Record how a packet ended."""
    detach(turn, record)
    turn.put(replace(record, duty=duty, step=Step.DONE, changed_ns=turn.now_ns, failure=None))


def ask_about(turn: Turn, record: PacketRecord) -> None:
    """Ask both chains how it stands with a packet, and hold it back meanwhile."""
    detach(turn, record)
    turn.state.queries[record.key] = turn.now_ns
    turn.wake_at(turn.now_ns + turn.state.options.answer_timeout_ns)
    sender = record.key.sender
    turn.emit(
        QueryPacket(
            record.key, turn.state.links[sender].opposite(sender), turn.state.chain(sender.chain).cursor
        )
    )


def add_sent(turn: Turn, sent: SentPacket) -> None:
    """Take up a packet that a block has sent, or leave it to be listed if there are many.

    A packet that is known already stays as it is, unless a false block has told of it.
    """
    state = turn.state
    lane, known = state.lanes.get(sent.key.sender), state.packets.get(sent.key)
    if lane is None or (known is not None and not _is_too_high(known, sent)):
        return
    if _is_left_to_list(turn, lane, lane.end.chain, sent.height):
        list_from(turn, lane, sent.key.sequence)
        return
    _note_age(turn, sent.key, lane.end.chain, sent.height)
    record = _take_up(turn, sent)
    enqueue(turn, record)
    watch_timeout(turn, record)


def _is_left_to_list(turn: Turn, lane: Lane, chain: ChainId, height: Height) -> bool:
    """Tell whether a packet of a lane's end that a block shows is left to be listed: it is old, or there is no room."""
    state, known = turn.state, turn.state.chain(chain)
    if known.head - height > state.options.backlog_blocks or lane.open >= state.options.most_open:
        return True
    return height <= known.start and not state.has_room(lane)


def _note_age(turn: Turn, key: PacketKey, chain: ChainId, height: Height) -> None:
    """Count a packet as backlog if its block was there before the relayer."""
    if height <= turn.state.chain(chain).start:
        turn.state.backlog.add(key)


def add_listed(turn: Turn, listed: ListedPacket) -> None:
    """Take up an open packet of the backlog.  What is known, or has ended meanwhile, stays as it is.

    But for a packet that was refused and has other bytes here, or that waits for a block above: a node may have told
    of one that was never sent.
    """
    state, key = turn.state, listed.sent.key
    known = state.packets.get(key)
    is_other = (
        known is None
        or (known.step is Step.REFUSED and known.packet_bytes != listed.sent.packet_bytes)
        or _is_too_high(known, listed.sent)
    )
    if key.sender not in state.links or key in state.ended or not is_other:
        return
    state.backlog.add(key)
    record = _take_up(turn, listed.sent)
    if listed.received and listed.acknowledgement:
        _go_on_received(turn, record, listed.acknowledgement)
        return
    enqueue(turn, record)
    watch_timeout(turn, record)


def list_from(turn: Turn, lane: Lane, sequence: int) -> None:
    """Note that packets from a sequence on are still to be listed."""
    if not lane.pending_next or sequence < lane.pending_next:
        lane.pending_next = sequence
        turn.state.dirty[lane.end] = None


def _is_too_high(known: PacketRecord, sent: SentPacket) -> bool:
    """Tell whether a packet waits for a height above the block that sent it: a block told of it that there was not."""
    waits = known.duty is Duty.RECEIVE and known.step is Step.WAITING
    return waits and known.provable_from > sent.height + 1


def _take_up(turn: Turn, sent: SentPacket) -> PacketRecord:
    known = turn.state.packets.get(sent.key)
    if known is not None:
        detach(turn, known)
    return turn.put(
        PacketRecord(
            key=sent.key,
            packet_bytes=sent.packet_bytes,
            timeout_s=sent.timeout_s,
            duty=Duty.RECEIVE,
            step=Step.WAITING,
            provable_from=Height(sent.height + 1),
            seen_ns=turn.now_ns,
            changed_ns=turn.now_ns,
        )
    )


def _go_on_received(turn: Turn, record: PacketRecord, acknowledgement: bytes) -> None:
    """Go on with a packet that a node of the receiver calls received."""
    receiver = turn.state.links[record.key.sender].opposite(record.key.sender)
    head = turn.state.chain(receiver.chain).head
    start_duty(turn, record, Duty.ACKNOWLEDGE, head, acknowledgement)
    want_body_of(turn, record.key.sender, record.packet_bytes, acknowledgement)


def add_written(turn: Turn, written: WrittenAck, provable_from: Height) -> None:
    """Take up an acknowledgement.

    For a packet that is not known, which somebody else has relayed, the sender is asked first whether it still waits.
    """
    state, key = turn.state, written.key
    record = state.packets.get(key)
    if record is not None:
        if record.duty is not Duty.ACKNOWLEDGE or not record.acknowledgement:
            start_duty(turn, record, Duty.ACKNOWLEDGE, provable_from, written.acknowledgement)
        return
    lane = state.lanes[key.sender]
    if key in state.ended:
        return
    height = Height(provable_from - 1)
    if _is_left_to_list(turn, lane, lane.origin.chain, height):
        list_from(turn, lane, key.sequence)
        return
    _note_age(turn, key, lane.origin.chain, height)
    record = turn.put(
        PacketRecord(
            key=written.key,
            packet_bytes=written.packet_bytes,
            timeout_s=written.timeout_s,
            duty=Duty.ACKNOWLEDGE,
            step=Step.WAITING,
            provable_from=provable_from,
            seen_ns=turn.now_ns,
            changed_ns=turn.now_ns,
            acknowledgement=written.acknowledgement,
        )
    )
    ask_about(turn, record)


def watch_timeout(turn: Turn, record: PacketRecord) -> None:
    """Note when a packet can no longer be received, or turn to its timeout if that time has come."""
    chain = turn.state.chain(lane_of(turn, record).end.chain)
    if chain.head_time_ns >= record.timeout_s * NS_PER_SECOND:
        start_duty(turn, record, Duty.TIMEOUT, chain.head)
        return
    heapq.heappush(chain.timeouts, (record.timeout_s, record.key))
    if len(chain.timeouts) > 2 * len(turn.state.packets) + SPARE_TIMEOUTS:
        _drop_ended_timeouts(turn, chain)


def receive_after_all(turn: Turn, record: PacketRecord) -> None:
    """Have a packet received that was held for received, or for expired: a node has lied about the receiver's chain."""
    read = turn.state.chain(record.key.sender.chain).cursor
    # The journal does not keep where it was sent; it was in a block that is read.
    provable_from = turn.state.received_from.pop(record.key, Height(read + 1))
    start_duty(turn, record, Duty.RECEIVE, provable_from)
    watch_timeout(turn, turn.state.packets[record.key])


def is_early(record: PacketRecord, time_ns: TimeNs) -> bool:
    """Tell whether a packet is held for expired although a time of its receiver's chain is before its timeout."""
    return record.duty is Duty.TIMEOUT and time_ns < record.timeout_s * NS_PER_SECOND


def is_misled(turn: Turn, record: PacketRecord) -> bool:
    """Tell whether a packet waits for what a false head has made believe of the chain that proves its duty."""
    if record.duty is Duty.RECEIVE:
        return False
    lane = lane_of(turn, record)
    chain = turn.state.chain(lane.origin.chain)
    early = is_early(record, chain.head_time_ns)
    return bool(chain.head) and (early or record.provable_from > max(chain.head, lane.client.height) + 1)


def correct(turn: Turn, record: PacketRecord) -> None:
    """Give a packet that was misled the duty, and the height, that it would have without."""
    chain = turn.state.chain(lane_of(turn, record).origin.chain)
    if is_early(record, chain.head_time_ns):
        receive_after_all(turn, record)
    else:
        start_duty(turn, record, record.duty, chain.head, record.acknowledgement)


def _drop_ended_timeouts(turn: Turn, chain: ChainState) -> None:
    """Forget the timeouts of packets that have ended: theirs may be a day away, and there are hundreds a second."""
    packets = turn.state.packets
    chain.timeouts = sorted({entry for entry in chain.timeouts if _waits(packets.get(entry[1]))})


def _waits(record: PacketRecord | None) -> bool:
    return record is not None and record.duty is Duty.RECEIVE


def handle_status(turn: Turn, event: PacketStatusSeen) -> None:
    """Go on with a packet according to what the chains say of it."""
    record = turn.state.packets.get(event.key)
    if record is None or event.key not in turn.state.queries:
        return
    if record.duty is not Duty.RECEIVE and not event.committed:
        finish(turn, record, record.duty)
    elif event.received and event.acknowledgement and record.duty is not Duty.ACKNOWLEDGE:
        _go_on_received(turn, record, event.acknowledgement)
    elif record.duty is Duty.ACKNOWLEDGE and record.attempts and not event.received:
        # Nor could it be proven.
        receive_after_all(turn, record)
    else:
        if record.duty is Duty.ACKNOWLEDGE and event.acknowledgement:
            record = replace(record, acknowledgement=event.acknowledgement)
        # A first question about a packet that was only listed is no failure.
        wait_again(turn, record, None, pause=record.step is not Step.WAITING or record.attempts > 0)


def handle_status_unknown(turn: Turn, event: PacketStatusUnknown) -> None:
    """Let a packet wait whose state could not be read."""
    record = turn.state.packets.get(event.key)
    if record is not None and event.key in turn.state.queries:
        wait_again(turn, record, event.failure, pause=True)


def drop_stale_queries(turn: Turn, lost: Failure) -> None:
    """Take back packets whose question was not answered."""
    state = turn.state
    limit = turn.now_ns - state.options.answer_timeout_ns
    stale: list[PacketKey] = [key for key, asked in state.queries.items() if asked <= limit]
    for key in stale:
        wait_again(turn, state.packets[key], lost, pause=True)
