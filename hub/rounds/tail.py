"""Aggregated rounds that may still get the bodies of some shards.

A shard drops what it knows of a round when it is told that the round is settled.  So the hub tells it only when it
needs nothing more of it: at the settlement if the shard has delivered, else when its late body is folded, or can no
longer be.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aggregation.merkle import merkle_root
from hub.rounds.packets import send_round_settled
from hub.rounds.state import (
    drop_contribution,
    drop_parts,
    get_result,
    get_round,
    is_in_tail,
    list_tail,
    put_shard_round,
    remove_from_tail,
    require_shard_round,
)
from hub.rounds.types import RoundStatus, ShardStatus
from hub.settlement.state import get_settlement_root

if TYPE_CHECKING:
    from abci_app.state import StateWriter
    from hub.rounds.types import RoundId
    from ibc.host import HostContext
    from wire.gradchain.fl.v1 import round_pb2


def tell_shards_of_settlement(
    ctx: HostContext, state: StateWriter, round_id: RoundId, info: round_pb2.RoundInfo
) -> None:
    """Tell the shards of a settled round that it is over, but for those that may still deliver."""
    for assignment in info.shards:
        if not is_in_tail(state, round_id, assignment.shard):
            _tell(ctx, state, round_id, assignment.shard)


def tell_shards_of_void(
    ctx: HostContext, state: StateWriter, round_id: RoundId, info: round_pb2.RoundInfo
) -> None:
    """Tell the shards of an attempt that came to nothing: the model stays, and nobody is paid."""
    for assignment in info.shards:
        send_round_settled(ctx, state, round_id, assignment.shard, info.base_root, merkle_root([]))


def finish_shard(ctx: HostContext, state: StateWriter, round_id: RoundId, shard: str) -> None:
    """Take a shard out of the tail of an aggregated round: its body was folded, or never will be."""
    remove_from_tail(state, round_id, shard)
    record = get_round(state, round_id)
    if record is not None and record.status is RoundStatus.SETTLED:
        _tell(ctx, state, round_id, shard)


def expire_tail(ctx: HostContext, state: StateWriter, task: int, oldest_round: int) -> None:
    """Give up all shards that may still deliver for rounds before `oldest_round`."""
    for round_id, shard in list_tail(state, task):
        if round_id.round < oldest_round:
            give_up_body(state, round_id, shard)
            finish_shard(ctx, state, round_id, shard)


def give_up_body(state: StateWriter, round_id: RoundId, shard: str) -> None:
    """Forget what has arrived of a body that no round will take."""
    record = require_shard_round(state, round_id, shard)
    drop_parts(state, round_id, shard)
    drop_contribution(state, round_id, shard)
    if record.status in {ShardStatus.WAITING, ShardStatus.CHECKPOINTED, ShardStatus.LATE}:
        put_shard_round(state, round_id, shard, replace(record, status=ShardStatus.MISSING, parts=0))


def _tell(ctx: HostContext, state: StateWriter, round_id: RoundId, shard: str) -> None:
    result = get_result(state, round_id.task, round_id.round)
    if result is not None:
        root = get_settlement_root(state, round_id.task, round_id.round)
        send_round_settled(ctx, state, round_id, shard, result.model_root, root)
