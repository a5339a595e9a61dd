"""Events of checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.rounds.events import round_attributes

if TYPE_CHECKING:
    from ibc.host import HostContext
    from shards.checkpoints.types import DeliveryStatus
    from shards.rounds.types import RoundId
    from wire.gradchain.fl.v1 import packet_pb2


def emit_round_closed(ctx: HostContext, round_id: RoundId, header: packet_pb2.Checkpoint) -> None:
    """Tell that a round takes no more updates, and what its checkpoint holds."""
    ctx.emit(
        "round_closed",
        **round_attributes(round_id),
        updates=str(header.updates),
        total_weight=str(header.total_weight),
        body_root=header.body_root.hex(),
        body_bytes=str(header.body_bytes),
    )


def emit_checkpoint_delivery(ctx: HostContext, round_id: RoundId, status: DeliveryStatus) -> None:
    """Tell what became of a checkpoint's packet."""
    ctx.emit("checkpoint_delivery", **round_attributes(round_id), status=status.name.lower())
