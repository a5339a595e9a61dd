"""What can be asked about rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aggregation.assignment import assignment_proof
from hub.checks import check_address, check_chain_id, part_count
from hub.errors import NotAssigned, RoundNotFound
from hub.rounds.state import (
    get_assigned,
    get_header,
    get_info,
    get_newest_attempt,
    get_part,
    get_result,
    get_round,
    require_round,
    require_shard_round,
)
from hub.rounds.types import RoundId, RoundStatus, ShardStatus
from hub.settlement.state import get_paid, get_settlement_root
from hub.tasks.state import require_task
from wire.gradchain.hub.v1 import query_pb2

if TYPE_CHECKING:
    from abci_app.state import StateReader


def find_round(state: StateReader, task: int, round_number: int, attempt: int) -> RoundId:
    """Return the attempt that a question means: round 0 is the newest; an unknown attempt is the newest of its round.

    Raises:
      TaskNotFound, RoundNotFound: there is none.

    """
    record = require_task(state, task)
    if not round_number:
        round_id = RoundId(task, record.round, record.attempt)
        require_round(state, round_id)
        return round_id
    round_id = RoundId(task, round_number, attempt)
    if get_round(state, round_id) is not None:
        return round_id
    newest = get_newest_attempt(state, task, round_number)
    if newest is None:
        raise RoundNotFound(f"expected a round of task {task} that was opened, got {round_number}")
    return newest


def read_round(state: StateReader, task: int, round_number: int, attempt: int) -> query_pb2.Round:
    """Return an attempt of a round, with its outcome if it has one.

    Raises:
      TaskNotFound, RoundNotFound: there is none.

    """
    round_id = find_round(state, task, round_number, attempt)
    info = get_info(state, round_id)
    status = require_round(state, round_id).status
    answer = query_pb2.Round(
        info=info,
        status=query_pb2.RoundStatus.ValueType(status),
        shards=[read_shard_round(state, round_id, entry.shard) for entry in info.shards],
    )
    result = get_result(state, task, round_id.round)
    if result is not None and result.attempt == round_id.attempt:
        answer.result.CopyFrom(result)
    settled = get_paid(state, task, round_id.round)
    if settled is not None and status is RoundStatus.SETTLED:
        answer.settlement_root = get_settlement_root(state, task, round_id.round)
        answer.paid = settled.paid
        answer.relay_paid = settled.relay_paid
    return answer


def read_shard_round(state: StateReader, round_id: RoundId, shard: str) -> query_pb2.ShardRound:
    """Return where a shard stands in an attempt.

    Raises:
      RoundNotFound: the shard has no part in it.

    """
    record = require_shard_round(state, round_id, shard)
    header = get_header(record)
    return query_pb2.ShardRound(
        shard=shard,
        status=query_pb2.ShardRoundStatus.ValueType(record.status),
        assigned=record.assigned,
        updates=header.updates,
        total_weight=header.total_weight,
        body_bytes=header.body_bytes,
        parts_received=record.parts,
        parts=part_count(header.body_bytes),
        reject_code=record.reject_code,
        reject_codespace=record.reject_codespace,
    )


def read_checkpoint(
    state: StateReader, task: int, round_number: int, attempt: int, shard: str
) -> query_pb2.GetCheckpointResponse:
    """Return where a shard stands in an attempt, and which parts of its body are missing.

    Raises:
      InvalidField: that is no chain id.
      TaskNotFound, RoundNotFound: there is none.

    """
    check_chain_id("shard", shard)
    round_id = find_round(state, task, round_number, attempt)
    answer = read_shard_round(state, round_id, shard)
    return query_pb2.GetCheckpointResponse(state=answer, missing=list_missing_parts(state, round_id, shard))


def list_missing_parts(state: StateReader, round_id: RoundId, shard: str) -> list[int]:
    """Return the indices of the parts for which the hub waits; none unless it waits for a body.

    Raises:
      RoundNotFound: the shard has no part in the attempt.

    """
    record = require_shard_round(state, round_id, shard)
    if record.status is not ShardStatus.CHECKPOINTED:
        return []
    count = part_count(get_header(record).body_bytes)
    return [index for index in range(count) if get_part(state, round_id, shard, index) is None]


def read_assignment(
    state: StateReader, task: int, round_number: int, participant: bytes
) -> query_pb2.GetAssignmentResponse:
    """Return the shard to which a participant is assigned in a round's newest attempt, with its proof.

    Raises:
      InvalidField: that is no address.
      TaskNotFound, RoundNotFound: there is no such round.
      NotAssigned: the participant has no part in it.

    """
    check_address("participant", participant)
    record = require_task(state, task)
    newest = get_newest_attempt(state, task, round_number or record.round)
    if newest is None:
        raise RoundNotFound(f"expected a round of task {task} that was opened, got {round_number}")
    info = get_info(state, newest)
    for entry in info.shards:
        assigned = get_assigned(state, newest, entry.shard)
        if participant in assigned:
            proof = assignment_proof(
                task, newest.round, newest.attempt, entry.shard, assigned, index=assigned.index(participant)
            )
            return query_pb2.GetAssignmentResponse(info=info, shard=entry.shard, proof=proof)
    raise NotAssigned(f"expected a participant of round {newest.round} of task {task}, got another account")
