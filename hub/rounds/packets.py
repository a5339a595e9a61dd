"""What the hub tells shards about rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.link import SECOND_NS, send_to_shard
from hub.params import get_params
from hub.registry.state import get_shard
from wire.gradchain.fl.v1 import packet_pb2

if TYPE_CHECKING:
    from abci_app.state import StateWriter
    from hub.rounds.types import RoundId
    from ibc.host import HostContext
    from wire.gradchain.fl.v1 import round_pb2, task_pb2


def send_round_opened(
    ctx: HostContext,
    state: StateWriter,
    spec: task_pb2.TaskSpec,
    info: round_pb2.RoundInfo,
    assignment: round_pb2.ShardAssignment,
) -> bool:
    """Ask a shard to take updates; tell whether the packet was sent.

    The packet can be received until some time after the deadline: a checkpoint that is late may still be of use.
    """
    opened = packet_pb2.RoundOpened(
        task=info.task,
        round=info.round,
        attempt=info.attempt,
        spec_digest=info.spec_digest,
        base_root=info.base_root,
        scale=info.scale,
        unit_weight=info.unit_weight,
        rule=spec.rule,
        parameters=spec.parameters,
        assigned=assignment.assigned,
        assignment_root=assignment.assignment_root,
        seed=info.seed,
        close_time_ns=info.close_time_ns,
        deadline_ns=info.deadline_ns,
    )
    timeout_s = -(-info.deadline_ns // SECOND_NS) + get_params(state).packet_grace_s
    return _send(ctx, state, assignment.shard, timeout_s, packet_pb2.HubPacket(round_opened=opened))


def send_round_settled(
    ctx: HostContext,
    state: StateWriter,
    round_id: RoundId,
    shard: str,
    model_root: bytes,
    settlement_root: bytes,
) -> bool:
    """Tell a shard that the hub needs nothing more of a round; tell whether the packet was sent."""
    settled = packet_pb2.RoundSettled(
        task=round_id.task,
        round=round_id.round,
        attempt=round_id.attempt,
        model_root=model_root,
        settlement_root=settlement_root,
    )
    timeout_s = ctx.time_ns // SECOND_NS + get_params(state).settled_timeout_s
    return _send(ctx, state, shard, timeout_s, packet_pb2.HubPacket(round_settled=settled))


def _send(
    ctx: HostContext, state: StateWriter, chain_id: str, timeout_s: int, packet: packet_pb2.HubPacket
) -> bool:
    shard = get_shard(state, chain_id)
    return shard is not None and send_to_shard(ctx, state, shard.client_id, timeout_s, packet)
