"""What the hub's answers do to checkpoints.  A checkpoint is sent once: every answer is final."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shards.checkpoints.events import emit_checkpoint_delivery
from shards.checkpoints.state import get_delivery, put_delivery
from shards.rounds.types import RoundId

if TYPE_CHECKING:
    from abci_app.state import StateWriter
    from ibc.host import HostContext
    from shards.checkpoints.types import DeliveryStatus
    from wire.gradchain.fl.v1 import packet_pb2


def record_answer(
    ctx: HostContext, state: StateWriter, header: packet_pb2.Checkpoint, status: DeliveryStatus
) -> None:
    """Note the hub's answer to a checkpoint.  Whether the round was pruned meanwhile makes no difference."""
    round_id = RoundId(header.task, header.round, header.attempt)
    delivery = get_delivery(state, round_id)
    if delivery is not None:
        put_delivery(state, round_id, replace(delivery, status=status))
        emit_checkpoint_delivery(ctx, round_id, status)
