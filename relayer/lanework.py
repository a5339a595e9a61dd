"""Lanes: when to look at a client, what to put into the next batch, when to refresh.

A batch is proven at one height, so that one client update serves all of its packets.  It is complete in itself: its
transaction brings the header that its proofs need, whatever becomes of the batches before it.  So several may be
under way, and what arrives meanwhile gathers for the next one.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from ibc.relay_rules import REFRESH_ADVANCE_DIVISOR, REFRESH_AGE_DIVISOR
from relayer.actions import LaneBlocked, LaneFreed, ListPending, ProofRequest, ProveBatch, QueryClient
from relayer.packetwork import add_listed, drop_batch, list_from
from relayer.policy import find_client_failure
from relayer.sharing import is_turn
from relayer.state import Batch, BatchStage, Lane, Turn
from relayer.types import BatchId, ClientStatus, Duty, Height, TimeNs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relayer.events import ClientSeen, ClientUnknown, PendingListed, PendingUnknown
    from relayer.types import ClientView, Failure, LinkEnd, PacketKey, PacketRecord


# --- clients ---------------------------------------------------------------------------------------------------------


def ask_client(turn: Turn, lane: Lane) -> None:
    """Ask for the client at a lane's end, unless an answer is awaited."""
    timeout_ns = turn.state.options.answer_timeout_ns
    if lane.client_asked_ns is not None and turn.now_ns - lane.client_asked_ns < timeout_ns:
        return
    lane.client_asked_ns = turn.now_ns
    turn.wake_at(turn.now_ns + timeout_ns)
    turn.emit(QueryClient(lane.end))


def set_client(turn: Turn, lane: Lane, view: ClientView) -> None:
    """Take over what is known of a client; heights only rise."""
    if view.height < lane.client.height:
        view = replace(view, height=lane.client.height, time_ns=lane.client.time_ns)
    lane.client = view
    turn.state.dirty[lane.end] = None


def advance_client(turn: Turn, lane: Lane, height: Height, time_ns: TimeNs) -> None:
    """Note that a client knows a newer header."""
    if height > lane.client.height:
        set_client(turn, lane, replace(lane.client, height=height, time_ns=time_ns))


def note_update(turn: Turn, end: LinkEnd, height: Height) -> None:
    """Take over an update that a block reports.  Its header's time is known if the update was ours."""
    lane = turn.state.lanes.get(end)
    if lane is None or height <= lane.client.height:
        return
    for batch_id in lane.batches:
        batch = turn.state.batches[batch_id]
        if batch.target_height == height and batch.header_time_ns:
            advance_client(turn, lane, height, batch.header_time_ns)
            return
    ask_client(turn, lane)


def handle_client(turn: Turn, event: ClientSeen) -> None:
    """Go on with a lane according to the state of its client."""
    lane = turn.state.lanes.get(event.end)
    if lane is None:
        return
    lane.client_asked_ns = None
    if lane.blocked is None:
        set_client(turn, lane, event.view)
    else:
        # It may have been recovered, which makes it forget all that it knew, a forged height far above among it.
        lane.client = event.view
        turn.state.dirty[lane.end] = None
    if event.view.status is ClientStatus.ACTIVE:
        lane.blocked = None
    else:
        check_active(turn, lane)


def handle_client_unknown(turn: Turn, event: ClientUnknown) -> None:
    """Ask again later."""
    lane = turn.state.lanes.get(event.end)
    if lane is None:
        return
    lane.client_asked_ns = None
    if lane.blocked is not None:
        block(turn, lane, event.failure)


def check_active(turn: Turn, lane: Lane) -> None:
    """Hold a lane back while its client is expired or frozen."""
    failure = find_client_failure(lane.end, lane.client.status)
    if failure is not None:
        block(turn, lane, failure)


def block(turn: Turn, lane: Lane, failure: Failure) -> None:
    """Hold a lane back for a while."""
    lane.attempts += 1
    lane.blocked = failure
    lane.retry_at_ns = turn.retry_at(lane.end, lane.attempts + 2)
    turn.emit(LaneBlocked(lane.end, failure))


def note_success(turn: Turn, lane: Lane) -> None:
    """Forget earlier failures of a lane after a transaction was executed."""
    if lane.attempts:
        turn.emit(LaneFreed(lane.end))
    lane.attempts = 0
    lane.refresh_attempts = 0
    lane.packet_limit = min(lane.packet_limit * 2, turn.state.options.max_batch_packets)


# --- pending packets -------------------------------------------------------------------------------------------------


def ask_pending(turn: Turn, lane: Lane) -> None:
    """Ask for the open packets that a lane's end has sent, all of them; once more if an answer is awaited.

    That answer may be older than what there is to be found now.
    """
    lane.pending_next = 1
    if lane.pending_asked_ns is None:
        _ask_for_list(turn, lane)


def _ask_for_list(turn: Turn, lane: Lane) -> None:
    lane.pending_from, lane.pending_next = lane.pending_next, 0
    lane.pending_asked_ns = turn.now_ns
    turn.wake_at(turn.now_ns + turn.state.options.answer_timeout_ns)
    turn.emit(ListPending(lane.end, lane.origin, lane.pending_from, turn.state.chain(lane.end.chain).cursor))


def handle_pending(turn: Turn, event: PendingListed) -> None:
    """Take up the open packets that are not known yet."""
    lane = turn.state.lanes.get(event.end)
    if lane is None:
        return
    if lane.pending_asked_ns is None:
        return
    lane.pending_asked_ns, lane.pending_attempts = None, 0
    if event.next_sequence:
        list_from(turn, lane, event.next_sequence)
    for listed in event.packets:
        add_listed(turn, listed)
    turn.state.dirty[lane.end] = None


def handle_pending_unknown(turn: Turn, event: PendingUnknown) -> None:
    """List again later."""
    lane = turn.state.lanes.get(event.end)
    if lane is None or lane.pending_asked_ns is None:
        return
    lane.pending_asked_ns = None
    list_from(turn, lane, lane.pending_from)
    lane.pending_attempts += 1
    lane.pending_retry_ns = turn.retry_at(("pending", lane.end), lane.pending_attempts)


def _ask_pending_if_due(turn: Turn, lane: Lane) -> None:
    asked = lane.pending_asked_ns
    if asked is not None:
        if turn.now_ns - asked >= turn.state.options.answer_timeout_ns:
            list_from(turn, lane, lane.pending_from)
            _ask_for_list(turn, lane)
    elif lane.pending_next and turn.now_ns >= lane.pending_retry_ns and turn.state.has_room(lane):
        _ask_for_list(turn, lane)


# --- planning --------------------------------------------------------------------------------------------------------


def refresh_due_at(turn: Turn, lane: Lane) -> int:
    """Return when a client should be refreshed even if there is nothing to prove.

    Of several relayers the first one does it as soon as it is due, the others later if it does not.
    """
    options = turn.state.options
    share = lane.client.trusting_period_ns * options.refresh_numerator // options.refresh_denominator
    return lane.client.time_ns + share + options.position * options.grace_ns


def _arm_refresh(turn: Turn, lane: Lane) -> None:
    """Have the machine woken when the client is due; one timer a lane, which may come early."""
    due_ns = refresh_due_at(turn, lane)
    if lane.refresh_wake_ns <= turn.now_ns < due_ns:
        lane.refresh_wake_ns = TimeNs(due_ns)
        turn.wake_at(due_ns)


def plan_lane(turn: Turn, lane: Lane) -> None:
    """Start what can be started in a lane."""
    _ask_pending_if_due(turn, lane)
    _arm_refresh(turn, lane)
    if lane.blocked is not None:
        _leave_turns(turn, lane)
        if turn.now_ns >= lane.retry_at_ns:
            ask_client(turn, lane)
        return
    while len(lane.batches) < turn.state.options.max_in_flight:
        horizon = Height(max(turn.state.chain(lane.origin.chain).head, lane.client.height))
        records = _choose_next(turn, lane, horizon)
        refresh = _needs_refresh(turn, lane, horizon)
        if not records and not refresh:
            return
        target = horizon if refresh else _choose_height(turn, lane, records, horizon)
        _start_batch(turn, lane, records, target)


def _choose_next(turn: Turn, lane: Lane, horizon: Height) -> list[PacketRecord]:
    """Return the packets of the next batch: new ones if there are any, else those of the backlog.

    The two never share a batch: proofs and checks of a full one take far longer than those of the one new packet.
    """
    if _has_slot(turn, lane, is_backlog=False):
        records = _choose_packets(turn, lane, lane.live, horizon)
        if records:
            return records
    if len(lane.waiting) == len(lane.live):
        _leave_turns(turn, lane)
        return []
    if not _has_slot(turn, lane, is_backlog=True):
        return []
    _leave_turns(turn, lane)
    return _choose_packets(turn, lane, (key for key in lane.waiting if key not in lane.live), horizon)


def _has_slot(turn: Turn, lane: Lane, *, is_backlog: bool) -> bool:
    """Tell whether one more batch of new packets, or of the backlog, may be under way in a lane.

    Some of a lane's batches are left to new packets.  Each lane may have one batch of each kind in any case, but for a
    backlog that yields to new packets.
    """
    state, options = turn.state, turn.state.options
    under_way = sum(state.batches[batch_id].is_backlog == is_backlog for batch_id in lane.batches)
    if is_backlog and turn.now_ns - state.chain(lane.end.chain).live_ns < options.yield_ns:
        return not under_way and _is_next(turn, lane)
    if not under_way:
        return True
    if is_backlog and under_way >= options.max_in_flight - options.live_in_flight:
        return False
    return len(state.batches) < options.max_batches


def _is_next(turn: Turn, lane: Lane) -> bool:
    """Tell whether it is a lane's turn, of those whose backlogs share the few batches to a chain; it waits if not.

    The end of a batch has the next one planned, and every block of the chain all of them: who has no use for its turn
    leaves it then.
    """
    state, chain_id = turn.state, lane.end.chain
    turns = state.chain(chain_id).turns
    turns.setdefault(lane.end)
    busy = sum(batch.is_backlog and batch.lane.chain == chain_id for batch in state.batches.values())
    return lane.end in islice(turns, max(0, state.options.yield_in_flight - busy))


def _leave_turns(turn: Turn, lane: Lane) -> None:
    """Take a lane out of those that wait for their turn: it takes it, or has no use for it."""
    turn.state.chain(lane.end.chain).turns.pop(lane.end, None)


def _choose_packets(turn: Turn, lane: Lane, keys: Iterable[PacketKey], horizon: Height) -> list[PacketRecord]:
    """Return those of some waiting packets that can be proven now and fit into one batch, in their order."""
    state, options = turn.state, turn.state.options
    limit = lane.packet_limit or options.max_batch_packets
    chosen: list[PacketRecord] = []
    size = 0
    for key in keys:
        record = state.packets[key]
        if record.provable_from > horizon or record.not_before_ns > turn.now_ns:
            continue
        if record.duty is Duty.RECEIVE and not state.chain(lane.end.chain).head:
            continue  # whether it is too late for the packet is not known yet
        if not is_turn(turn, record):
            continue
        cost = len(record.packet_bytes) + len(record.acknowledgement) + options.proof_bytes
        if chosen and (record.alone or size + cost > options.max_batch_bytes):
            continue
        chosen.append(record)
        size += cost
        if record.alone or len(chosen) >= limit:
            break
    return chosen


def _choose_height(turn: Turn, lane: Lane, records: list[PacketRecord], horizon: Height) -> Height:
    """Return the height to prove at: one that the client knows, if it is recent and high enough."""
    known = lane.client.height
    needed = max(record.provable_from for record in records)
    if max(needed, lane.reuse_from) <= known and horizon - known <= turn.state.options.reuse_blocks:
        return known
    return horizon


def _needs_refresh(turn: Turn, lane: Lane, horizon: Height) -> bool:
    origin, host = turn.state.chain(lane.origin.chain), turn.state.chain(lane.end.chain)
    if horizon > origin.head or turn.now_ns < max(refresh_due_at(turn, lane), lane.refresh_not_before_ns):
        return False
    # The host judges by the time of its own newest block, which on an idle chain lags behind ours.
    if (host.head_time_ns - lane.client.time_ns) * REFRESH_AGE_DIVISOR <= lane.client.trusting_period_ns:
        return False
    # A chain takes a header that proves nothing only if it brings the client forward by a good part of its life.
    if (origin.head_time_ns - lane.client.time_ns) * REFRESH_ADVANCE_DIVISOR < lane.client.trusting_period_ns:
        return False
    return not any(turn.state.batches[batch_id].is_update for batch_id in lane.batches)


def _start_batch(turn: Turn, lane: Lane, records: list[PacketRecord], target: Height) -> None:
    state = turn.state
    batch_id = BatchId(turn.next_number())
    deadline = TimeNs(turn.now_ns + state.options.answer_timeout_ns)
    state.batches[batch_id] = Batch(
        batch_id=batch_id,
        lane=lane.end,
        target_height=target,
        is_update=target > lane.client.height,
        items={record.key: None for record in records},
        proofs={},
        stage=BatchStage.PROVING,
        deadline_ns=deadline,
        is_refresh=not records,
        is_backlog=any(record.key in state.backlog for record in records),
    )
    lane.batches[batch_id] = None
    for record in records:
        del lane.waiting[record.key]
        lane.live.pop(record.key, None)
        state.batch_of[record.key] = batch_id
    if records and not state.batches[batch_id].is_backlog:
        state.chain(lane.end.chain).live_ns = turn.now_ns
    turn.wake_at(deadline)
    requests = tuple(
        ProofRequest(record.key, record.duty, record.packet_bytes, record.acknowledgement)
        for record in records
    )
    turn.emit(ProveBatch(batch_id, lane.end, lane.origin, target, lane.client.height, requests))


def drop_refresh(turn: Turn, batch: Batch) -> None:
    """Forget a refresh, and leave the next one for later if it failed."""
    lane = turn.state.lanes[batch.lane]
    lane.refresh_attempts += 1
    lane.refresh_not_before_ns = turn.retry_at(("refresh", lane.end), lane.refresh_attempts)
    drop_batch(turn, batch.batch_id)
