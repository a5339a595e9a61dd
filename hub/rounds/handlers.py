"""Messages of rounds: the delivery of checkpoints' bodies."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from abci_app.definition import MessageHandler
from aggregation.merkle import verify_merkle_path
from hub.checks import check_address, check_chain_id, check_parts, part_bytes, part_count
from hub.errors import CheckpointTooLate, NoCheckpoint, WrongPart
from hub.registry.state import note_delivery
from hub.rounds.body import BodyRules, read_tally, verify_body
from hub.rounds.events import emit_body_rejected, emit_body_verified, emit_parts_received
from hub.rounds.late import Timing, judge_timing
from hub.rounds.state import (
    drop_parts,
    get_header,
    get_info,
    get_part,
    put_contribution,
    put_part,
    put_shard_round,
    require_round,
    require_shard_round,
)
from hub.rounds.types import RoundId, ShardRoundRecord, ShardStatus
from hub.schedule import wake
from hub.settlement.relays import count_delivery
from hub.tasks.state import get_spec, require_task
from tx.codec import encode
from tx.errors import AppError
from wire.gradchain.fl.v1 import packet_pb2
from wire.gradchain.hub.v1 import tx_pb2

if TYPE_CHECKING:
    from abci_app.context import Services, TxContext
    from abci_app.state import StateReader, StateWriter
    from wire.gradchain.fl.v1 import round_pb2

_VERDICT_DOMAIN: Final = b"hub/body"
"""Keeps verdicts on bodies apart from other entries of the node's cache; it is not part of any format."""


def list_submitters(message: tx_pb2.MsgSubmitBody) -> tuple[bytes, ...]:
    """Return the submitter, who need not be anybody in particular."""
    return (message.submitter,)


def check_submit_body(message: tx_pb2.MsgSubmitBody) -> None:
    """Check the fields of a delivery.

    Raises:
      InvalidField: an address, an identifier, or the size of a part or of its path is no valid one.

    """
    check_address("submitter", message.submitter)
    check_chain_id("shard", message.shard)
    check_parts(message.parts)


def handle_submit_body(ctx: TxContext, state: StateWriter, message: tx_pb2.MsgSubmitBody) -> None:
    """Add parts of a body; with the last one the body is verified.

    A part that is there already changes nothing, and neither does any part of a body that was verified or rejected.
    The verdict on a whole body is a result, not a failure: a body that matches its root and fails a check stays on
    record as rejected.

    Raises:
      RoundNotFound: no such round, or the shard has no part in it.
      NoCheckpoint: the hub waits for no body of this shard and round.
      CheckpointTooLate: the body is of no use any more.
      WrongPart, MerklePathError: a part is not one of the body that the header names.

    """
    round_id = RoundId(message.task, message.round, message.attempt)
    record = require_shard_round(state, round_id, message.shard)
    if record.status in {ShardStatus.COMPLETE, ShardStatus.LATE, ShardStatus.REJECTED}:
        return
    if record.status is not ShardStatus.CHECKPOINTED:
        raise NoCheckpoint(
            f"expected a shard whose body is awaited, got one that is {record.status.name.lower()}"
        )
    timing = _judge_body(ctx, state, round_id)
    header = get_header(record)
    for part in message.parts:
        check_part(header, part)
    fresh = {
        part.index: part.data
        for part in message.parts
        if get_part(state, round_id, message.shard, part.index) is None
    }
    for index, data in fresh.items():
        put_part(state, round_id, message.shard, index, data)
    record = replace(record, parts=record.parts + len(fresh))
    put_shard_round(state, round_id, message.shard, record)
    if fresh:
        count_delivery(state, round_id.task, message.submitter, len(fresh))
        emit_parts_received(ctx, round_id, message.shard, record.parts, part_count(header.body_bytes))
    if record.parts == part_count(header.body_bytes):
        _settle_body(ctx, state, round_id, message.shard, record, timing)


def check_part(header: packet_pb2.Checkpoint, part: tx_pb2.DataPart) -> None:
    """Check that a part is the one of its index in the body of a header.

    Raises:
      WrongPart: there is no part of that index, or it has another size.
      MerklePathError: its path does not lead to the body's root.

    """
    count = part_count(header.body_bytes)
    if part.index >= count:
        raise WrongPart(f"expected an index below {count}, got {part.index}")
    expected = part_bytes(header.body_bytes, part.index)
    if len(part.data) != expected:
        raise WrongPart(f"expected {expected} bytes in part {part.index}, got {len(part.data)}")
    verify_merkle_path(header.body_root, part.data, part.index, count, list(part.path))


def _judge_body(ctx: TxContext, state: StateReader, round_id: RoundId) -> Timing:
    task = require_task(state, round_id.task)
    status = require_round(state, round_id).status
    info = get_info(state, round_id)
    timing = judge_timing(task, get_spec(state, task.number), round_id, status, info, ctx.time_ns)
    if timing not in {Timing.ON_TIME, Timing.LATE}:
        raise CheckpointTooLate(f"expected a body that a round can take, got one that is {timing.value}")
    return timing


def _settle_body(
    ctx: TxContext,
    state: StateWriter,
    round_id: RoundId,
    shard: str,
    record: ShardRoundRecord,
    timing: Timing,
) -> None:
    """Verify a body whose parts are all there, and keep what is needed of it."""
    header = get_header(record)
    parts = [get_part(state, round_id, shard, index) or b"" for index in range(record.parts)]
    drop_parts(state, round_id, shard)
    rules = _body_rules(ctx, state, round_id, shard, header)
    try:
        body = verify_body_once(ctx.services, rules, b"".join(parts))
    except AppError as error:
        rejected = replace(
            record,
            status=ShardStatus.REJECTED,
            parts=0,
            reject_codespace=error.CODESPACE,
            reject_code=error.CODE,
        )
        put_shard_round(state, round_id, shard, rejected)
        emit_body_rejected(ctx, round_id, shard, error)
    else:
        status = ShardStatus.COMPLETE if timing is Timing.ON_TIME else ShardStatus.LATE
        put_contribution(state, round_id, shard, read_tally(body), body.aggregate)
        put_shard_round(state, round_id, shard, replace(record, status=status))
        note_delivery(ctx, state, shard)
        emit_body_verified(ctx, round_id, shard, header, is_late=timing is Timing.LATE)
    wake(state, round_id.task)


def verify_body_once(services: Services, rules: BodyRules, body_bytes: bytes) -> packet_pb2.CheckpointBody:
    """Verify a body, unless the node knows the verdict from before: CheckTx and the block both ask.

    A false one is remembered too.  Its rejection is a result, and a transaction that fails by another message takes it
    back: without that, one lie of a shard could be had verified as often as there are transactions.

    The verdict depends on nothing but what its digest covers; the header's root stands for the bytes, whose parts
    were checked against it.

    Raises:
      AppError: whatever `verify_body` raises.

    """
    digest = sha256(_VERDICT_DOMAIN)
    for covered in (
        rules.hub_chain_id.encode(),
        encode(rules.spec),
        encode(rules.info),
        encode(rules.assignment),
        encode(rules.header),
    ):
        digest.update(len(covered).to_bytes(8, "big"))
        digest.update(covered)
    key = digest.digest()
    if services.verified.get(key):
        return packet_pb2.CheckpointBody.FromString(body_bytes)
    refused = services.refused.get(key)
    if refused is not None:
        raise refused
    try:
        body = verify_body(services.kzg, rules, body_bytes)
    except AppError as error:
        services.refused.put(key, error)
        raise
    services.verified.put(key, verdict=True)
    return body


def _body_rules(
    ctx: TxContext, state: StateReader, round_id: RoundId, shard: str, header: packet_pb2.Checkpoint
) -> BodyRules:
    info = get_info(state, round_id)
    return BodyRules(
        hub_chain_id=ctx.chain_id,
        spec=get_spec(state, round_id.task),
        info=info,
        assignment=find_assignment(info, shard),
        header=header,
    )


def find_assignment(info: round_pb2.RoundInfo, shard: str) -> round_pb2.ShardAssignment:
    """Return the entry of a shard that has a part in a round."""
    return next(assignment for assignment in info.shards if assignment.shard == shard)


SUBMIT_BODY = MessageHandler(tx_pb2.MsgSubmitBody, list_submitters, check_submit_body, handle_submit_body)
