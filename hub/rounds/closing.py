"""Closing of rounds: they are aggregated, or come to nothing."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from abci_app.state import PROVABLE
from aggregation.model import decode_model, encode_model
from hub.models.state import read_model, record_newest_model, store_model
from hub.params import get_params
from hub.registry.state import note_miss
from hub.rounds.events import emit_round_aggregated, emit_round_void
from hub.rounds.folding import add_up_weights, choose_next_scale, fold_deliveries, list_deliveries
from hub.rounds.state import (
    add_to_tail,
    drop_contribution,
    get_info,
    put_result_bytes,
    put_round,
    put_shard_round,
    require_shard_round,
)
from hub.rounds.tail import expire_tail, finish_shard, give_up_body, tell_shards_of_void
from hub.rounds.types import FINAL_STATUSES, RoundId, RoundRecord, RoundStatus, ShardStatus
from hub.schedule import cancel_wake_at
from hub.settlement.payout import share_of_round
from hub.settlement.relays import take_deliveries
from hub.settlement.state import put_pending
from hub.settlement.types import Claim, PendingSettlement
from hub.tasks.lifecycle import end_task
from hub.tasks.state import get_spec, put_task
from hub.tasks.types import TaskStatus
from tx.codec import encode
from tx.paths import round_result_key
from wire.gradchain.fl.v1 import round_pb2

if TYPE_CHECKING:
    from abci_app.context import BlockContext
    from abci_app.state import StateWriter
    from hub.rounds.folding import Folded
    from hub.tasks.types import TaskRecord
    from wire.gradchain.fl.v1 import task_pb2


def close_round_if_due(block: BlockContext, state: StateWriter, task: TaskRecord) -> TaskRecord:
    """Return the task after closing its open round, if the time has come.

    A round is aggregated as soon as every shard has delivered or cannot any more, or at its deadline; in both cases
    only if enough shards have delivered.  If too few have at the deadline, the attempt is void.
    """
    if not task.is_open:
        return task
    round_id = RoundId(task.number, task.round, task.attempt)
    info = get_info(state, round_id)
    statuses = [require_shard_round(state, round_id, entry.shard).status for entry in info.shards]
    is_over = block.time_ns >= info.deadline_ns
    is_enough = statuses.count(ShardStatus.COMPLETE) >= max(1, get_spec(state, task.number).min_shards)
    if not is_over and not (is_enough and FINAL_STATUSES.issuperset(statuses)):
        return task
    cancel_wake_at(state, task.number, info.deadline_ns)
    _note_misses(block, state, round_id, info)
    if is_enough:
        closed = _aggregate_round(block, state, task, round_id, info)
    else:
        closed = _void_round(block, state, task, round_id, info)
    put_task(state, closed)
    return closed


def _note_misses(
    block: BlockContext, state: StateWriter, round_id: RoundId, info: round_pb2.RoundInfo
) -> None:
    """Count the round against every shard that has not delivered in time."""
    limit = get_params(state).missing_limit
    for entry in info.shards:
        if require_shard_round(state, round_id, entry.shard).status is not ShardStatus.COMPLETE:
            note_miss(block, state, entry.shard, limit)


def _aggregate_round(
    block: BlockContext, state: StateWriter, task: TaskRecord, round_id: RoundId, info: round_pb2.RoundInfo
) -> TaskRecord:
    spec = get_spec(state, task.number)
    model = decode_model(read_model(state, task.model), spec.parameters)
    shards = [entry.shard for entry in info.shards]
    deliveries = list_deliveries(state, round_id, shards, spec.max_staleness)
    folded = fold_deliveries(state, model, deliveries, spec.max_staleness)
    new_model = store_model(state, encode_model(folded.model))
    record_newest_model(state, task.number, round_id.round, new_model, get_params(state).keep_models)
    result = round_pb2.RoundResult(
        task=round_id.task,
        round=round_id.round,
        attempt=round_id.attempt,
        base_root=info.base_root,
        model_root=new_model.root,
        shards=[delivery.to_result() for delivery in folded.deliveries],
    )
    result_bytes = encode(result)
    put_result_bytes(state, task.number, round_id.round, result_bytes)
    state.set(PROVABLE, round_result_key(task.number, round_id.round), sha256(result_bytes).digest())
    put_round(state, round_id, RoundRecord(RoundStatus.AGGREGATED))
    budget = share_of_round(spec.budget, spec.rounds, round_id.round)
    _plan_settlement(block, state, round_id, folded, budget)
    emit_round_aggregated(block, result)
    _update_tail(block, state, round_id, info, folded, spec)
    aggregated = replace(
        task,
        model=new_model,
        scale=choose_next_scale(task.scale, folded.deliveries, spec.parameters),
        rounds_done=task.rounds_done + 1,
        is_open=False,
        next_round=round_id.round + 1,
        next_attempt=0,
        reserved=task.reserved + budget,
    )
    if round_id.round >= spec.rounds:
        return end_task(block, state, aggregated, TaskStatus.COMPLETE)
    return aggregated


def _plan_settlement(
    block: BlockContext, state: StateWriter, round_id: RoundId, folded: Folded, budget: int
) -> None:
    weights = add_up_weights(folded.deliveries)
    pending = PendingSettlement(
        attempt=round_id.attempt,
        budget=budget,
        claims=tuple(Claim(account, weight) for account, weight in sorted(weights.items())),
        carried=take_deliveries(state, round_id.task),
    )
    time_ns = block.time_ns + get_params(state).challenge_window_ns
    put_pending(state, round_id.task, round_id.round, pending, time_ns)


def _update_tail(
    block: BlockContext,
    state: StateWriter,
    round_id: RoundId,
    info: round_pb2.RoundInfo,
    folded: Folded,
    spec: task_pb2.TaskSpec,
) -> None:
    """Note what was folded, what may still come, and what can no longer."""
    for delivery in folded.deliveries:
        record = require_shard_round(state, delivery.round_id, delivery.shard)
        settled = replace(record, status=ShardStatus.COMPLETE, folded_in=round_id.round)
        put_shard_round(state, delivery.round_id, delivery.shard, settled)
        drop_contribution(state, delivery.round_id, delivery.shard)
        if delivery.round_id != round_id:
            finish_shard(block, state, delivery.round_id, delivery.shard)
    for entry in info.shards:
        _add_if_unfinished(state, round_id, entry.shard)
    is_last = round_id.round >= spec.rounds
    expire_tail(block, state, round_id.task, round_id.round + 1 - (0 if is_last else spec.max_staleness))


def _add_if_unfinished(state: StateWriter, round_id: RoundId, shard: str) -> None:
    record = require_shard_round(state, round_id, shard)
    if record.status is ShardStatus.WAITING:
        put_shard_round(state, round_id, shard, replace(record, status=ShardStatus.MISSING))
    if record.status not in {ShardStatus.COMPLETE, ShardStatus.REJECTED}:
        add_to_tail(state, round_id, shard)


def _void_round(
    block: BlockContext, state: StateWriter, task: TaskRecord, round_id: RoundId, info: round_pb2.RoundInfo
) -> TaskRecord:
    """Drop what an attempt has brought, and prepare the next one, or give the task up."""
    for entry in info.shards:
        give_up_body(state, round_id, entry.shard)
    # Nobody is paid: a relayer that held packets back must not earn twice by the attempt that follows.
    take_deliveries(state, task.number)
    put_round(state, round_id, RoundRecord(RoundStatus.VOID))
    emit_round_void(block, round_id)
    tell_shards_of_void(block, state, round_id, info)
    closed = replace(task, is_open=False, next_attempt=round_id.attempt + 1)
    if closed.next_attempt < get_spec(state, task.number).max_attempts:
        return closed
    expire_tail(block, state, task.number, round_id.round)
    return end_task(block, state, closed, TaskStatus.FAILED)
