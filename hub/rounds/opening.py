"""Opening of rounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from abci_app.state import PROVABLE
from aggregation.assignment import assignment_root
from aggregation.weights import unit_weight
from hub.params import get_params
from hub.registry.state import list_active_shards
from hub.rounds.assignment import cut_groups, derive_seed, order_participants
from hub.rounds.events import emit_round_opened
from hub.rounds.packets import send_round_opened
from hub.rounds.state import (
    put_assigned,
    put_info_bytes,
    put_newest_attempt,
    put_round,
    put_shard_round,
)
from hub.rounds.types import RoundId, RoundRecord, RoundStatus, ShardRoundRecord, ShardStatus
from hub.schedule import wait_for_shards, wake_at
from hub.tasks.state import get_spec, list_participants, put_task
from hub.tasks.types import TaskStatus
from tx.codec import encode
from tx.paths import round_info_key
from wire.gradchain.fl.v1 import round_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abci_app.context import BlockContext
    from abci_app.state import StateReader, StateWriter
    from hub.tasks.types import TaskRecord
    from wire.gradchain.fl.v1 import task_pb2


@dataclass(frozen=True, slots=True)
class Group:
    """The participants of one shard in a round."""

    shard: str
    participants: Sequence[bytes]


def open_round_if_ready(block: BlockContext, state: StateWriter, task: TaskRecord) -> None:
    """Open the task's next round or attempt, if there are participants and shards for it.

    Without enough active shards the task waits until one becomes active; that costs nothing meanwhile.
    """
    spec = get_spec(state, task.number)
    if not task.is_running or task.is_open or task.participants < spec.min_participants:
        return
    shards = [shard.chain_id for shard in list_active_shards(state)]
    if len(shards) < max(1, spec.min_shards):
        wait_for_shards(state, task.number)
        return
    _open_round(block, state, task, spec, shards)


def _open_round(
    block: BlockContext, state: StateWriter, task: TaskRecord, spec: task_pb2.TaskSpec, shards: Sequence[str]
) -> None:
    round_id = RoundId(task.number, task.next_round, task.next_attempt)
    seed = derive_seed(block.chain_id, round_id, block.block_hash)
    groups = assign_participants(state, round_id, spec, seed, shards)
    info = round_pb2.RoundInfo(
        task=round_id.task,
        round=round_id.round,
        attempt=round_id.attempt,
        spec_digest=task.spec_digest,
        base_root=task.model.root,
        scale=task.scale,
        unit_weight=unit_weight(max(len(group.participants) for group in groups)),
        seed=seed,
        opened_at_ns=block.time_ns,
        # Shards stop earlier than the hub does, so that checkpoints have time to travel.
        close_time_ns=block.time_ns + spec.round_duration_ns * 4 // 5,
        deadline_ns=block.time_ns + spec.round_duration_ns,
        shards=[_describe(round_id, group) for group in groups],
    )
    _write_round(state, round_id, info, groups)
    for assignment in info.shards:
        is_sent = send_round_opened(block, state, spec, info, assignment)
        put_shard_round(state, round_id, assignment.shard, _begin_shard_round(assignment, is_sent=is_sent))
    wake_at(state, task.number, info.deadline_ns)
    put_task(
        state,
        replace(
            task, status=TaskStatus.TRAINING, round=round_id.round, attempt=round_id.attempt, is_open=True
        ),
    )
    emit_round_opened(block, info)


def assign_participants(
    state: StateReader, round_id: RoundId, spec: task_pb2.TaskSpec, seed: bytes, shards: Sequence[str]
) -> list[Group]:
    """Return which participants train with which shard; shards that would get nobody are left out.

    All registered participants take part, or as many as the task samples, or as many as the shards can take.
    """
    ordered = order_participants(seed, list_participants(state, round_id.task))
    limit = get_params(state).max_assigned * len(shards)
    if spec.participants_per_round:
        limit = min(limit, spec.participants_per_round)
    cut = cut_groups(ordered[:limit], len(shards))
    return [Group(shard, participants) for shard, participants in zip(shards, cut, strict=False)]


def _describe(round_id: RoundId, group: Group) -> round_pb2.ShardAssignment:
    return round_pb2.ShardAssignment(
        shard=group.shard,
        assigned=len(group.participants),
        assignment_root=assignment_root(
            round_id.task, round_id.round, round_id.attempt, group.shard, group.participants
        ),
    )


def _write_round(
    state: StateWriter, round_id: RoundId, info: round_pb2.RoundInfo, groups: Sequence[Group]
) -> None:
    info_bytes = encode(info)
    put_info_bytes(state, round_id, info_bytes)
    key = round_info_key(round_id.task, round_id.round, round_id.attempt)
    state.set(PROVABLE, key, sha256(info_bytes).digest())
    put_round(state, round_id, RoundRecord(RoundStatus.OPEN))
    put_newest_attempt(state, round_id)
    for group in groups:
        put_assigned(state, round_id, group.shard, group.participants)


def _begin_shard_round(assignment: round_pb2.ShardAssignment, *, is_sent: bool) -> ShardRoundRecord:
    return ShardRoundRecord(
        status=ShardStatus.WAITING if is_sent else ShardStatus.MISSING,
        assigned=assignment.assigned,
        header=b"",
        parts=0,
        reject_codespace="",
        reject_code=0,
        folded_in=0,
    )
