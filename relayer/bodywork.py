"""Bodies: bringing the hub what a checkpoint's header commits to.

A header travels as a packet; its body is larger and travels in parts, each of which is checked against the header.
What the hub lacks is asked from the hub, before the first part and after the last one, so nothing of this has to
survive a crash but the fact that the body is wanted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError

from ibc.ports import HUB_PORT, SHARD_PORT, SUCCESS_ACK
from relayer.actions import BroadcastTx, PutBody, QueryCheckpoint, SignParts
from relayer.errors import AnswerLost
from relayer.events import BodyNeed, BodyWanted
from relayer.policy import Consequence, consequence_of, failure_of
from relayer.sharing import body_turn_ns
from relayer.state import BodyWork, TrackedTx, Turn
from relayer.types import MAX_STORED, BodyKey, BodyRecord, GroupId, LinkEnd, TimeNs
from wire.gradchain.fl.v1 import packet_pb2 as fl_pb2
from wire.ibc.core.channel.v2 import packet_pb2

if TYPE_CHECKING:
    from relayer.events import CheckpointSeen, CheckpointUnknown, PartsFailed, PartsSigned
    from relayer.types import Failure

BODY_PART_BYTES: Final = 65_536
"""Bytes of a part of a body; only the last part may be shorter (`Checkpoint.body_root` in packet.proto)."""

MAX_REFUSALS: Final = 8
"""Refusals after which a body is given up."""


def find_body(sender: LinkEnd, packet_bytes: bytes, acknowledgement: bytes) -> BodyWanted | None:
    """Return the body that follows a packet which the hub has taken, or None if none does."""
    try:
        packet = packet_pb2.Packet.FromString(packet_bytes)
        answer = packet_pb2.Acknowledgement.FromString(acknowledgement)
    except DecodeError:
        return None
    if list(answer.app_acknowledgements) != [SUCCESS_ACK] or len(packet.payloads) != 1:
        return None
    payload = packet.payloads[0]
    if (payload.source_port, payload.destination_port) != (SHARD_PORT, HUB_PORT):
        return None
    try:
        content = fl_pb2.ShardPacket.FromString(payload.value)
    except DecodeError:
        return None
    checkpoint = content.checkpoint
    if content.WhichOneof("kind") != "checkpoint" or checkpoint.updates == 0:
        return None
    if max(checkpoint.task, checkpoint.round, checkpoint.body_bytes) > MAX_STORED:
        return None  # no hub has taken that
    key = BodyKey(sender, checkpoint.task, checkpoint.round, checkpoint.attempt)
    return BodyWanted(key, checkpoint.body_root, count_parts(checkpoint.body_bytes))


def count_parts(body_bytes: int) -> int:
    """Return in how many parts a body of that size travels."""
    return -(-body_bytes // BODY_PART_BYTES)


def want_body(turn: Turn, event: BodyWanted) -> None:
    """Take up a body.  One that is known already stays as it is."""
    state = turn.state
    link = state.links.get(event.key.shard)
    if link is None or event.key.shard != link.shard or event.key in state.bodies:
        return
    record = BodyRecord(
        event.key,
        event.body_root,
        event.parts,
        done=False,
        seen_ns=turn.now_ns,
        changed_ns=turn.now_ns,
        not_before_ns=body_turn_ns(turn, event.key),
    )
    state.bodies[event.key] = BodyWork(record)
    state.dirty_bodies[event.key] = None
    turn.emit(PutBody(record))


def want_body_of(turn: Turn, sender: LinkEnd, packet_bytes: bytes, acknowledgement: bytes) -> None:
    """Take up the body that follows a packet which was taken, if one does."""
    wanted = find_body(sender, packet_bytes, acknowledgement)
    if wanted is not None:
        want_body(turn, wanted)


def plan_body(turn: Turn, work: BodyWork) -> None:
    """Ask what is missing, or send what is."""
    if turn.now_ns < work.record.not_before_ns:
        return
    if work.missing is None:
        _ask_hub(turn, work)
        return
    options = turn.state.options
    while work.missing and len(work.groups) < options.max_part_groups:
        _start_group(turn, work, tuple(work.missing)[: options.max_parts])
    if not work.missing and not work.groups:
        # All parts have been in executed transactions: the hub's word ends the work.
        work.missing = None
        _ask_hub(turn, work)


def _ask_hub(turn: Turn, work: BodyWork) -> None:
    timeout_ns = turn.state.options.answer_timeout_ns
    if work.groups or (work.asked_ns is not None and turn.now_ns - work.asked_ns < timeout_ns):
        return
    work.asked_ns = turn.now_ns
    turn.wake_at(turn.now_ns + timeout_ns)
    turn.emit(QueryCheckpoint(work.record.key, turn.state.links[work.record.key.shard].hub))


def _start_group(turn: Turn, work: BodyWork, indices: tuple[int, ...]) -> None:
    group = GroupId(turn.next_number())
    work.groups[group] = indices
    deadline = TimeNs(turn.now_ns + turn.state.options.answer_timeout_ns)
    work.group_deadlines[group] = deadline
    turn.wake_at(deadline)
    for index in indices:
        if work.missing is not None:
            del work.missing[index]
    record = work.record
    hub = turn.state.links[record.key.shard].hub
    turn.emit(SignParts(record.key, group, hub, record.body_root, record.parts, indices))


def handle_checkpoint(turn: Turn, event: CheckpointSeen) -> None:
    """Go on with a body according to what the hub lacks of it."""
    work = turn.state.bodies.get(event.key)
    if work is None or work.asked_ns is None:
        return
    work.asked_ns = None
    if event.need is BodyNeed.NOTHING:
        _end_body(turn, work, event.status)
        return
    missing = {index: None for index in event.missing if index < work.record.parts}
    if event.need is BodyNeed.UNKNOWN or not missing:
        pause_body(turn, work, None)
    else:
        work.missing = missing
        turn.state.dirty_bodies[event.key] = None


def handle_checkpoint_unknown(turn: Turn, event: CheckpointUnknown) -> None:
    """Ask the hub again later."""
    work = turn.state.bodies.get(event.key)
    if work is not None and work.asked_ns is not None:
        work.asked_ns = None
        pause_body(turn, work, event.failure)


def _end_body(turn: Turn, work: BodyWork, outcome: str) -> None:
    record = replace(work.record, done=True, outcome=outcome, changed_ns=turn.now_ns)
    turn.emit(PutBody(record))
    del turn.state.bodies[record.key]


def pause_body(turn: Turn, work: BodyWork, failure: Failure | None) -> None:
    """Leave a body for a while, and then ask the hub anew what it lacks.

    Nodes that do not answer are waited for without end.  A chain that says no is asked a few times: it may be a node
    that lags behind, or a body that came too late.
    """
    record = work.record
    attempts = record.attempts + 1
    work.missing = None
    if failure is not None and consequence_of(failure) is Consequence.PACKET:
        record = replace(record, refusals=record.refusals + 1)
        if record.refusals >= MAX_REFUSALS:
            work.record = replace(record, failure=failure)
            _end_body(turn, work, "refused")
            return
    work.record = replace(
        record,
        attempts=attempts,
        not_before_ns=turn.retry_at(record.key, attempts),
        failure=failure if failure is not None else record.failure,
        changed_ns=turn.now_ns,
    )
    turn.emit(PutBody(work.record))


def handle_parts_signed(turn: Turn, event: PartsSigned) -> None:
    """Send a transaction with parts.  Its bytes are not kept: what is missing can be asked after a crash."""
    work = turn.state.bodies.get(event.key)
    if work is None or work.group_deadlines.pop(event.group, None) is None:
        return
    chain = turn.state.links[event.key.shard].hub.chain
    options = turn.state.options
    turn.state.txs[event.tx_hash] = TrackedTx(
        event.tx_hash,
        chain,
        event.tx_bytes,
        event.expires_at_ns,
        record=None,
        body=(event.key, event.group),
        sent_ns=turn.now_ns,
        retry_at_ns=TimeNs(turn.now_ns + options.resend_after_ns),
    )
    turn.wake_at(turn.now_ns + options.resend_after_ns)
    turn.emit(BroadcastTx(chain, event.tx_hash, event.tx_bytes))


def handle_parts_failed(turn: Turn, event: PartsFailed) -> None:
    """Try again later after parts could not be had."""
    work = turn.state.bodies.get(event.key)
    if work is None or work.group_deadlines.pop(event.group, None) is None:
        return
    if event.told is not None:
        # The root may be one that a node has lied about; the hub checks the parts against the proven one.
        work.record = replace(work.record, body_root=event.told.body_root, parts=event.told.parts)
    close_group(turn, event.key, event.group, event.failure)


def close_group(turn: Turn, key: BodyKey, group: GroupId, failure: Failure | None) -> None:
    """Close a group of parts whose transaction was executed, or that came to nothing."""
    work = turn.state.bodies.get(key)
    if work is None or work.groups.pop(group, None) is None:
        return
    work.group_deadlines.pop(group, None)
    turn.state.dirty_bodies[key] = None
    if failure is not None:
        pause_body(turn, work, failure)


def drop_stale_groups(turn: Turn) -> None:
    """Give up parts that were not fetched and signed in time."""
    lost = failure_of(AnswerLost("expected parts of a body within the time limit, got no answer"))
    for key, work in list(turn.state.bodies.items()):
        for group, deadline in list(work.group_deadlines.items()):
            if deadline <= turn.now_ns:
                close_group(turn, key, group, lost)
